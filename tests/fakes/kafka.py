"""An in-memory Kafka for tests that step by hand; it passes the contract tests that the real one passes.

Nothing waits and nothing runs by itself: a consumer's `poll` takes part in rebalances and returns what is
there, a producer's `poll` puts what was sent on the broker. Faults are ordered on the broker (`stalled`,
`unreachable`, `refuse`, `evict`, `move`, `delete_records`) and on the clients (`inject`).
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, repeat

from tests.fakes.kafka_broker import FakeBroker, FakeError, FakeMessage
from tests.fakes.murmur2 import partition_for
from worker.kafka import errors
from worker.kafka.consumer import CommitDone, ConsumerEvents, RebalanceListener
from worker.kafka.producer import OnDelivery
from worker.kafka.records import OFFSET_BEGINNING, OFFSET_END, Headers, Message, TopicPartition
from worker.kafka.topic_facts import Lag, TopicInfo, TopicSpec

__all__ = ["FakeAdmin", "FakeBroker", "FakeConsumer", "FakeError", "FakeMessage", "FakeProducer"]


@dataclass(frozen=True)
class FakeMembership:
    """A member at one moment."""

    consumer: "FakeConsumer"
    generation: int

    @property
    def is_current(self) -> bool:
        """Whether the group has not moved on since."""
        return not self.consumer.evicted and self.generation == self.consumer._generation


class FakeConsumer:
    """A `worker.kafka.consumer.Consumer` on a `FakeBroker`.

    *idle* is called with the seconds that `poll` would have waited, by default nothing happens.
    """

    def __init__(
        self,
        broker: FakeBroker,
        events: ConsumerEvents,
        group: str = "group",
        idle: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.group = group
        self.topics: tuple[str, ...] = ()
        self.evicted = False
        self.closed = False
        self._broker = broker
        self._events = events
        self._idle = idle
        self._listener: RebalanceListener | None = None
        self._positions: dict[TopicPartition, int | None] = {}
        self._paused: set[TopicPartition] = set()
        self._read_from: set[TopicPartition] = set()
        self._done: deque[Callable[[], None]] = deque()
        self._injected: deque[errors.KafkaProblem] = deque()
        self._generation = 0  # counts the changes of its assignment

    def inject(self, problem: errors.KafkaProblem) -> None:
        """Let the next poll meet this problem."""
        self._injected.append(problem)

    def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        """See `Consumer.subscribe`."""
        self.topics = tuple(topics)
        self._listener = listener
        self._broker.join(self)

    def assign(self, offsets: Mapping[TopicPartition, int]) -> None:
        """See `Consumer.assign`."""
        self._paused.clear()
        self._positions = {tp: self._place(tp, offset) for tp, offset in offsets.items()}

    def poll(self, max_records: int, timeout_seconds: float) -> Sequence[Message]:
        """See `Consumer.poll`."""
        while self._injected:
            problem = self._injected.popleft()
            if isinstance(problem, errors.Fatal):
                raise problem
            self._events.on_problem(problem)
        while self._done:
            self._done.popleft()()
        if self._listener is not None:
            self._rebalance(self._listener)
        found: list[Message] = []
        for partition in list(self._positions):
            found += self._read(partition, max_records - len(found))
        if not found:
            self._idle(timeout_seconds)
        return found

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """See `Consumer.pause`."""
        self._paused |= self._positions.keys() & set(partitions)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """See `Consumer.resume`."""
        self._paused -= set(partitions)

    @property
    def paused(self) -> frozenset[TopicPartition]:
        """What is paused, for tests."""
        return frozenset(self._paused)

    def commit(self, offsets: Mapping[TopicPartition, int], timeout_seconds: float = 5.0) -> None:
        """See `Consumer.commit`."""
        if self.evicted:
            raise errors.StaleMember("unknown member", error_name="UNKNOWN_MEMBER_ID", resource=self.group)
        self._broker.keep_commit(self.group, offsets)

    def commit_async(self, offsets: Mapping[TopicPartition, int], on_done: CommitDone | None = None) -> None:
        """See `Consumer.commit_async`."""
        problem: errors.KafkaProblem | None = None
        try:
            self.commit(offsets)
        except errors.KafkaProblem as error:
            problem = error

        def done() -> None:
            if on_done is not None:
                on_done(dict(offsets), problem)
            elif problem is not None:
                self._events.on_problem(problem)

        self._done.append(done)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """See `Consumer.seek`."""
        if partition not in self._positions:
            raise errors.StaleMember(
                f"{partition} is not assigned to this consumer", resource=partition.topic
            )
        self._positions[partition] = self._place(partition, offset)

    def committed(
        self, partitions: Iterable[TopicPartition], timeout_seconds: float = 5.0
    ) -> Mapping[TopicPartition, int | None]:
        """See `Consumer.committed`."""
        if self._broker.unreachable or not self._broker.held_open.isdisjoint(partitions):
            raise errors.TimedOut("no answer", error_name="_TIMED_OUT")
        known = self._broker.committed(self.group)
        return {partition: known.get(partition) for partition in partitions}

    def watermarks(self, partition: TopicPartition, timeout_seconds: float = 5.0) -> tuple[int, int]:
        """See `Consumer.watermarks`."""
        return self._broker.bounds(partition)

    def cached_high(self, partition: TopicPartition) -> int | None:
        """See `Consumer.cached_high`."""
        return self._broker.end(partition) if partition in self._positions else None

    def positions(self) -> Mapping[TopicPartition, int]:
        """See `Consumer.positions`."""
        return {tp: at for tp, at in self._positions.items() if at is not None and tp in self._read_from}

    def membership(self) -> object:
        """See `Consumer.membership`."""
        return FakeMembership(self, self._generation)

    def assignment(self) -> frozenset[TopicPartition]:
        """See `Consumer.assignment`."""
        return frozenset(self._positions)

    def close(self, timeout_seconds: float = 5.0) -> None:
        """See `Consumer.close`."""
        if self.closed:
            return
        self.closed = True
        try:
            if self._listener is not None and self._positions and not self.evicted:
                self._listener.revoked(sorted(self._positions))
        finally:
            if self._listener is not None:
                self._broker.leave(self)
            self._positions.clear()

    def _rebalance(self, listener: RebalanceListener) -> None:
        if self.evicted:
            self._generation += 1
            lost = sorted(self._positions)
            self._forget(lost)
            listener.lost(lost)
            self.evicted = False
            self._broker.join(self)
        if going := self._broker.to_give_up(self):
            listener.revoked(going)
            self._generation += 1
            self._forget(going)
            self._broker.disown(self, going)
        if coming := self._broker.take(self):
            self._generation += 1
            for partition in coming:
                self._positions[partition] = self._start(partition)
            listener.assigned(coming)

    def _forget(self, partitions: Iterable[TopicPartition]) -> None:
        for partition in partitions:
            self._positions.pop(partition, None)
            self._paused.discard(partition)
            self._read_from.discard(partition)

    def _start(self, partition: TopicPartition) -> int:
        known = self._broker.committed(self.group).get(partition)
        if known is not None:
            return known
        low, _ = self._broker.bounds(partition)
        self._broker.keep_commit(self.group, {partition: low})
        return low

    def _place(self, partition: TopicPartition, offset: int) -> int:
        low, high = self._broker.bounds(partition)
        return {OFFSET_BEGINNING: low, OFFSET_END: high}.get(offset, offset)

    def _read(self, partition: TopicPartition, most: int) -> Sequence[FakeMessage]:
        position = self._positions.get(partition)
        if position is None or partition in self._paused or most <= 0 or self._broker.unreachable:
            return ()
        low, high = self._broker.bounds(partition)
        if not low <= position <= high:
            self._positions[partition] = None
            self._events.on_out_of_range(partition, position)
            return ()
        found = self._broker.read(partition, position, most)
        self._positions[partition] = position + len(found)
        if found:
            self._read_from.add(partition)
        return found


class FakeProducer:
    """A `worker.kafka.producer.Producer` on a `FakeBroker`; `send` from any thread."""

    def __init__(
        self,
        broker: FakeBroker,
        *,
        queue_records: int = 100_000,
        message_max_bytes: int = 1_000_000,
        batch_bytes: int = 1_000_000,
        only_failures: bool = False,
    ) -> None:
        self.closed = False
        self._broker = broker
        self._queue_records = queue_records
        self._message_max_bytes = message_max_bytes
        self._batch_bytes = batch_bytes
        self._only_failures = only_failures
        self._waiting: deque[tuple[FakeMessage, OnDelivery | None]] = deque()
        self._lock = threading.Lock()
        self._fatal: errors.Fatal | None = None
        self._turn = count()

    def inject(self, problem: errors.Fatal) -> None:
        """Make this producer useless."""
        self._fatal = problem

    def send(
        self,
        topic: str,
        values: Sequence[bytes | None],
        keys: Sequence[bytes | None] | None = None,
        headers: Sequence[Headers | None] | None = None,
        partition: int = -1,
        on_delivery: OnDelivery | Sequence[OnDelivery] | None = None,
    ) -> int:
        """See `Producer.send`."""
        if self._fatal is not None:
            raise self._fatal
        reports = repeat(on_delivery) if on_delivery is None or callable(on_delivery) else on_delivery
        rows = zip(values, keys or repeat(None), headers or repeat(None), reports, strict=False)
        for sent, (value, key, of_one, report) in enumerate(rows):
            record = FakeMessage(topic, value, key, of_one, partition=self._choose(topic, key, partition))
            if record.size_bytes > self._message_max_bytes:
                if report is not None:
                    error = FakeError("MSG_SIZE_TOO_LARGE", "Broker: Message size too large")
                    report(error, record.failed(error))
                continue
            with self._lock:
                if len(self._waiting) >= self._queue_records:
                    return sent
                self._waiting.append((record, report))
        return len(values)

    def poll(self, timeout_seconds: float = 0.0) -> int:
        """See `Producer.poll`."""
        if self._fatal is not None:
            raise self._fatal
        if self._broker.stalled or self._broker.unreachable:
            return 0
        with self._lock:
            waiting, self._waiting = self._waiting, deque()
        served = 0
        for batch in self._batches(waiting):
            outcome = self._broker.write_batch([record for record, _ in batch])
            for index, (record, on_delivery) in enumerate(batch):
                error = outcome if isinstance(outcome, FakeError) else None
                if on_delivery is None or (error is None and self._only_failures):
                    continue
                served += 1
                report = outcome[index] if isinstance(outcome, list) else record.failed(outcome)
                on_delivery(error, report)
        return served

    def flush(self, timeout_seconds: float) -> int:
        """See `Producer.flush`."""
        self.poll(timeout_seconds)
        return len(self)

    def __len__(self) -> int:
        return len(self._waiting)

    def __bool__(self) -> bool:
        return True

    def purge(self) -> None:
        """See `Producer.purge`."""
        while self._waiting:
            record, on_delivery = self._waiting.popleft()
            if on_delivery is not None:
                error = FakeError("_PURGE_QUEUE", "Local: Purged in queue")
                on_delivery(error, record.failed(error))

    def close(self) -> None:
        """See `Producer.close`."""
        if not self.closed:
            self.closed = True
            self.purge()

    def _choose(self, topic: str, key: bytes | None, partition: int) -> int:
        partitions = self._broker.partitions_of(topic)
        if partition >= 0 or partitions == 0:
            return partition
        return next(self._turn) % partitions if key is None else partition_for(key, partitions)

    def _batches(
        self, waiting: Iterable[tuple[FakeMessage, OnDelivery | None]]
    ) -> list[list[tuple[FakeMessage, OnDelivery | None]]]:
        """What goes to the broker together: one partition's records, up to the batch size."""
        done: list[list[tuple[FakeMessage, OnDelivery | None]]] = []
        open_batches: dict[tuple[str, int], list[tuple[FakeMessage, OnDelivery | None]]] = {}
        sizes: dict[tuple[str, int], int] = {}
        for record, on_delivery in waiting:
            place = record.topic(), record.partition()
            if place not in open_batches or sizes[place] + record.size_bytes > self._batch_bytes:
                open_batches[place] = []
                sizes[place] = 0
                done.append(open_batches[place])
            open_batches[place].append((record, on_delivery))
            sizes[place] += record.size_bytes
        return done


