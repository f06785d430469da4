"""Kafka clients that cost next to nothing, for measuring what stands between them.

The consumer hands out messages made beforehand, real ones of the client library, so that reading them costs what it
costs in a worker. The producer takes whatever it is given, and the broker behind it is never late.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any

import confluent_kafka

from worker.kafka.consumer import CommitDone, RebalanceListener
from worker.kafka.records import Headers, Message, TopicPartition
from worker.producer_pool import ProducerKind

SENT_AT_MS = 1_700_000_000_000
KEPT, SMALL = 64, 16
"""Replies kept for who wants to look, of sends of so many at most, where it is of no account."""


def messages(topic: str, values: Iterable[bytes]) -> list[Message]:
    """Records of one partition with these values, without keys and headers, as the client gives them."""
    return [
        confluent_kafka.Message(
            topic=topic, partition=0, offset=offset, value=value, timestamp=(1, SENT_AT_MS)
        )
        for offset, value in enumerate(values)
    ]


class IdleConsumer:
    """A member of a group of one: the same polls come again and again."""

    def __init__(self, polls: Sequence[list[Message]]) -> None:
        self._polls: Iterator[list[Message]] = itertools.cycle(polls)
        self._assigned: list[TopicPartition] = []
        self.polled = 0
        """Records handed out so far."""

    def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        """Be assigned one partition of each topic at once."""
        self._assigned = [TopicPartition(topic, 0) for topic in topics]
        listener.assigned(self._assigned)

    def assign(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Nobody asks."""

    def poll(self, max_records: int, timeout_seconds: float) -> Sequence[Message]:
        """The next poll."""
        del timeout_seconds
        found = next(self._polls)
        assert len(found) <= max_records, "the budget is meant to be larger than what is in flight here"
        self.polled += len(found)
        return found

    def commit_async(self, offsets: Mapping[TopicPartition, int], on_done: CommitDone | None = None) -> None:
        """Keep nothing; it has gone well."""
        if on_done is not None:
            on_done(offsets, None)

    def commit(self, offsets: Mapping[TopicPartition, int], timeout_seconds: float = 5.0) -> None:
        """Keep nothing."""

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Nothing to pause."""

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Nothing to resume."""

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Nothing to seek."""

    def committed(
        self, partitions: Iterable[TopicPartition], timeout_seconds: float = 5.0
    ) -> Mapping[TopicPartition, int | None]:
        """Nothing was committed."""
        del timeout_seconds
        return dict.fromkeys(partitions)

    def watermarks(self, partition: TopicPartition, timeout_seconds: float = 5.0) -> tuple[int, int]:
        """As many as were handed out."""
        del partition, timeout_seconds
        return (0, self.polled)

    def positions(self) -> Mapping[TopicPartition, int]:
        """As many as were handed out."""
        return dict.fromkeys(self._assigned, self.polled)

    def cached_high(self, partition: TopicPartition) -> int | None:
        """As many as were handed out."""
        del partition
        return self.polled

    def membership(self) -> object:
        """Nobody asks."""
        return None

    def assignment(self) -> frozenset[TopicPartition]:
        """Nobody asks."""
        return frozenset()

    def close(self, timeout_seconds: float = 5.0) -> None:
        """Nothing to leave."""


class IdleProducer:
    """Takes everything, and nothing ever fails. What is to be reported is when reports are served next."""

    def __init__(self, kind: ProducerKind) -> None:
        self._only_failures = kind.only_failures
        self._reports: deque[Iterable[Callable[[Any, Any], None]]] = deque()
        self.sent = 0
        """Records taken so far."""
        self.latest: deque[bytes | None] = deque(maxlen=KEPT)
        """The values sent last."""

    def send(
        self,
        topic: str,
        values: Sequence[bytes | None],
        keys: Sequence[bytes | None] | None = None,
        headers: Sequence[Headers | None] | None = None,
        partition: int = -1,
        on_delivery: Any = None,
    ) -> int:
        """Take all of them."""
        del topic, keys, headers, partition
        self.sent += len(values)
        if len(values) <= SMALL:
            self.latest.extend(values)
        if not self._only_failures:
            self._reports.append(repeat(on_delivery, len(values)) if callable(on_delivery) else on_delivery)
        return len(values)

    def poll(self, timeout_seconds: float = 0.0) -> int:
        """Report each record sent since."""
        del timeout_seconds
        served = 0
        while self._reports:
            for report in self._reports.popleft():
                report(None, None)
                served += 1
        return served

    def flush(self, timeout_seconds: float) -> int:
        """Report what is left; nothing is."""
        self.poll(timeout_seconds)
        return 0

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return True  # an empty producer is still one

    def purge(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""
