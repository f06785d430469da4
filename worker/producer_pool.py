"""The producers of a worker: one for nearly everything, others where a topic takes less.

A broker refuses a whole record batch when it is larger than its topic takes, so no producer's batches may exceed the
smallest limit that it serves. Topics below the main producer's batch size get a producer of their own class
(a power of two), and what was refused all the same is sent by a producer whose batches hold one record.
"""

import threading
from collections.abc import Callable, Iterator

from worker.kafka.producer import Producer
from worker.topic_directory import TopicDirectory

MAX_BATCH_BYTES = 1_000_000  # librdkafka's default batch.size
SMALLEST_CLASS_BYTES = 1024

MakeProducer = Callable[[int, int], Producer]
"""Makes a producer, given the largest batch in bytes and the largest number of records in a batch (0: no bound)."""


class ProducerPool:
    """Finds the producer for a topic; thread-safe. Every producer is polled by the poll thread only.

    Args:
        make: makes a producer.
        directory: what topics take.
        batch_bytes: the main producer's batch size; the smallest limit of the topics that it mainly serves.
    """

    def __init__(self, make: MakeProducer, directory: TopicDirectory, *, batch_bytes: int) -> None:
        self._make = make
        self._directory = directory
        self.batch_bytes = min(batch_bytes, MAX_BATCH_BYTES)
        self._main = make(self.batch_bytes, 0)
        self._lock = threading.Lock()
        self._small: dict[int, Producer] = {}  # written under the lock
        self._alone: Producer | None = None  # written under the lock

    def for_topic(self, topic: str) -> Producer:
        """The producer whose batches that topic takes."""
        limit = self._directory.max_message_bytes(topic)
        if limit >= self.batch_bytes:
            return self._main
        size = max(SMALLEST_CLASS_BYTES, 1 << (limit.bit_length() - 1))
        with self._lock:
            if size not in self._small:
                self._small[size] = self._make(size, 0)
            return self._small[size]

    def alone(self) -> Producer:
        """The producer that sends each record in a batch of its own."""
        with self._lock:
            if self._alone is None:
                self._alone = self._make(self.batch_bytes, 1)
            return self._alone

    def __iter__(self) -> Iterator[Producer]:
        yield self._main
        with self._lock:
            others = list(self._small.values())
            if self._alone is not None:
                others.append(self._alone)
        yield from others

    def __len__(self) -> int:
        """Records handed over and not yet reported, in all producers."""
        return sum(len(producer) for producer in self)
