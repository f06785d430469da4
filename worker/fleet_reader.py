"""Reads the status topic for commands: whole from its beginning, then as it goes on."""

import time
from collections.abc import Callable

from worker.broker_time import BrokerTime
from worker.fleet import Fleet
from worker.kafka.consumer import Consumer, ConsumerEvents
from worker.kafka.errors import KafkaProblem, TimedOut, TopicMissing
from worker.kafka.records import OFFSET_BEGINNING, TopicPartition
from worker.kafka.topic_rights import TopicFinder, require

_POLL_RECORDS = 1000


class FleetReader:
    """Follows the status topic into a `Fleet`; used by one thread, and its consumer's events.

    Attributes:
        fleet: what is known.
        problem: what the consumer has reported since the last record came.
    """

    def __init__(
        self,
        topic: str,
        new_consumer: Callable[[ConsumerEvents], Consumer],
        facts: TopicFinder,
        *,
        quiet_seconds: float = 3.0,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.fleet = Fleet()
        self.problem: KafkaProblem | None = None
        self._topic = topic
        self._new_consumer = new_consumer
        self._facts = facts
        self._quiet_seconds = quiet_seconds
        self._clock = clock
        self._wall = wall
        self._time = BrokerTime()
        self._consumer: Consumer | None = None
        self._ends: dict[TopicPartition, int] = {}
        self._behind: set[TopicPartition] = set()

    def now_ms(self) -> float:
        """The broker's time, as far as it can be told."""
        return self._time.at(self._wall() * 1000)

    def open(self, timeout_seconds: float = 30.0) -> None:
        """Read everything that is there.

        Raises:
            TopicMissing: there is no such topic.
            NotAuthorized: this user may not read it.
            KafkaProblem: it could not be read in that time.
        """
        info = require(self._facts, self._topic, "READ")
        if info is None:
            raise TopicMissing(
                f"the status topic {self._topic!r} does not exist; make it with: headrace topics create",
                resource=self._topic,
            )
        consumer = self._consumer = self._new_consumer(self)
        starts = {}
        for number in range(info.partitions):
            partition = TopicPartition(self._topic, number)
            starts[partition], self._ends[partition] = consumer.watermarks(partition)
        self._behind = {p for p, start in starts.items() if start < self._ends[p]}
        consumer.assign(starts)
        self._read_to_end(timeout_seconds)

    def poll(self, timeout_seconds: float) -> int:
        """Take in what has come, waiting at most that long for a record; how many came. Requires: open."""
        assert self._consumer is not None
        messages = self._consumer.poll(_POLL_RECORDS, timeout_seconds)
        arrived_ms = self._wall() * 1000
        for message in messages:
            partition = TopicPartition(message.topic(), message.partition())
            kind, timestamp_ms = message.timestamp()
            if kind:
                fresh = message.offset() >= self._ends.get(partition, 0)
                self._time.saw(timestamp_ms, arrived_ms, fresh=fresh)
            self.fleet.apply(message.key(), message.value(), timestamp_ms)
            if message.offset() + 1 >= self._ends.get(partition, 0):
                self._behind.discard(partition)
        if messages:
            self.problem = None
        return len(messages)

    @property
    def lifeless(self) -> bool:
        """Whether there are workers and none of them seems to live."""
        return bool(self.fleet.members) and not self.fleet.live(self.now_ms())

    def await_life(self, timeout_seconds: float) -> None:
        """While no worker seems to live, wait for a word: the own clock may be ahead of the broker's."""
        began = self._clock()
        while self.lifeless and self._clock() - began < timeout_seconds:
            self.poll(0.2)

    def close(self) -> None:
        """Give the consumer back."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def on_problem(self, problem: KafkaProblem) -> None:
        """For the consumer: keep what is wrong."""
        self.problem = problem

    def on_out_of_range(self, partition: TopicPartition, offset: int) -> None:
        """For the consumer: what was there when the reading began has been cleaned away meanwhile."""
        del offset
        assert self._consumer is not None
        self._consumer.seek(partition, OFFSET_BEGINNING)

    def _read_to_end(self, timeout_seconds: float) -> None:
        began = last_arrival = self._clock()
        while self._behind:
            if self.poll(0.2):
                last_arrival = self._clock()
            now = self._clock()
            if now - last_arrival >= self._quiet_seconds and self.problem is None:
                return  # the last offsets before the end have been cleaned away
            if now - began >= timeout_seconds:
                raise self.problem or TimedOut(
                    f"the status topic {self._topic!r} could not be read within {timeout_seconds:g} s"
                )
