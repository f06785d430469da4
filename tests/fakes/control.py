"""One compacted topic in memory, with what the general fake does not have: gaps, and a broker that says it is away.

Reader and writer are the general fake's clients with the few methods replaced that control and status topics use.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.kafka import FakeConsumer, FakeProducer
from tests.fakes.kafka_broker import FakeBroker, FakeError, FakeMessage
from worker.kafka.consumer import ConsumerEvents
from worker.kafka.errors import KafkaProblem
from worker.kafka.producer import OnDelivery
from worker.kafka.records import Headers, TopicPartition
from worker.kafka.topic_facts import TopicInfo

GOOD_CONFIG = {"cleanup.policy": "compact", "max.message.bytes": "1048588"}


@dataclass
class Topic:
    """A topic of one partition; also what is asked of an admin client.

    Attributes:
        records: what is there; a test may take some away, as compaction does.
        end: the next offset.
        config: the broker's settings of it.
        partitions: how many it claims to have; 0: it does not exist.
        problem: what every question about it is answered with.
        now_ms: the broker's clock.
        refused: what its writer's records fail with.
        user: whom the broker takes its readers and writers for.
        rights: what that user may do; None: the broker does not say.
        made: how often it has been made: a topic of the same name is another one each time.
    """

    name: str = "control"
    records: list[FakeMessage] = field(default_factory=list)
    end: int = 0
    config: dict[str, str] = field(default_factory=lambda: dict(GOOD_CONFIG))
    partitions: int = 1
    problem: KafkaProblem | None = None
    now_ms: int = 1_000_000
    refused: FakeError | None = None
    user: str = "User:test"
    rights: frozenset[str] | None = None
    made: int = 1

    def add(self, key: bytes | None, value: bytes | None) -> FakeMessage:
        """Append a record."""
        record = FakeMessage(self.name, value, key, offset=self.end, timestamp_ms=self.now_ms)
        self.records.append(record)
        self.end += 1
        return record

    def compact(self) -> None:
        """Keep each key's last record, and no removals."""
        last = {record.key(): record for record in self.records}
        self.records = [r for r in self.records if last[r.key()] is r and r.value() is not None]

    def find(self, names: Sequence[str]) -> Mapping[str, TopicInfo]:
        """As an admin client."""
        if self.problem is not None:
            raise self.problem
        if not self.partitions or self.name not in names:
            return {}
        return {
            self.name: TopicInfo(self.name, self.partitions, 1, rights=self.rights, id=self._id(self.name))
        }

    def topic_ids(self, names: Sequence[str]) -> Mapping[str, str | KafkaProblem]:
        """As an admin client."""
        if self.problem is not None:
            raise self.problem
        return {name: self._id(name) for name in names}

    def _id(self, name: str) -> str:
        return f"{name} {self.made}"

    def topic_config(self, names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """As an admin client."""
        return dict.fromkeys(names, self.config)


class Reader(FakeConsumer):
    """A consumer of one such topic."""

    def __init__(self, topic: Topic, events: ConsumerEvents) -> None:
        super().__init__(FakeBroker(), events)
        self.topic = topic
        self._position: int | None = None

    def watermarks(self, partition: TopicPartition, timeout_seconds: float = 5.0) -> tuple[int, int]:
        """The first offset and the next one."""
        if self.topic.problem is not None:
            raise self.topic.problem
        return (self.topic.records[0].offset() if self.topic.records else self.topic.end), self.topic.end

    def assign(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Read from there."""
        (self._position,) = offsets.values()

    def poll(self, max_records: int, timeout_seconds: float) -> Sequence[FakeMessage]:
        """The next records."""
        if self.topic.problem is not None:
            self._events.on_problem(self.topic.problem)
            return []
        assert self._position is not None
        found = [r for r in self.topic.records if r.offset() >= (self._position or 0)][:max_records]
        if found:
            self._position = found[-1].offset() + 1
        return found

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read from there."""
        self._position = offset

    def lose_place(self) -> None:
        """What the broker says after the topic was made anew."""
        assert self._position is not None
        self._events.on_out_of_range(TopicPartition(self.topic.name, 0), self._position)


class Writer(FakeProducer):
    """A producer to one such topic; records are there, and reported, when it is polled or flushed."""

    def __init__(self, topic: Topic) -> None:
        super().__init__(FakeBroker())
        self.topic = topic
        self._sent: list[tuple[bytes | None, bytes | None, Any]] = []

    def send(
        self,
        topic: str,
        values: Sequence[bytes | None],
        keys: Sequence[bytes | None] | None = None,
        headers: Sequence[Headers | None] | None = None,
        partition: int = -1,
        on_delivery: OnDelivery | Sequence[OnDelivery] | None = None,
    ) -> int:
        """Take everything."""
        assert topic == self.topic.name
        assert keys is not None
        reports = on_delivery if isinstance(on_delivery, Sequence) else [on_delivery] * len(values)
        self._sent += zip(keys, values, reports, strict=True)
        return len(values)

    def poll(self, timeout_seconds: float = 0.0) -> int:
        """Write and report."""
        sent, self._sent = self._sent, []
        for key, value, on_delivery in sent:
            if self.topic.refused is not None:
                on_delivery(self.topic.refused, FakeMessage(self.topic.name, value, key))
            else:
                on_delivery(None, self.topic.add(key, value))
        return len(sent)

    def flush(self, timeout_seconds: float) -> int:
        """Write and report everything."""
        self.poll()
        return 0
