"""Headers of a dead letter, as Spring for Apache Kafka's DeadLetterPublishingRecoverer writes them.

Numbers are big-endian, text is UTF-8. Of the exception only its name and message are told, never a stack
trace: whoever reads the dead-letter topic need not see inside the worker.
"""

from dataclasses import dataclass

from schemas.headers import Coordinates

ORIGINAL_TOPIC = "kafka_dlt-original-topic"
ORIGINAL_PARTITION = "kafka_dlt-original-partition"
ORIGINAL_OFFSET = "kafka_dlt-original-offset"
ORIGINAL_TIMESTAMP = "kafka_dlt-original-timestamp"
ORIGINAL_TIMESTAMP_TYPE = "kafka_dlt-original-timestamp-type"
ORIGINAL_CONSUMER_GROUP = "kafka_dlt-original-consumer-group"
EXCEPTION_FQCN = "kafka_dlt-exception-fqcn"
EXCEPTION_MESSAGE = "kafka_dlt-exception-message"

TIMESTAMP_TYPES = ("NoTimestampType", "CreateTime", "LogAppendTime")
"""Kafka's TimestampType by its number (-1, 0, 1 in Kafka; 0, 1, 2 in librdkafka, as here)."""
MESSAGE_BYTES = 4096
"""Where a message is cut: a dead letter must stay within the 64 KiB that its topic takes in addition."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The record that became a dead letter.

    Attributes:
        coordinates: where it lies.
        timestamp_ms: its timestamp, -1 for none.
        timestamp_type: librdkafka's number of the timestamp's type.
        group: the consumer group that read it.
    """

    coordinates: Coordinates
    timestamp_ms: int
    timestamp_type: int
    group: str


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
    ]


def cut(text: str, most_bytes: int) -> bytes:
    """Text as UTF-8 of at most so many bytes, cut between characters."""
    return text.encode(errors="replace")[:most_bytes].decode(errors="ignore").encode()
