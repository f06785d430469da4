"""The two worlds that a Kafka contract is tested in: the fake one and the real one, through the same few methods."""

import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from tests.fakes.kafka import FakeBroker, FakeConsumer, FakeProducer
from tests.fakes.kafka_share import FakeShareGroup, FakeShareMember
from tests.fakes.kafka_transactions import FakeTransactionalProducer
from tests.kit.broker import Broker
from tests.kit.topic_changes import members, patient_admin
from tests.kit.waiting import PATIENCE_SECONDS, wait_until
from worker.kafka import client_config, clients
from worker.kafka.client_config import PropertyValue
from worker.kafka.consumer import Consumer
from worker.kafka.errors import KafkaProblem
from worker.kafka.producer import Producer
from worker.kafka.records import Message, TopicPartition
from worker.kafka.share import ShareMember
from worker.kafka.transactional import TransactionalProducer
from worker.share_group import ShareGroup

_PAUSE = threading.Event()
Closed = Consumer | Producer | TransactionalProducer | ShareMember


class Witness:
    """Listener, events and reports of one client, as a list of what happened."""

    def __init__(self) -> None:
        self.happened: list[tuple[str, object]] = []
        self.problems: list[KafkaProblem] = []
        self.out_of_range: list[tuple[TopicPartition, int]] = []
        self.on_revoked: Callable[[Sequence[TopicPartition]], None] = lambda _: None

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """See `RebalanceListener`."""
        self.happened.append(("assigned", sorted(partitions)))

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """See `RebalanceListener`."""
        self.happened.append(("revoked", sorted(partitions)))
        self.on_revoked(partitions)

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """See `RebalanceListener`."""
        self.happened.append(("lost", sorted(partitions)))

    def on_problem(self, problem: KafkaProblem) -> None:
        """See `ConsumerEvents`."""
        self.problems.append(problem)

    def on_out_of_range(self, partition: TopicPartition, offset: int) -> None:
        """See `ConsumerEvents`."""
        self.out_of_range.append((partition, offset))

    def names(self) -> list[str]:
        """What happened, without the partitions."""
        return [name for name, _ in self.happened]


