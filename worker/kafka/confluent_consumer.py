"""The consumer on librdkafka.

What the client library does by itself and this adapter does otherwise, each seen on a broker:

* A synchronous commit has no time-out: with a broker that does not answer it stays for as long as that lasts.
  So `commit` commits without waiting and then asks the group, with a time-out, whether the offset is there.
* A partition paused before it was revoked is still paused when it comes back.
* An offset that a partition does not have leaves it dead: `seek` is refused, only assigning it anew helps.
* Closing, or freeing, a client with a commit on the way waits for the broker without end (seen: as long as it
  was gone).
* A client that is closing answers no question about committed offsets, so the listener's turn is before that.
* `consume(n, t)` waits the whole time unless *n* records are there; `poll(t)` and then `consume(n - 1, 0)`
  does not.
* A rebalance can happen between those two calls; the record of the first may then belong to somebody else.
* Partitions that stay through a rebalance may go on too far back: see `repeats`.
"""

import ctypes
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Event
from typing import Any

import confluent_kafka

from worker.kafka import errors, leaders, resuming
from worker.kafka.assignment import Assignment, bare, theirs
from worker.kafka.client_config import ClientConfig, is_incremental, user_of
from worker.kafka.consumer import CommitDone, ConsumerEvents, RebalanceListener
from worker.kafka.places import Places
from worker.kafka.records import Message, TopicPartition
from worker.kafka.rights import on_topic

LONGEST_WAIT_SECONDS = 0.2
_STALE_READINGS = 3
_READING_INTERVAL_SECONDS = 0.1
_OUT_OF_RANGE = frozenset({"_AUTO_OFFSET_RESET", "OFFSET_OUT_OF_RANGE"})

_error: Callable[[Any], Any] = confluent_kafka.Message.error


def _partition_of(message: Message) -> TopicPartition:
    return TopicPartition(message.topic(), message.partition())