class FakeAdmin:
    """What the worker asks of `worker.kafka.admin.Admin`, on a `FakeBroker`."""

    def __init__(self, broker: FakeBroker) -> None:
        self._broker = broker
        self.user = "User:test"

    def topics(self) -> Mapping[str, TopicInfo]:
        """See `Admin.topics`."""
        self._reach()
        return {name: TopicInfo(name, self._broker.partitions_of(name), 1) for name in self._broker.configs}

    def find(self, names: Sequence[str]) -> Mapping[str, TopicInfo]:
        """See `Admin.find`."""
        return {name: info for name, info in self.topics().items() if name in names}

    def topic_config(self, names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """See `Admin.topic_config`."""
        self._reach()
        for name in names:
            if name not in self._broker.configs:
                raise errors.TopicMissing(f"topic {name!r} does not exist", resource=name)
        return {name: dict(self._broker.configs[name]) for name in names}

    def create_topics(self, specs: Sequence[TopicSpec]) -> Mapping[str, errors.KafkaProblem | None]:
        """See `Admin.create_topics`."""
        self._reach()
        outcome: dict[str, errors.KafkaProblem | None] = {}
        for spec in specs:
            if spec.name in self._broker.configs:
                outcome[spec.name] = errors.TopicExists(f"topic {spec.name!r} exists", resource=spec.name)
                continue
            self._broker.create_topic(spec.name, max(1, spec.partitions), spec.config)
            outcome[spec.name] = None
        return outcome

    def delete_topics(self, names: Sequence[str]) -> Mapping[str, errors.KafkaProblem | None]:
        """See `Admin.delete_topics`."""
        self._reach()
        return {name: self._broker.delete_topic(name) for name in names}

    def lag(self, group: str, topics: Sequence[str]) -> Mapping[TopicPartition, Lag]:
        """See `Admin.lag`."""
        self._reach()
        known = self._broker.committed(group)
        partitions = (TopicPartition(t, n) for t in topics for n in range(self._broker.partitions_of(t)))
        return {tp: Lag(known.get(tp), self._broker.bounds(tp)[1]) for tp in partitions}

    def committed(self, group: str) -> Mapping[TopicPartition, int]:
        """See `Admin.committed`."""
        self._reach()
        return self._broker.committed(group)

    def _reach(self) -> None:
        if self._broker.unreachable:
            raise errors.BrokerUnreachable("no Kafka broker answers at fake:9092", error_name="_TRANSPORT")
