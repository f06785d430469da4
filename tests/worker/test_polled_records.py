"""What a poll's records are asked, and what is taken as read."""

import pytest

from tests.fakes.kafka_broker import FakeMessage
from worker.polled_records import MANY_RECORDS, TIMED_EVERY, PolledRecords

NOW_MS = 1_000_000.0


def polled(*timestamps_ms: int) -> PolledRecords:
    """Records written at these times, polled now."""
    messages = [FakeMessage("t", offset=n, timestamp_ms=time) for n, time in enumerate(timestamps_ms)]
    return PolledRecords("t", "b", messages, NOW_MS)


def test_few_records_are_asked_each() -> None:
    """And one that says nothing, or lies in the future, counts as written now."""
    times = [1, 500, -1, 0, 2_000_000, *range(600, 600 + MANY_RECORDS - 6)]
    records = polled(*times)

    assert records.about_ms.tolist() == [1, 500, NOW_MS, NOW_MS, NOW_MS, *times[5:]]


@pytest.mark.parametrize("count", [MANY_RECORDS, MANY_RECORDS + 1, 2 * MANY_RECORDS + TIMED_EVERY - 1])
def test_of_many_some_tell_the_time_of_those_behind_them(count: int) -> None:
    """Each record has one; at single positions and in stretches it is the same."""
    records = polled(*range(1, count + 1))

    assert records.about_ms.tolist() == [n - n % TIMED_EVERY + 1 for n in range(count)]
    assert records.about_ms_at(range(5, 20)).tolist() == records.about_ms_at([*range(5, 20)]).tolist()
    assert len(records.about_ms_at(range(count))) == count


def test_an_exact_time_is_asked_for() -> None:
    """Whatever is known nearly."""
    records = polled(*range(1, MANY_RECORDS), 2_000_000)

    assert records.timestamps_ms_at([0, 9, 100, MANY_RECORDS - 1]).tolist() == [1, 10, 101, NOW_MS]
