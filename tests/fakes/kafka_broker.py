"""The broker side of the in-memory Kafka: topics, groups, and the faults that a test orders.

Its clients are in `tests/fakes/kafka.py`.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from tests.fakes.murmur2 import partition_for
from worker.kafka import errors
from worker.kafka.records import Headers, TopicPartition

_RECORD_OVERHEAD_BYTES = 70


class FakeError:
    """A KafkaError of the client, as far as `errors.translate` reads one."""

    def __init__(self, name: str, text: str = "", *, fatal: bool = False, retriable: bool = False) -> None:
        self._name, self._text, self._fatal, self._retriable = name, text or name, fatal, retriable

    def name(self) -> str:
        """Its name."""
        return self._name

    def str(self) -> str:
        """Its sentence."""
        return self._text

    def fatal(self) -> bool:
        """Whether the client is of no use any more."""
        return self._fatal

    def retriable(self) -> bool:
        """Whether trying again may help."""
        return self._retriable


class FakeMessage:
    """A record, or the report of one."""

    __slots__ = (
        "_asked",
        "_deliveries",
        "_error",
        "_headers",
        "_key",
        "_offset",
        "_partition",
        "_timestamp",
        "_topic",
        "_value",
    )

    def __init__(
        self,
        topic: str = "topic",
        value: bytes | None = b"",
        key: bytes | None = None,
        headers: Headers | None = None,
        *,
        partition: int = 0,
        offset: int = -1001,
        timestamp_ms: int = -1,
    ) -> None:
        self._topic, self._partition, self._offset = topic, partition, offset
        self._value, self._key = value, key
        self._headers = list(headers) if headers else None
        self._asked = False
        self._timestamp = (1 if timestamp_ms >= 0 else 0, timestamp_ms)
        self._error: FakeError | None = None
        self._deliveries: int | None = None

    def topic(self) -> str:
        """See `Message.topic`."""
        return self._topic

    def partition(self) -> int:
        """See `Message.partition`."""
        return self._partition

    def offset(self) -> int:
        """See `Message.offset`."""
        return self._offset

    def key(self) -> bytes | None:
        """See `Message.key`."""
        return self._key

    def value(self) -> bytes | None:
        """See `Message.value`."""
        return self._value

    def headers(self) -> Headers | None:
        """See `Message.headers`; a name with a surrogate stands for one that is no UTF-8, and fails as the client's."""
        if self._headers is not None and not all(map(_is_text, self._headers)):
            assert not self._asked, "the second time the client gives a list whose touch ends the process"
            self._asked = True
            raise SystemError(
                "<method 'headers' of 'cimpl.Message' objects> returned a result with an exception set"
            )
        return self._headers

    def set_headers(self, headers: list[tuple[str, bytes | None]]) -> None:
        """See `Message.set_headers`."""
        self._headers = headers

    def timestamp(self) -> tuple[int, int]:
        """See `Message.timestamp`."""
        return self._timestamp

    def error(self) -> FakeError | None:
        """See `Message.error`."""
        return self._error

    def delivery_count(self) -> int | None:
        """See `Delivered.delivery_count`."""
        return self._deliveries

    def delivered(self, times: int) -> "FakeMessage":
        """The record as a share group deals it out, so many times by now."""
        copy = self.written(self._offset, self._timestamp[1])
        copy._deliveries = times
        return copy

    def failed(self, error: FakeError) -> "FakeMessage":
        """The report that this record was not written."""
        report = FakeMessage(self._topic, self._value, self._key, partition=self._partition)
        report._error = error
        return report

    def written(self, offset: int, timestamp_ms: int) -> "FakeMessage":
        """The record as it is in its partition."""
        return FakeMessage(
            self._topic,
            self._value,
            self._key,
            self._headers,
            partition=self._partition,
            offset=offset,
            timestamp_ms=timestamp_ms,
        )

    @property
    def size_bytes(self) -> int:
        """About what it is on the wire."""
        headers = sum(len(name) + len(value or b"") for name, value in self._headers or ())
        return len(self._value or b"") + len(self._key or b"") + headers + _RECORD_OVERHEAD_BYTES

    def __repr__(self) -> str:
        return f"<FakeMessage {self._topic}[{self._partition}]@{self._offset} {self._value!r}>"


def _is_text(header: tuple[str, bytes | None]) -> bool:
    """Whether a header's name can be written as UTF-8."""
    name = header[0]
    return name.isascii() or not any("\ud800" <= character <= "\udfff" for character in name)