class ConfluentConsumer:
    """A `worker.kafka.consumer.Consumer` on librdkafka; one thread owns it.

    Rebalances are answered here, around the listener, incrementally where the group's protocol allows it. A
    listener's error, and a fatal one of the client, leave `poll` after the records in hand have been put
    aside for the next.
    """

    def __init__(
        self,
        config: ClientConfig,
        events: ConsumerEvents,
        *,
        log: logging.Logger | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """*config* comes from `client_config`.

        Raises:
            InvalidProperty: librdkafka refuses a property.
        """
        self._group = config["group.id"]
        self._user = user_of(config)
        self._events = events
        self._clock = clock
        self._kept: list[Message] = []  # read, but a poll could not return them
        self._commits: list[tuple[dict[TopicPartition, int], CommitDone | None]] = []
        self._places = Places(self, events, clock)
        self._assignment = Assignment(is_incremental(config), self._places.forget)
        self._closed = False
        callbacks: dict[str, Any] = {"error_cb": self._on_error, "on_commit": self._on_commit}
        if log is not None:
            callbacks["logger"] = log
        try:
            self._client: Any = confluent_kafka.Consumer({**config, **callbacks})
        except confluent_kafka.KafkaException as error:
            raise errors.translate(error) from error

    def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        """See `Consumer.subscribe`."""
        self._assignment.listener = listener
        self._call(
            self._client.subscribe,
            list(topics),
            on_assign=self._assignment.on_assign,
            on_revoke=self._assignment.on_revoke,
            on_lost=self._assignment.on_lost,
        )

    def assign(self, offsets: Mapping[TopicPartition, int]) -> None:
        """See `Consumer.assign`."""
        self._group = ""  # never joined, so that its rights do not matter
        self._assignment.set_by_hand(offsets)
        self._call(self._client.assign, theirs(offsets))

    def poll(self, max_records: int, timeout_seconds: float) -> Sequence[Message]:
        """See `Consumer.poll`."""
        self._places.serve()
        if self._kept:
            messages, self._kept = self._kept, []
            return messages
        self._assignment.begin_poll()
        first = self._call(self._client.poll, max(0.0, min(timeout_seconds, LONGEST_WAIT_SECONDS)))
        if first is None:
            self._assignment.raise_failure()
            return ()
        repeats = self._assignment.repeats
        repeats.begin()
        messages = repeats.without([first])
        if max_records > 1 and self._assignment.failure is None:
            messages += repeats.without(self._call(self._client.consume, max_records - 1, 0))
        if any(map(_error, messages)):
            messages = [message for message in messages if message.error() is None or self._handle(message)]
        if gone := self._assignment.gone:
            messages = [message for message in messages if _partition_of(message) not in gone]
        if self._assignment.failure is not None:
            self._kept = messages
            self._assignment.raise_failure()
        return messages

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """See `Consumer.pause`."""
        ours = self._assignment.partitions.intersection(partitions)
        self._call(self._client.pause, bare(ours))

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """See `Consumer.resume`."""
        ours = self._assignment.partitions.intersection(partitions)
        for place in self._call(resuming.resume, self._client, bare(ours)):
            self._places.given(TopicPartition(place.topic, place.partition), place.offset)

    def commit(self, offsets: Mapping[TopicPartition, int], timeout_seconds: float = 5.0) -> None:
        """See `Consumer.commit`."""
        if not offsets:
            return
        self.commit_async(offsets, _ignore)
        problem: errors.KafkaProblem = errors.Retriable("")
        pause = Event()
        attempts = max(_STALE_READINGS, 1)
        for attempt in range(attempts):
            # Requests to the coordinator keep their order, so the first reading nearly always tells.
            kept = self.committed(offsets, timeout_seconds)
            missing = [tp for tp, offset in offsets.items() if kept[tp] != offset]
            if not missing:
                return
            problem = errors.StaleMember(
                f"the consumer group {self._group!r} did not keep the offsets committed for "
                f"{', '.join(map(str, missing))}; their records will be read again",
                resource=self._group,
            )
            if attempt + 1 < attempts:
                pause.wait(_READING_INTERVAL_SECONDS)
        raise problem

    def commit_async(self, offsets: Mapping[TopicPartition, int], on_done: CommitDone | None = None) -> None:
        """See `Consumer.commit_async`."""
        if not offsets:
            return
        self._commits.append((dict(offsets), on_done))
        try:
            self._call(self._client.commit, offsets=theirs(offsets), asynchronous=True)
        except errors.KafkaProblem:
            self._commits.pop()
            raise

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """See `Consumer.seek`."""
        if partition not in self._assignment.partitions:
            raise errors.StaleMember(
                f"{partition} is not assigned to this consumer", resource=partition.topic
            )
        self._places.given(partition, offset)
        self._assignment.repeats.forget([partition])
        try:
            self._client.seek(confluent_kafka.TopicPartition(partition.topic, partition.partition, offset))
        except confluent_kafka.KafkaException:
            self._call(self._assignment.start_anew, self._client, partition, offset)

    def committed(
        self, partitions: Iterable[TopicPartition], timeout_seconds: float = 5.0
    ) -> Mapping[TopicPartition, int | None]:
        """See `Consumer.committed`."""
        found = self._call(self._client.committed, bare(partitions), timeout=timeout_seconds)
        for tp in found:
            if tp.error is not None:
                raise self._problem(tp.error, tp.topic)
        return {TopicPartition(tp.topic, tp.partition): tp.offset if tp.offset >= 0 else None for tp in found}

    def watermarks(self, partition: TopicPartition, timeout_seconds: float = 5.0) -> tuple[int, int]:
        """See `Consumer.watermarks`."""
        theirs_of_it = confluent_kafka.TopicPartition(*partition)
        return leaders.watermarks(self._client, theirs_of_it, timeout_seconds, self._user)

    def cached_high(self, partition: TopicPartition) -> int | None:
        """See `Consumer.cached_high`."""
        known = self._client.get_watermark_offsets(confluent_kafka.TopicPartition(*partition), cached=True)
        return None if known is None or known[1] < 0 else known[1]

    def positions(self) -> Mapping[TopicPartition, int]:
        """See `Consumer.positions`."""
        found = self._client.position(bare(self._assignment.partitions))
        return {TopicPartition(tp.topic, tp.partition): tp.offset for tp in found if tp.offset >= 0}

    def membership(self) -> object:
        """See `Consumer.membership`."""
        return self._client.consumer_group_metadata()

    def assignment(self) -> frozenset[TopicPartition]:
        """See `Consumer.assignment`."""
        return frozenset(self._assignment.partitions)

    def close(self, timeout_seconds: float = 5.0) -> None:
        """See `Consumer.close`."""
        if self._closed:
            return
        self._closed = True
        self._assignment.revoke_all()
        end = self._clock() + timeout_seconds
        while self._commits and self._clock() < end:
            self._client.poll(LONGEST_WAIT_SECONDS)
        if self._commits:
            self._abandon()
        else:
            self._call(self._client.close)
        self._assignment.partitions.clear()
        self._assignment.raise_failure()

    def _abandon(self) -> None:
        """Leave the client as it is until the process ends: closing or freeing it waits for the commits without end."""
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._client))
        self._events.on_problem(
            errors.TimedOut(
                f"left the consumer group {self._group!r} without a word: its coordinator does not answer",
                resource=self._group,
            )
        )

    def _call(self, function: Callable[..., Any], *args: Any, topic: str | None = None, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except confluent_kafka.KafkaException as error:
            raise self._problem(error, topic) from error

    def _problem(self, error: Any, topic: str | None = None) -> errors.KafkaProblem:
        wants = [on_topic("READ", topic)] if topic else []
        return errors.translate(error, topic=topic or None, group=self._group, wants=wants, user=self._user)

    def _handle(self, message: Message) -> bool:
        """Take an event that came in a record's place; False, so that it is not taken for a record."""
        error = message.error()
        if error.name() in _OUT_OF_RANGE:
            self._without_place(_partition_of(message), message.offset(), error.str())
        elif error.name() != "_PARTITION_EOF":
            self._on_error(error, message.topic())
        return False

    def _without_place(self, partition: TopicPartition, offset: int | None, why: str) -> None:
        """The client does not know where to go on; where it names an offset, that one is not there."""
        if partition not in self._assignment.partitions:
            return
        if offset is not None and offset >= 0:
            self._events.on_out_of_range(partition, offset)
            return
        position = self._client.position(bare((partition,)))[0].offset
        self._places.lost(partition, position if position >= 0 else None, why)

    def _on_error(self, error: Any, topic: str | None = None) -> None:
        problem = self._problem(error, topic)
        if isinstance(problem, errors.Fatal):
            self._assignment.fail(problem)
        elif self._group or not problem.error_name.startswith("GROUP_"):
            self._events.on_problem(problem)

    def _on_commit(self, error: Any, partitions: Sequence[Any]) -> None:
        offsets = {TopicPartition(tp.topic, tp.partition): tp.offset for tp in partitions}
        failed = next(((tp.error, tp.topic) for tp in partitions if tp.error is not None), (error, None))
        problem = None if failed[0] is None else self._problem(*failed)
        for index, (sent, on_done) in enumerate(self._commits):
            if sent == offsets:
                del self._commits[index]
                if on_done is not None:
                    self._assignment.guarded(on_done, offsets, problem)
                    return
                break
        if problem is not None:
            self._events.on_problem(problem)


def _ignore(offsets: Mapping[TopicPartition, int], problem: errors.KafkaProblem | None) -> None:
    """Of a commit whose outcome is read back."""
