"""Reads topics once, for commands: from a place to the end that they have when the reading begins.

Record by record, so that a topic may be larger than the memory. What is written meanwhile is not read.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

from worker.kafka.consumer import Consumer, ConsumerEvents
from worker.kafka.errors import KafkaProblem, TopicMissing
from worker.kafka.header_reading import read_headers
from worker.kafka.records import OFFSET_BEGINNING, Message, TopicPartition
from worker.kafka.topic_rights import TopicFinder, require

_POLL_RECORDS = 500

Range = tuple[int, int]
"""The first offset, and the one behind the last."""


class TopicScan:
    """A reader of some topics for the length of a `with` block; used by one thread, and its consumer's events.

    Attributes:
        bounds: what each partition holds, as of the beginning.
    """

    def __init__(
        self,
        topics: Sequence[str],
        new_consumer: Callable[[ConsumerEvents], Consumer],
        facts: TopicFinder,
        *,
        quiet_seconds: float = 1.5,
        patience_seconds: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """*quiet_seconds* without a record, and again after the brokers have answered, are an end.

        With a problem that the consumer reports, *patience_seconds* are a failure.
        """
        self.bounds: dict[TopicPartition, Range] = {}
        self._topics = topics
        self._new_consumer = new_consumer
        self._facts = facts
        self._quiet_seconds = quiet_seconds
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._consumer: Consumer | None = None
        self._used = False
        self._heard = clock()
        self._asked = False
        self._problem: KafkaProblem | None = None

    def __enter__(self) -> Self:
        """Look at what is there.

        Raises:
            TopicMissing: there is no such topic.
            NotAuthorized: this user may not read it.
            KafkaProblem: no broker said.
        """
        partitions: dict[str, int] = {}
        for topic in self._topics:
            info = require(self._facts, topic, "READ")
            if info is None:
                raise TopicMissing(f"the topic {topic!r} does not exist", resource=topic)
            partitions[topic] = info.partitions
        consumer = self._consumer = self._new_consumer(self)
        try:
            for topic in self._topics:
                for number in range(partitions[topic]):
                    partition = TopicPartition(topic, number)
                    self.bounds[partition] = consumer.watermarks(partition)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the consumer back."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def read(self, ranges: Mapping[TopicPartition, Range]) -> Iterator[Message]:
        """The records of these ranges, those of one partition in order; may be called again when it has ended.

        Offsets without a record (transactions have some) are passed over.

        Raises:
            KafkaProblem: nothing comes any more.
        """
        wanted = {partition: each for partition, each in ranges.items() if each[0] < each[1]}
        if not wanted:
            return
        consumer = self._fresh()
        consumer.assign({partition: first for partition, (first, _) in wanted.items()})
        behind = set(wanted)
        self._heard, self._asked = self._clock(), False
        while behind:
            arrived = False
            messages = consumer.poll(_POLL_RECORDS, 0.2)
            if messages:
                read_headers(messages)  # one whose headers nobody can read has none from here on
            for message in messages:
                partition = TopicPartition(message.topic(), message.partition())
                first, end = wanted[partition]
                if message.offset() + 1 >= end:
                    behind.discard(partition)
                if first <= message.offset() < end:
                    arrived = True
                    yield message
            if arrived:
                self._heard, self._asked, self._problem = self._clock(), False, None
            elif self._is_the_end(consumer, behind):
                return

    def _is_the_end(self, consumer: Consumer, behind: Collection[TopicPartition]) -> bool:
        """Whether silence means that the last offsets have no record any more."""
        silent_seconds = self._clock() - self._heard
        if self._problem is not None:
            if silent_seconds >= self._patience_seconds:
                raise self._problem
            return False
        if silent_seconds < self._quiet_seconds or self._asked:
            return silent_seconds >= self._quiet_seconds
        for partition in behind:
            consumer.watermarks(partition)  # raises where the leader is away: then silence says nothing
        self._heard, self._asked = self._clock(), True
        return False

    def _fresh(self) -> Consumer:
        """A consumer that has read nothing yet: what another has fetched ahead is not to come twice."""
        if self._used and self._consumer is not None:
            self._consumer.close()
            self._consumer = self._new_consumer(self)
        assert self._consumer is not None
        self._used = True
        return self._consumer

    def on_problem(self, problem: KafkaProblem) -> None:
        """For the consumer: keep what is wrong."""
        self._problem = problem

    def on_out_of_range(self, partition: TopicPartition, offset: int) -> None:
        """For the consumer: what was there when the reading began has expired meanwhile."""
        del offset
        assert self._consumer is not None
        self._consumer.seek(partition, OFFSET_BEGINNING)
