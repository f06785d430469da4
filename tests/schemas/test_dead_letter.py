"""Dead letters: the headers that Spring's tools read, and what is read of them again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.dead_letter import (
    MESSAGE_BYTES,
    REPLAYS,
    Origin,
    Told,
    cut,
    dead_letter_headers,
    essential,
    headers_to_replay,
    read,
    replays,
    split,
)
from schemas.errors import InvalidHeader, Truncated
from schemas.headers import Coordinates

ORIGIN = Origin(Coordinates("requests", 258, 2**33), 1_700_000_000_000, 1, "headrace", "w1")
ADDED = dead_letter_headers(ORIGIN, Truncated("ends early"))
OWN: list[tuple[str, bytes | None]] = [("traceparent", b"1"), ("own", None), (REPLAYS, b"2")]


def test_headers_are_springs() -> None:
    """Names and forms are Spring's: numbers big-endian, text UTF-8; the worker is ours."""
    assert dict(ADDED) == {
        "kafka_dlt-original-topic": b"requests",
        "kafka_dlt-original-partition": bytes.fromhex("00000102"),
        "kafka_dlt-original-offset": bytes.fromhex("0000000200000000"),
        "kafka_dlt-original-timestamp": (1_700_000_000_000).to_bytes(8, "big"),
        "kafka_dlt-original-timestamp-type": b"CreateTime",
        "kafka_dlt-original-consumer-group": b"headrace",
        "kafka_dlt-exception-fqcn": b"schemas.errors.Truncated",
        "kafka_dlt-exception-message": b"ends early",
        "headrace-worker": b"w1",
    }


@pytest.mark.parametrize(
    ("number", "name"), [(0, b"NoTimestampType"), (1, b"CreateTime"), (2, b"LogAppendTime")]
)
def test_timestamp_types_are_kafkas(number: int, name: bytes) -> None:
    """The client's number of a timestamp type becomes Kafka's name of it."""
    origin = Origin(ORIGIN.coordinates, -1, number, "g", "w")

    assert dict(dead_letter_headers(origin, ValueError()))["kafka_dlt-original-timestamp-type"] == name


def test_a_long_message_is_cut() -> None:
    """A message takes no more than its share of the topic's extra bytes."""
    found = dict(dead_letter_headers(ORIGIN, ValueError("é" * MESSAGE_BYTES)))

    assert len(found["kafka_dlt-exception-message"]) <= MESSAGE_BYTES


def test_a_cut_falls_between_characters() -> None:
    """Cut text is still UTF-8, and text that never was is replaced."""
    assert cut("aé", 2) == b"a"
    assert cut("\ud800", 9) == b"?"


def test_what_was_written_is_read_again() -> None:
    """All of it, and the original's own headers apart from it."""
    own, added = split([*OWN, *ADDED])

    assert list(own) == OWN
    assert read(added) == Told(
        ORIGIN.coordinates, 1_700_000_000_000, "headrace", "w1", "schemas.errors.Truncated", "ends early"
    )
    assert read(added).reason == "Truncated"


@pytest.mark.parametrize("before", [ADDED, essential(ADDED), ADDED[1:]], ids=["whole", "cut", "headless"])
@pytest.mark.parametrize("shortened", [False, True])
def test_headers_of_an_earlier_dead_letter_are_the_originals_own(
    before: list[tuple[str, bytes | None]], *, shortened: bool
) -> None:
    """Somebody wrote a dead letter back with all its headers, and it came here again: only the last ones are new."""
    headers = [*OWN, *before, *ADDED]
    found, _ = split(essential(headers) if shortened else headers)

    assert list(found) == [*OWN, *before]


def test_what_a_dead_letter_can_do_without_goes_and_the_rest_stays() -> None:
    """The place that it came from, the kind of error, and the original's own headers."""
    found = essential([*OWN, *ADDED])
    told = read(split(found)[1])

    assert found[: len(OWN)] == OWN
    assert (told.origin, told.reason, told.message, told.timestamp_ms) == (
        ORIGIN.coordinates,
        "Truncated",
        "",
        None,
    )
    assert essential(found) == found


@pytest.mark.parametrize(
    "headers",
    [
        [],
        OWN,
        [*ADDED, ("behind", b"1")],
        [(name, value) for name, value in ADDED if name != "kafka_dlt-original-offset"],
        [(name, b"1" if name == "kafka_dlt-original-partition" else value) for name, value in ADDED],
        [(name, b"\xff" * 8 if name == "kafka_dlt-original-offset" else value) for name, value in ADDED],
        [(name, None if name == "kafka_dlt-original-topic" else value) for name, value in ADDED],
    ],
    ids=["none", "own only", "others behind", "no offset", "short partition", "negative offset", "no topic"],
)
def test_a_record_that_does_not_say_where_it_came_from_is_no_dead_letter(
    headers: list[tuple[str, bytes | None]],
) -> None:
    """Nothing is guessed."""
    with pytest.raises(InvalidHeader, match="no dead letter"):
        read(split(headers)[1])


@pytest.mark.parametrize(
    ("value", "count"), [(b"2", 2), (b"007", 7), (b"", 0), (None, 0), (b"-1", 0), (b"x", 0), (b"1" * 10, 0)]
)
def test_the_count_of_replays_is_read_where_it_is_one(value: bytes | None, count: int) -> None:
    """Whoever writes requests writes this header too: what is no number counts as none."""
    assert replays([("own", b"1"), (REPLAYS, value)]) == count


def test_a_replay_is_counted_once_and_in_one_header() -> None:
    """The other headers stay as they are and where they are."""
    once = headers_to_replay(OWN[:2])

    assert once == [*OWN[:2], (REPLAYS, b"1")]
    assert headers_to_replay([(REPLAYS, b"1"), *once]) == [*OWN[:2], (REPLAYS, b"2")]


@given(
    st.lists(st.tuples(st.sampled_from([name for name, _ in ADDED] + ["a", REPLAYS]), st.binary(max_size=9)))
)
def test_any_headers_are_told_apart_from_those_that_were_added(own: list[tuple[str, bytes | None]]) -> None:
    """Whatever a record brought, it gets back, whole or cut."""
    assert list(split([*own, *ADDED])[0]) == own
    assert list(split(essential([*own, *ADDED]))[0]) == own
