"""One compacted topic in memory, its reader and its writer, with faults to inject: enough for control and status."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from worker.kafka.admin import TopicInfo
from worker.kafka.consumer import CommitDone, ConsumerEvents, RebalanceListener
from worker.kafka.errors import KafkaProblem
from worker.kafka.producer import OnDelivery
from worker.kafka.records import Headers, TopicPartition

GOOD_CONFIG = {"cleanup.policy": "compact", "max.message.bytes": "1048588"}


@dataclass(frozen=True)
class Record:
    """A record as the client gives it."""

    place: TopicPartition
    at: int
    key_bytes: bytes | None
    value_bytes: bytes | None
    timestamp_ms: int

    def topic(self) -> str:
        """Its topic."""
        return self.place.topic

    def partition(self) -> int:
        """Its partition."""
        return self.place.partition

    def offset(self) -> int:
        """Its offset."""
        return self.at

    def key(self) -> bytes | None:
        """Its key."""
        return self.key_bytes

    def value(self) -> bytes | None:
        """Its value."""
        return self.value_bytes

    def headers(self) -> Headers | None:
        """It has none."""
        return None

    def timestamp(self) -> tuple[int, int]:
        """The broker's time."""
        return 2, self.timestamp_ms

    def error(self) -> Any:
        """It has none."""
        return None


@dataclass
class Topic:
    """A topic of one partition.

    Attributes:
        records: what is there; a test may take some away, as compaction does.
        end: the next offset.
        config: the broker's settings of it.
        partitions: how many it claims to have; 0: it does not exist.
        problem: what every question about it is answered with.
        now_ms: the broker's clock.
        refused: what its writer's records fail with.
    """

    name: str = "control"
    records: list[Record] = field(default_factory=list)
    end: int = 0
    config: dict[str, str] = field(default_factory=lambda: dict(GOOD_CONFIG))
    partitions: int = 1
    problem: KafkaProblem | None = None
    now_ms: int = 1_000_000
    refused: Any = None

    def add(self, key: bytes | None, value: bytes | None) -> Record:
        """Append a record."""
        record = Record(TopicPartition(self.name, 0), self.end, key, value, self.now_ms)
        self.records.append(record)
        self.end += 1
        return record

    def compact(self) -> None:
        """Keep each key's last record, and no removals."""
        last = {record.key(): record for record in self.records}
        self.records = [r for r in self.records if last[r.key()] is r and r.value() is not None]

    def topics(self) -> Mapping[str, TopicInfo]:
        """As an admin client."""
        if self.problem is not None:
            raise self.problem
        return {self.name: TopicInfo(self.name, self.partitions, 1)} if self.partitions else {}

    def topic_config(self, names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """As an admin client."""
        return dict.fromkeys(names, self.config)


class Reader:
    """A consumer of one such topic; only what is assigned by hand works."""

    def __init__(self, topic: Topic, events: ConsumerEvents) -> None:
        self._topic = topic
        self._events = events
        self._position: int | None = None
        self.closed = False

    def watermarks(self, partition: TopicPartition, timeout_seconds: float = 5.0) -> tuple[int, int]:
        """The first offset and the next one."""
        if self._topic.problem is not None:
            raise self._topic.problem
        return (self._topic.records[0].at if self._topic.records else self._topic.end), self._topic.end

    def assign(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Read from there."""
        (self._position,) = offsets.values()

    def poll(self, max_records: int, timeout_seconds: float) -> Sequence[Record]:
        """The next records."""
        if self._topic.problem is not None:
            self._events.on_problem(self._topic.problem)
            return []
        assert self._position is not None
        found = [r for r in self._topic.records if r.at >= self._position][:max_records]
        if found:
            self._position = found[-1].at + 1
        return found

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read from there."""
        self._position = offset

    def lose_place(self, partition: TopicPartition) -> None:
        """What the broker says after the topic was made anew."""
        assert self._position is not None
        self._events.on_out_of_range(partition, self._position)

    def close(self) -> None:
        """End."""
        self.closed = True

    def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        """Not for these topics."""
        raise NotImplementedError

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Not for these topics."""
        raise NotImplementedError

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Not for these topics."""
        raise NotImplementedError

    def commit(self, offsets: Mapping[TopicPartition, int], timeout_seconds: float = 5.0) -> None:
        """Not for these topics."""
        raise NotImplementedError

    def commit_async(self, offsets: Mapping[TopicPartition, int], on_done: CommitDone | None = None) -> None:
        """Not for these topics."""
        raise NotImplementedError

    def committed(
        self, partitions: Iterable[TopicPartition], timeout_seconds: float = 5.0
    ) -> Mapping[TopicPartition, int | None]:
        """Not for these topics."""
        raise NotImplementedError

    def cached_high(self, partition: TopicPartition) -> int | None:
        """The next offset."""
        return self._topic.end

    def assignment(self) -> frozenset[TopicPartition]:
        """The one partition."""
        return frozenset({TopicPartition(self._topic.name, 0)})


class Writer:
    """A producer to one such topic; records are there, and reported, when it is polled or flushed."""

    def __init__(self, topic: Topic) -> None:
        self._topic = topic
        self._waiting: list[tuple[bytes | None, bytes | None, OnDelivery | None]] = []
        self.room = 1000
        self.closed = False

    def send(
        self,
        topic: str,
        values: Sequence[bytes | None],
        keys: Sequence[bytes | None] | None = None,
        headers: Sequence[Headers | None] | None = None,
        partition: int = -1,
        on_delivery: OnDelivery | Sequence[OnDelivery] | None = None,
    ) -> int:
        """Take as many as there is room for."""
        assert on_delivery is None or callable(on_delivery)
        assert topic == self._topic.name
        taken = list(zip(keys or [None] * len(values), values, strict=True))[: self.room]
        self._waiting += [(key, value, on_delivery) for key, value in taken]
        return len(taken)

    def poll(self, timeout_seconds: float = 0.0) -> int:
        """Write and report."""
        waiting, self._waiting = self._waiting, []
        for key, value, on_delivery in waiting:
            if self._topic.refused is not None:
                refused = Record(TopicPartition(self._topic.name, 0), -1, key, value, 0)
                if on_delivery is not None:
                    on_delivery(self._topic.refused, refused)
                continue
            record = self._topic.add(key, value)
            if on_delivery is not None:
                on_delivery(None, record)
        return len(waiting)

    def flush(self, timeout_seconds: float) -> int:
        """Write and report everything."""
        self.poll()
        return 0

    def __len__(self) -> int:
        return len(self._waiting)

    def purge(self) -> None:
        """Drop what waits."""
        self._waiting = []

    def close(self) -> None:
        """End."""
        self.closed = True


class ClientError:
    """The client's error of that name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def name(self) -> str:
        """The protocol's name."""
        return self._name

    def str(self) -> str | None:
        """A sentence."""
        return f"it said {self._name}"

    def fatal(self) -> bool:
        """It is not."""
        return False

    def retriable(self) -> bool:
        """It is not."""
        return False
