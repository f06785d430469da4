"""Transactions on the in-memory Kafka: all of one is written at its end, or nothing."""

from collections import deque
from collections.abc import Mapping, Sequence
from itertools import count, repeat

from tests.fakes.kafka import FakeMembership
from tests.fakes.kafka_broker import FakeBroker, FakeMessage
from tests.fakes.murmur2 import partition_for
from worker.kafka import errors
from worker.kafka.records import TopicPartition
from worker.kafka.transactional import OutcomeUnknown, RecordsRefused, Send


class FakeTransactionalProducer:
    """A `worker.kafka.transactional.TransactionalProducer` on a `FakeBroker`."""

    def __init__(self, broker: FakeBroker) -> None:
        self.closed = False
        self.transactions = 0
        """How many were committed."""
        self.last_call = 0.0
        self._broker = broker
        self._injected: deque[tuple[errors.KafkaProblem, bool]] = deque()
        self._turn = count()

    def inject(self, problem: errors.KafkaProblem, *, after_commit: bool = False) -> None:
        """Let the next transaction meet this problem, before anything is written or after everything is."""
        self._injected.append((problem, after_commit))

    def start(self) -> None:
        """See `TransactionalProducer.start`."""
        if self._broker.unreachable:
            raise errors.TimedOut("no answer", error_name="_TIMED_OUT")

    def transact(
        self,
        sends: Sequence[Send],
        offsets: Mapping[TopicPartition, int],
        membership: object,
        *,
        alone: bool = False,
    ) -> None:
        """See `TransactionalProducer.transact`."""
        self.start()
        problem, after_commit = self._injected.popleft() if self._injected else (None, False)
        if problem is not None and not after_commit:
            raise problem
        if self._broker.stalled:
            raise errors.TimedOut("the broker has not acknowledged the records", error_name="_TIMED_OUT")
        batches = [batch for n, send in enumerate(sends) for batch in self._batches(n, send, alone=alone)]
        refused = []
        for number, batch in batches:
            if (error := self._broker.refusal(batch)) is not None:
                translated = errors.translate(error, topic=batch[0].topic())
                refused += [(number, record.value(), translated) for record in batch]
        if refused:
            raise RecordsRefused(refused)
        assert isinstance(membership, FakeMembership)
        if not membership.is_current:
            raise errors.StaleMember("the group has moved on", error_name="ILLEGAL_GENERATION")
        for _, batch in batches:
            written = self._broker.write_batch(batch)
            assert isinstance(written, list)
        self._broker.keep_commit(membership.consumer.group, offsets)
        self.transactions += 1
        if problem is not None:
            assert isinstance(problem, OutcomeUnknown | errors.Fatal)
            raise problem

    def close(self) -> None:
        """See `TransactionalProducer.close`."""
        self.closed = True

    def _batches(self, number: int, send: Send, *, alone: bool) -> list[tuple[int, list[FakeMessage]]]:
        """The records of a send as batches of one partition each."""
        by_partition: dict[int, list[FakeMessage]] = {}
        singles = []
        rows = zip(send.values, send.keys or repeat(None), send.headers or repeat(None), strict=False)
        for value, key, headers in rows:
            partition = self._choose(send.topic, key, send.partition)
            record = FakeMessage(send.topic, value, key, headers, partition=partition)
            singles.append((number, [record]))
            by_partition.setdefault(partition, []).append(record)
        return singles if alone else [(number, batch) for batch in by_partition.values()]

    def _choose(self, topic: str, key: bytes | None, partition: int) -> int:
        partitions = self._broker.partitions_of(topic)
        if partition >= 0 or partitions == 0:
            return partition
        return next(self._turn) % partitions if key is None else partition_for(key, partitions)
