"""Headers of requests and replies: their names, and how their values are written.

The `kafka_*` names are those of Spring for Apache Kafka's request/reply template, so that its clients work
unchanged; `reply_to` and `correlation_id` are for those who know no Spring.
"""

import re
from dataclasses import dataclass

from schemas.errors import InvalidHeader

REPLY_TOPIC = "kafka_replyTopic"
REPLY_PARTITION = "kafka_replyPartition"
CORRELATION_ID = "kafka_correlationId"
PLAIN_REPLY_TOPIC = "reply_to"
PLAIN_CORRELATION_ID = "correlation_id"
TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"
TIMEOUT_MS = "headrace-timeout-ms"
PRIORITY = "headrace-priority"
REQUEST = "headrace-request"

PARTITION_BYTES = 4
LONGEST_TOPIC = 249
"""Kafka's own bound on the name of a topic."""
MOST_TIMEOUT_DIGITS = 12
SHOWN_BYTES = 64
_TOPIC = re.compile(rb"[A-Za-z0-9._-]{1,%d}" % LONGEST_TOPIC)


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Where a record lies."""

    topic: str
    partition: int
    offset: int


def parse_topic(value: bytes | None) -> str:
    """The topic that a reply-topic header names.

    Raises:
        InvalidHeader: no name that Kafka takes for a topic.
    """
    if value is None or not _TOPIC.fullmatch(value) or value in {b".", b".."}:
        raise InvalidHeader(
            f"reply topic {_shown(value)}: the name of a topic was expected, 1 to {LONGEST_TOPIC} ASCII letters, "
            "digits, '.', '_' and '-'"
        )
    return value.decode()


def parse_reply_partition(value: bytes | None) -> int:
    """The partition of `kafka_replyPartition`, which Spring writes as four bytes, big-endian.

    Raises:
        InvalidHeader: another length, or a negative number.
    """
    partition = int.from_bytes(value, "big", signed=True) if value and len(value) == PARTITION_BYTES else -1
    if partition < 0:
        raise InvalidHeader(
            f"{REPLY_PARTITION} {_shown(value)}: a partition as 4 bytes, big-endian, was expected"
        )
    return partition


def reply_partition(partition: int) -> bytes:
    """The value of `kafka_replyPartition`."""
    return partition.to_bytes(PARTITION_BYTES, "big", signed=True)


def parse_timeout_ms(value: bytes | None) -> int:
    """Milliseconds from the record's timestamp in which a reply is of use, from ASCII decimal.

    Raises:
        InvalidHeader: anything but 1 to 12 digits.
    """
    if value is None or not value.isdigit() or len(value) > MOST_TIMEOUT_DIGITS:
        raise InvalidHeader(
            f"{TIMEOUT_MS} {_shown(value)}: 1 to {MOST_TIMEOUT_DIGITS} ASCII digits were expected"
        )
    return int(value)


def parse_priority(value: bytes | None) -> int:
    """The priority, from one ASCII digit.

    Raises:
        InvalidHeader: anything but one of 0 to 9.
    """
    if value is None or len(value) != 1 or not value.isdigit():
        raise InvalidHeader(f"{PRIORITY} {_shown(value)}: one ASCII digit, 0 to 9, was expected")
    return int(value)


def request_coordinates(origin: Coordinates) -> bytes:
    """The value of `headrace-request`: topic/partition/offset (a topic's name holds no slash)."""
    return f"{origin.topic}/{origin.partition}/{origin.offset}".encode()


def parse_request_coordinates(value: bytes | None) -> Coordinates:
    """The request that a reply's `headrace-request` names.

    Raises:
        InvalidHeader: not topic/partition/offset.
    """
    parts = (value or b"").split(b"/")
    if (
        len(parts) != len(Coordinates.__slots__)
        or not parts[0].isascii()
        or not all(p.isdigit() for p in parts[1:])
    ):
        raise InvalidHeader(f"{REQUEST} {_shown(value)}: topic/partition/offset was expected")
    return Coordinates(parts[0].decode(), int(parts[1]), int(parts[2]))


def _shown(value: bytes | None) -> str:
    """A value from outside as a message may show it: printable and short."""
    return "without a value" if value is None else repr(value[:SHOWN_BYTES])[1:]