class World(Protocol):
    """A broker, and clients on it."""

    @property
    def feeder(self) -> Producer:
        """A producer for what a test needs before it begins."""
        ...

    def topic(self, partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
        """A new topic."""
        ...

    def consumer(self, witness: Witness, group: str, *, missed_soon: bool = False) -> Consumer:
        """A consumer that is not subscribed yet; closed at the end. One that is *missed_soon* can be evicted."""
        ...

    def producer(
        self,
        witness: Witness,
        *,
        queue_records: int = 10_000,
        batch_bytes: int = 1_000_000,
        only_failures: bool = False,
    ) -> Producer:
        """A producer; closed at the end."""
        ...

    def transactional(self, witness: Witness, transactional_id: str) -> TransactionalProducer:
        """A producer of transactions; closed at the end."""
        ...

    def share_member(self, witness: Witness, group: str, *, max_records: int = 500) -> ShareMember:
        """A member of a share group that is not subscribed yet; closed at the end."""
        ...

    def evict(self, consumer: Consumer) -> None:
        """Let the group take a member for dead."""
        ...

    def committed(self, group: str) -> Mapping[TopicPartition, int]:
        """What the group has committed."""
        ...

    def close(self) -> None:
        """Close all clients."""
        ...


class FakeWorld:
    """In memory."""

    def __init__(self) -> None:
        self.broker = FakeBroker(wall=time.time)
        self.feeder: Producer = FakeProducer(self.broker)
        self._share_groups: dict[str, FakeShareGroup] = {}
        self._made: list[Closed] = []

    def topic(self, partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
        """See `World`."""
        return self.broker.create_topic(f"topic-{uuid.uuid4().hex[:6]}", partitions, config)

    def consumer(self, witness: Witness, group: str, *, missed_soon: bool = False) -> Consumer:
        """See `World`."""
        consumer = FakeConsumer(self.broker, witness, group)
        self._made.append(consumer)
        return consumer

    def producer(
        self,
        witness: Witness,
        *,
        queue_records: int = 10_000,
        batch_bytes: int = 1_000_000,
        only_failures: bool = False,
    ) -> Producer:
        """See `World`."""
        producer = FakeProducer(
            self.broker,
            queue_records=queue_records,
            batch_bytes=batch_bytes,
            only_failures=only_failures,
        )
        self._made.append(producer)
        return producer

    def transactional(self, witness: Witness, transactional_id: str) -> TransactionalProducer:
        """See `World`."""
        producer = FakeTransactionalProducer(self.broker)
        self._made.append(producer)
        return producer

    def share_member(self, witness: Witness, group: str, *, max_records: int = 500) -> ShareMember:
        """See `World`."""
        of_group = self._share_groups.setdefault(group, FakeShareGroup(self.broker, time.monotonic))
        member = FakeShareMember(of_group, witness, max_records=max_records, wait=_PAUSE.wait)
        self._made.append(member)
        return member

    def evict(self, consumer: Consumer) -> None:
        """See `World`."""
        assert isinstance(consumer, FakeConsumer)
        self.broker.evict(consumer)

    def committed(self, group: str) -> Mapping[TopicPartition, int]:
        """See `World`."""
        return self.broker.committed(group)

    def close(self) -> None:
        """See `World`."""
        for client in self._made:
            client.close()


class RealWorld:
    """On a real broker.

    Args:
        broker: which.
        make_topic: makes topics there.
        properties: the consumers'.
        feeder: a producer for what tests need before they begin.
        missed_seconds: how long a member that is to be missed soon may go without a poll.
    """

    def __init__(
        self,
        broker: Broker,
        make_topic: Callable[[str, int, Mapping[str, str] | None], str],
        properties: Mapping[str, PropertyValue] | None = None,
        feeder: Producer | None = None,
        *,
        missed_seconds: float = 3.0,
    ) -> None:
        self._where = client_config.connection(broker.bootstrap_servers)
        self._admin = patient_admin(self._where)
        self._make_topic = make_topic
        self._properties = properties or {}
        self._feeder = feeder
        self._made: list[Closed] = []
        self._missed_seconds = missed_seconds
        self._missed_soon: dict[str, PropertyValue] = {"max.poll.interval.ms": int(missed_seconds * 1000)}
        if "group.protocol" not in self._properties:  # of the newer one the broker says this
            self._missed_soon["session.timeout.ms"] = int(missed_seconds * 1000)
        self._group_of: dict[Consumer, str] = {}

    @property
    def feeder(self) -> Producer:
        """See `World`."""
        return self._feeder or self.producer(Witness())

    def topic(self, partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
        """See `World`."""
        return self._make_topic("contract", partitions, config)

    def consumer(self, witness: Witness, group: str, *, missed_soon: bool = False) -> Consumer:
        """See `World`."""
        own = {**self._properties, **(self._missed_soon if missed_soon else {})}
        consumer = clients.group_consumer(self._where, group, witness, own)
        self._made.append(consumer)
        if missed_soon:
            self._group_of[consumer] = group
        return consumer

    def producer(
        self,
        witness: Witness,
        *,
        queue_records: int = 10_000,
        batch_bytes: int = 1_000_000,
        only_failures: bool = False,
    ) -> Producer:
        """See `World`."""
        producer = clients.producer(
            self._where,
            witness.on_problem,
            queue_records=queue_records,
            batch_bytes=batch_bytes,
            only_failures=only_failures,
        )
        self._made.append(producer)
        return producer

    def transactional(self, witness: Witness, transactional_id: str) -> TransactionalProducer:
        """See `World`."""
        producer = clients.transactional_producer(
            self._where, witness.on_problem, transactional_id=transactional_id
        )
        self._made.append(producer)
        return producer

    def share_member(self, witness: Witness, group: str, *, max_records: int = 500) -> ShareMember:
        """See `World`."""
        ShareGroup(self._admin, group).look()
        member = clients.share_member(self._where, group, witness, max_records=max_records)
        self._made.append(member)
        return member

    def evict(self, consumer: Consumer) -> None:
        """Not polling for longer than `max.poll.interval.ms` is the shortest way out of a group."""
        if "group.protocol" in self._properties:  # the broker is not told, so that nobody can be asked
            threading.Event().wait(self._missed_seconds + 1.0)
            return
        group = self._group_of[consumer]
        wait_until(lambda: members(self._where, group) == 0, f"nobody in {group}", every_seconds=0.2)

    def committed(self, group: str) -> Mapping[TopicPartition, int]:
        """See `World`."""
        return self._admin.committed(group)

    def close(self) -> None:
        """See `World`."""
        for client in self._made:
            client.close()


def poll_until(condition: Callable[[], bool], *consumers: Consumer) -> list[Message]:
    """Poll the consumers in turn until the condition holds; what they returned."""
    end = time.monotonic() + PATIENCE_SECONDS
    found: list[Message] = []
    while not condition():
        assert time.monotonic() < end, "it did not come to that in time"
        for consumer in consumers:
            found += consumer.poll(100, 0.05)
    return found


def take(consumer: Consumer, count: int) -> list[Message]:
    """Poll until this many records are there."""
    end = time.monotonic() + PATIENCE_SECONDS
    found: list[Message] = []
    while len(found) < count:
        assert time.monotonic() < end, f"{len(found)} of {count} records came"
        found += consumer.poll(count - len(found), 0.2)
    return found
