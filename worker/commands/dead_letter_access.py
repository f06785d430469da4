"""The way of a command to the dead-letter topics, and back to the request topics."""

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from worker.cluster import Cluster
from worker.commands.connecting import connection_of
from worker.kafka import clients
from worker.kafka.consumer import Consumer, ConsumerEvents
from worker.kafka.errors import KafkaProblem
from worker.kafka.producer import Producer
from worker.kafka.topic_rights import TopicFinder
from worker.producer_pool import MAX_BATCH_BYTES
from worker.settings import Settings
from worker.topic_directory import DEFAULT_MAX_MESSAGE_BYTES, TopicLister
from worker.topic_scan import TopicScan

QUEUE_RECORDS, QUEUE_BYTES = 10_000, 64 << 20
"""What is sent again and waits for the broker: no more of it is in memory."""


@dataclass(frozen=True)
class DeadLetterAccess:
    """Makes what a command needs; tests bring their own.

    Attributes:
        facts: which topics there are.
        lister: how large a record they take.
        new_consumer: a consumer that belongs to no group.
        new_producer: a producer whose batches have at most so many bytes.
    """

    facts: TopicFinder
    lister: TopicLister
    new_consumer: Callable[[ConsumerEvents], Consumer]
    new_producer: Callable[[int], Producer]

    def scan(self, topics: Sequence[str]) -> TopicScan:
        """A reader of these topics, for a `with` block."""
        return TopicScan(topics, self.new_consumer, self.facts)

    @contextmanager
    def sending(self, topics: Sequence[str]) -> Iterator[Producer]:
        """A producer for these topics, for the length of a block; what it still has at its end is given up.

        Raises:
            KafkaProblem: no broker said how large a record the topics take.
        """
        limits = self.lister.max_message_bytes(topics)
        # A batch larger than its topic takes would be refused with all that is in it.
        smallest = min(limits.get(topic, DEFAULT_MAX_MESSAGE_BYTES) for topic in topics)
        producer = self.new_producer(min(MAX_BATCH_BYTES, smallest))
        try:
            yield producer
        finally:
            producer.close()


def access_of(settings: Settings) -> DeadLetterAccess:
    """The access that the settings describe.

    Raises:
        InvalidProperty: a client property cannot be used.
    """
    where = connection_of(settings)
    admin = clients.admin(where)

    def new_producer(batch_bytes: int) -> Producer:
        return clients.producer(
            where, _ignore, queue_records=QUEUE_RECORDS, queue_bytes=QUEUE_BYTES, batch_bytes=batch_bytes
        )

    return DeadLetterAccess(admin, Cluster(admin), functools.partial(clients.reader, where), new_producer)


def _ignore(problem: KafkaProblem) -> None:
    """What the producer reports beside: each record has a report of its own."""
