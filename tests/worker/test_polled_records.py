"""What a poll's records are asked, and what is taken as read."""

from collections.abc import Sequence

import numpy as np
import pytest

from tests.fakes.kafka_broker import FakeMessage
from worker.polled_records import MANY_RECORDS, TIMED_EVERY, PolledRecords

NOW_MS = 1_000_000.0


def polled(*timestamps_ms: int) -> PolledRecords:
    """Records written at these times, polled now."""
    messages = [FakeMessage("t", offset=n, timestamp_ms=time) for n, time in enumerate(timestamps_ms)]
    return PolledRecords("t", "b", messages, NOW_MS)


def about(records: PolledRecords, positions: Sequence[int]) -> list[int]:
    """The time that each record at a position is taken to be written at."""
    stamps, each = records.about_ms_at(positions)
    told: list[int] = np.repeat(stamps, each)[: len(positions)].tolist()
    return told


def test_few_records_are_asked_each() -> None:
    """And one that says nothing, or lies in the future, counts as written now."""
    times = [1, 500, -1, 0, 2_000_000, *range(600, 600 + MANY_RECORDS - 6)]
    records = polled(*times)

    assert about(records, range(len(times))) == [1, 500, NOW_MS, NOW_MS, NOW_MS, *times[5:]]


@pytest.mark.parametrize("count", [MANY_RECORDS, MANY_RECORDS + 1, 2 * MANY_RECORDS + TIMED_EVERY - 1])
def test_of_many_some_tell_the_time_of_those_about_them(count: int) -> None:
    """One in eight of those that are asked about, and of the poll; the rest is left to the last."""
    records = polled(*range(1, count + 1))

    assert about(records, range(count)) == [n - n % TIMED_EVERY + 1 for n in range(count)]
    for some in (
        range(5, 20),
        range(16, 33),
        [3],
        [0, 9, 17, 30, 31, 32, 33, 40, 64, 70],
        [*range(1, 100, 3)],
    ):
        told = about(records, some)
        assert told == about(records, [*some])
        assert all(abs(time - (n + 1)) < MANY_RECORDS for time, n in zip(told, some, strict=True))
        stamps, each = records.about_ms_at(some)
        assert stamps.tolist() == [n - n % TIMED_EVERY + 1 for n in some[::each]]


def test_an_exact_time_is_asked_for() -> None:
    """Whatever is known nearly."""
    records = polled(*range(1, MANY_RECORDS), 2_000_000)

    assert records.timestamps_ms_at([0, 9, 100, MANY_RECORDS - 1]).tolist() == [1, 10, 101, NOW_MS]
