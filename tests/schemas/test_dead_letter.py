"""Dead letters: the headers that Spring's tools read."""

import pytest

from schemas.dead_letter import MESSAGE_BYTES, Origin, cut, dead_letter_headers
from schemas.errors import Truncated
from schemas.headers import Coordinates

ORIGIN = Origin(Coordinates("requests", 258, 2**33), 1_700_000_000_000, 1, "headrace")


def test_headers_are_springs() -> None:
    """Names and forms are Spring's: numbers big-endian, text UTF-8."""
    assert dict(dead_letter_headers(ORIGIN, Truncated("ends early"))) == {
        "kafka_dlt-original-topic": b"requests",
        "kafka_dlt-original-partition": bytes.fromhex("00000102"),
        "kafka_dlt-original-offset": bytes.fromhex("0000000200000000"),
        "kafka_dlt-original-timestamp": (1_700_000_000_000).to_bytes(8, "big"),
        "kafka_dlt-original-timestamp-type": b"CreateTime",
        "kafka_dlt-original-consumer-group": b"headrace",
        "kafka_dlt-exception-fqcn": b"schemas.errors.Truncated",
        "kafka_dlt-exception-message": b"ends early",
    }


@pytest.mark.parametrize(
    ("number", "name"), [(0, b"NoTimestampType"), (1, b"CreateTime"), (2, b"LogAppendTime")]
)
def test_timestamp_types_are_kafkas(number: int, name: bytes) -> None:
    """The client's number of a timestamp type becomes Kafka's name of it."""
    origin = Origin(ORIGIN.coordinates, -1, number, "g")

    assert dict(dead_letter_headers(origin, ValueError()))["kafka_dlt-original-timestamp-type"] == name


def test_a_long_message_is_cut() -> None:
    """A message takes no more than its share of the topic's extra bytes."""
    found = dict(dead_letter_headers(ORIGIN, ValueError("é" * MESSAGE_BYTES)))

    assert len(found["kafka_dlt-exception-message"]) <= MESSAGE_BYTES


def test_a_cut_falls_between_characters() -> None:
    """Cut text is still UTF-8, and text that never was is replaced."""
    assert cut("aé", 2) == b"a"
    assert cut("\ud800", 9) == b"?"
