"""Headers of a dead letter, as Spring for Apache Kafka's DeadLetterPublishingRecoverer writes them.

Numbers are big-endian, text is UTF-8. Of the exception only its name and message are told, never a stack
trace: whoever reads the dead-letter topic need not see inside the worker. They stand behind the headers that the
record had, and the first of them names its topic: so what the record had is known again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.errors import InvalidHeader
from schemas.headers import Coordinates

ORIGINAL_TOPIC = "kafka_dlt-original-topic"
ORIGINAL_PARTITION = "kafka_dlt-original-partition"
ORIGINAL_OFFSET = "kafka_dlt-original-offset"
ORIGINAL_TIMESTAMP = "kafka_dlt-original-timestamp"
ORIGINAL_TIMESTAMP_TYPE = "kafka_dlt-original-timestamp-type"
ORIGINAL_CONSUMER_GROUP = "kafka_dlt-original-consumer-group"
EXCEPTION_FQCN = "kafka_dlt-exception-fqcn"
EXCEPTION_MESSAGE = "kafka_dlt-exception-message"
WORKER = "headrace-worker"
REPLAYS = "headrace-replays"
"""A record's own header: how often it has been sent again from a dead-letter topic, in ASCII digits."""

TIMESTAMP_TYPES = ("NoTimestampType", "CreateTime", "LogAppendTime")
"""Kafka's TimestampType by its number (-1, 0, 1 in Kafka; 0, 1, 2 in librdkafka, as here)."""
MESSAGE_BYTES = 4096
"""Where a message is cut: a dead letter must stay within the 64 KiB that its topic takes in addition."""
MOST_REPLAYS_DIGITS = 9

_ESSENTIAL = frozenset({ORIGINAL_TOPIC, ORIGINAL_PARTITION, ORIGINAL_OFFSET, EXCEPTION_FQCN})
_ADDED = _ESSENTIAL | {
    ORIGINAL_TIMESTAMP,
    ORIGINAL_TIMESTAMP_TYPE,
    ORIGINAL_CONSUMER_GROUP,
    EXCEPTION_MESSAGE,
    WORKER,
}

Headers = Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Origin:
    """The record that became a dead letter.

    Attributes:
        coordinates: where it lies.
        timestamp_ms: its timestamp, -1 for none.
        timestamp_type: librdkafka's number of the timestamp's type.
        group: the consumer group that read it.
        worker: the member of the group that read it.
    """

    coordinates: Coordinates
    timestamp_ms: int
    timestamp_type: int
    group: str
    worker: str


@dataclass(frozen=True, slots=True)
class Told:
    """What the headers of a dead letter tell.

    Attributes:
        origin: where the record lies that became it.
        timestamp_ms: that record's timestamp; None where it had none, or it is not told.
        group: the consumer group that read it; empty where that is not told.
        worker: the worker that read it; likewise.
        error: the name of the error's class with its module.
        message: what is wrong, in words; empty where that is not told.
    """

    origin: Coordinates
    timestamp_ms: int | None
    group: str
    worker: str
    error: str
    message: str

    @property
    def reason(self) -> str:
        """The name of the error's class alone, as metrics have it."""
        return self.error.rpartition(".")[2]


def dead_letter_headers(origin: Origin, error: BaseException) -> list[tuple[str, bytes]]:
    """The headers to add behind the original's own."""
    kind = type(error)
    name = f"{kind.__module__}.{kind.__qualname__}" if kind.__module__ != "builtins" else kind.__qualname__
    return [
        (ORIGINAL_TOPIC, origin.coordinates.topic.encode()),
        (ORIGINAL_PARTITION, origin.coordinates.partition.to_bytes(4, "big", signed=True)),
        (ORIGINAL_OFFSET, origin.coordinates.offset.to_bytes(8, "big", signed=True)),
        (ORIGINAL_TIMESTAMP, origin.timestamp_ms.to_bytes(8, "big", signed=True)),
        (ORIGINAL_TIMESTAMP_TYPE, TIMESTAMP_TYPES[origin.timestamp_type].encode()),
        (ORIGINAL_CONSUMER_GROUP, origin.group.encode()),
        (EXCEPTION_FQCN, name.encode()),
        (EXCEPTION_MESSAGE, cut(str(error), MESSAGE_BYTES)),
        (WORKER, origin.worker.encode()),
    ]


def split(headers: Headers) -> tuple[Headers, Mapping[str, bytes | None]]:
    """The headers that the original had, and those that were added; none of these: no dead letter of ours."""
    for start in reversed(range(len(headers))):
        name = headers[start][0]
        if name == ORIGINAL_TOPIC:
            return headers[:start], dict(headers[start:])
        if name not in _ADDED:
            break
    return headers, {}


def essential(headers: Headers) -> list[tuple[str, bytes | None]]:
    """A dead letter's headers without what it can do without: where it came from and the kind of error stay."""
    own, _ = split(headers)
    return [*own, *(header for header in headers[len(own) :] if header[0] in _ESSENTIAL)]


def read(added: Mapping[str, bytes | None]) -> Told:
    """What headers tell that were added.

    Raises:
        InvalidHeader: they do not even tell where the record came from.
    """
    topic = _text(added.get(ORIGINAL_TOPIC))
    partition, offset = _number(added.get(ORIGINAL_PARTITION), 4), _number(added.get(ORIGINAL_OFFSET), 8)
    if not topic or partition is None or offset is None:
        raise InvalidHeader(
            f"the headers {ORIGINAL_TOPIC}, {ORIGINAL_PARTITION} and {ORIGINAL_OFFSET} do not end the record's "
            "headers, or cannot be read: it is no dead letter of headrace's"
        )
    timestamp_ms = _number(added.get(ORIGINAL_TIMESTAMP), 8)
    return Told(
        Coordinates(topic, partition, offset),
        timestamp_ms,
        _text(added.get(ORIGINAL_CONSUMER_GROUP)),
        _text(added.get(WORKER)),
        _text(added.get(EXCEPTION_FQCN)),
        _text(added.get(EXCEPTION_MESSAGE)),
    )


def replays(own: Headers) -> int:
    """How often a record has been sent again, by its own headers; 0 where none says so."""
    counts = [value for name, value in own if name == REPLAYS]
    if not counts or counts[-1] is None or not counts[-1].isdigit() or len(counts[-1]) > MOST_REPLAYS_DIGITS:
        return 0
    return int(counts[-1])


def headers_to_replay(own: Headers) -> list[tuple[str, bytes | None]]:
    """A record's own headers for sending it once more, with the count that says so."""
    count = str(replays(own) + 1).encode()
    return [*((name, value) for name, value in own if name != REPLAYS), (REPLAYS, count)]


def cut(text: str, most_bytes: int) -> bytes:
    """Text as UTF-8 of at most so many bytes, cut between characters."""
    return text.encode(errors="replace")[:most_bytes].decode(errors="ignore").encode()


def _text(value: bytes | None) -> str:
    return (value or b"").decode(errors="replace")


def _number(value: bytes | None, size_bytes: int) -> int | None:
    """A number that is there and not negative."""
    if value is None or len(value) != size_bytes:
        return None
    number = int.from_bytes(value, "big", signed=True)
    return number if number >= 0 else None