class Member(Protocol):
    """A consumer, as the group sees it."""

    group: str
    topics: tuple[str, ...]
    evicted: bool


class _Log:
    """The records of one partition; the oldest may have expired."""

    def __init__(self) -> None:
        self.first = 0
        self.records: list[FakeMessage] = []

    @property
    def end(self) -> int:
        """The next record's offset."""
        return self.first + len(self.records)

    def read(self, offset: int, count: int) -> list[FakeMessage]:
        """So many records from an offset on."""
        start = offset - self.first
        return self.records[start : start + count]

    def expire(self, before: int) -> None:
        """Forget the records before an offset."""
        del self.records[: before - self.first]
        self.first = before


class _Group:
    """Committed offsets, members in their order of joining, and who is to have what."""

    def __init__(self) -> None:
        self.committed: dict[TopicPartition, int] = {}
        self.members: list[Member] = []
        self.target: dict[TopicPartition, Member] = {}
        self.owner: dict[TopicPartition, Member] = {}


class FakeBroker:
    """Topics, groups and faults; thread-safe where producers need it.

    Attributes:
        stalled: while true, producers' records stay on the way.
        unreachable: while true, commits and questions fail; records stay on the way.
        commits: every commit that was kept, in order, as (group, offsets).
        held_open: partitions whose committed offset a transaction holds, so that no group is told of it.
    """

    def __init__(self, wall: Callable[[], float] = lambda: 1_700_000_000.0) -> None:
        self._wall = wall
        self._lock = threading.Lock()
        self._logs: dict[TopicPartition, _Log] = {}
        self.configs: dict[str, dict[str, str]] = {}
        self._groups: defaultdict[str, _Group] = defaultdict(_Group)
        self._refusals: dict[str, tuple[FakeError, int]] = {}
        self.stalled = False
        self.unreachable = False
        self.commits: list[tuple[str, dict[TopicPartition, int]]] = []
        self.held_open: set[TopicPartition] = set()

    # What a test sets up, and what it looks at

    def create_topic(self, name: str, partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
        """Make a topic; its name."""
        self.configs[name] = {"max.message.bytes": "1048588", "cleanup.policy": "delete", **(config or {})}
        for number in range(partitions):
            self._logs[TopicPartition(name, number)] = _Log()
        return name

    def delete_topic(self, name: str) -> errors.KafkaProblem | None:
        """Remove a topic; what was wrong."""
        if self.configs.pop(name, None) is None:
            return errors.TopicMissing(f"topic {name!r} does not exist", resource=name)
        for partition in [tp for tp in self._logs if tp.topic == name]:
            del self._logs[partition]
        return None

    def append(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        headers: Headers | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> int:
        """Put a record into a topic; its offset."""
        number = partition if partition is not None else partition_for(key or b"", self.partitions_of(topic))
        record = FakeMessage(topic, value, key, headers, partition=number)
        return self._write(record, timestamp_ms)

    def records(self, topic: str) -> list[FakeMessage]:
        """All records of a topic, partition by partition."""
        return [m for tp in sorted(self._logs) if tp.topic == topic for m in self._logs[tp].records]

    def partitions_of(self, topic: str) -> int:
        """How many partitions a topic has; 0 where there is no such topic."""
        return sum(tp.topic == topic for tp in self._logs)

    def committed(self, group: str) -> dict[TopicPartition, int]:
        """A group's offsets."""
        return dict(self._groups[group].committed)

    def delete_records(self, partition: TopicPartition, before: int) -> None:
        """Let the records before this offset have expired: they are gone, and take no memory."""
        self._logs[partition].expire(before)

    def refuse(self, topic: str, error: FakeError, records: int = 1) -> None:
        """Refuse the next records sent to a topic."""
        self._refusals[topic] = (error, records)

    def move(self, group: str, partition: TopicPartition, to: Member | None) -> None:
        """Give a partition to another member (None: to nobody); done by the polls of both."""
        of_group = self._groups[group]
        if to is None:
            of_group.target.pop(partition, None)
        else:
            of_group.target[partition] = to

    def evict(self, consumer: Member) -> None:
        """Take a member for dead: its next poll says that its partitions are lost, and joins again."""
        consumer.evicted = True
        self.leave(consumer)

    # What clients use

    def bounds(self, partition: TopicPartition) -> tuple[int, int]:
        """First offset and end of a partition."""
        if self.unreachable:
            raise errors.BrokerUnreachable("no broker answers", error_name="_TRANSPORT")
        if partition not in self._logs:
            raise errors.TopicMissing(f"topic {partition.topic!r} does not exist", resource=partition.topic)
        return self._logs[partition].first, self._logs[partition].end

    def end(self, partition: TopicPartition) -> int:
        """The end of a partition, as clients remember it when no broker can be asked."""
        return self._logs[partition].end

    def read(self, partition: TopicPartition, offset: int, count: int) -> list[FakeMessage]:
        """Records from an offset on."""
        return [] if self.unreachable else self._logs[partition].read(offset, count)

    def keep_commit(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        """Keep a group's offsets."""
        if self.unreachable:
            raise errors.BrokerUnreachable("no broker answers", error_name="_TRANSPORT")
        for partition in offsets:
            self.bounds(partition)
        self._groups[group].committed.update(offsets)
        self.commits.append((group, dict(offsets)))

    def write_batch(self, batch: Sequence[FakeMessage]) -> FakeError | list[FakeMessage]:
        """Write a batch as a broker does: wholly or not at all."""
        if (error := self.refusal(batch)) is not None:
            return error
        return [record.written(self._write(record, None), int(self._wall() * 1000)) for record in batch]

    def refusal(self, batch: Sequence[FakeMessage]) -> FakeError | None:
        """Why a batch is not taken; a refusal that a test has ordered is used up by it."""
        topic = batch[0].topic()
        if topic not in self.configs:
            return FakeError("UNKNOWN_TOPIC_OR_PART")
        if topic in self._refusals:
            error, left = self._refusals.pop(topic)
            if left > len(batch):
                self._refusals[topic] = (error, left - len(batch))
            return error
        if sum(record.size_bytes for record in batch) > int(self.configs[topic]["max.message.bytes"]):
            return FakeError("MSG_SIZE_TOO_LARGE", "Broker: Message size too large")
        return None

    def _write(self, record: FakeMessage, timestamp_ms: int | None) -> int:
        with self._lock:
            log = self._logs[TopicPartition(record.topic(), record.partition())]
            stamp = int(self._wall() * 1000) if timestamp_ms is None else timestamp_ms
            log.records.append(record.written(log.end, stamp))
            return log.end - 1

    def join(self, consumer: Member) -> None:
        """A member joins its group, or joins again."""
        of_group = self._groups[consumer.group]
        if consumer not in of_group.members:
            of_group.members.append(consumer)
            self._share_out(of_group)

    def leave(self, consumer: Member) -> None:
        """A member is out of its group, and so are its partitions."""
        of_group = self._groups[consumer.group]
        if consumer in of_group.members:
            of_group.members.remove(consumer)
        for partition in [tp for tp, owner in of_group.owner.items() if owner is consumer]:
            del of_group.owner[partition]
        self._share_out(of_group)

    def _share_out(self, of_group: _Group) -> None:
        """Round robin over the members, as far as possible leaving what is where it is."""
        topics = {topic for member in of_group.members for topic in member.topics}
        partitions = sorted(tp for tp in self._logs if tp.topic in topics)
        kept = {tp: m for tp, m in of_group.target.items() if m in of_group.members and tp in partitions}
        of_group.target = kept
        if not of_group.members:
            return
        most = -(-len(partitions) // len(of_group.members))
        load = dict.fromkeys(of_group.members, 0)
        for partition in partitions:
            member = kept.get(partition)
            if member is not None and load[member] < most:
                load[member] += 1
            else:
                kept.pop(partition, None)
        for partition in partitions:
            if partition not in kept:
                member = min(of_group.members, key=load.__getitem__)
                kept[partition] = member
                load[member] += 1

    def to_give_up(self, consumer: Member) -> list[TopicPartition]:
        """What a member owns and is not to have."""
        of_group = self._groups[consumer.group]
        return sorted(
            tp
            for tp, owner in of_group.owner.items()
            if owner is consumer and of_group.target.get(tp) is not consumer
        )

    def disown(self, consumer: Member, partitions: Iterable[TopicPartition]) -> None:
        """A member has given these up."""
        for partition in partitions:
            self._groups[consumer.group].owner.pop(partition, None)

    def take(self, consumer: Member) -> list[TopicPartition]:
        """What a member is to have and nobody owns any more: now it does."""
        of_group = self._groups[consumer.group]
        free = [tp for tp, m in of_group.target.items() if m is consumer and tp not in of_group.owner]
        of_group.owner.update(dict.fromkeys(free, consumer))
        return sorted(free)
