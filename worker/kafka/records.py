"""The words that Kafka and the rest of the worker share: partition, message, headers, logical offsets."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

Headers = Sequence[tuple[str, bytes | None]]
"""A record's headers in their order; a name may come more than once, a value may be missing."""

OFFSET_BEGINNING = -2
"""Assign a partition from its first record, wherever that is by now (the number is the protocol's own)."""

OFFSET_END = -1
"""Assign a partition from the next record written."""


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]"


class Message(Protocol):
    """A record read, or the report of one written: the client's own object, so that nothing is copied.

    Methods instead of attributes are the client's way; `map(type(messages[0]).value, messages)` runs in C.
    """

    def topic(self) -> str:
        """The topic that it was read from or sent to."""
        ...

    def partition(self) -> int:
        """The partition; -1 in the report of a record that never got one."""
        ...

    def offset(self) -> int:
        """Its place in the partition; negative in the report of a record that was not written."""
        ...

    def key(self) -> bytes | None:
        """The key, where it has one."""
        ...

    def value(self) -> bytes | None:
        """The value; None is a tombstone."""
        ...

    def headers(self) -> Headers | None:
        """The headers of a record read, where it has any; the report of a record written has none."""
        ...

    def set_headers(self, headers: list[tuple[str, bytes | None]]) -> None:
        """Give it other headers."""
        ...

    def timestamp(self) -> tuple[int, int]:
        """Kind (0: none, 1: the producer's, 2: the broker's) and milliseconds since the epoch (-1: none)."""
        ...

    def error(self) -> Any:  # the client's KafkaError
        """Why it was not written; None in what a poll returns. For `worker.kafka.errors.translate`."""
        ...
