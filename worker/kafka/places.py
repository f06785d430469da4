"""Where a partition is read from when the client does not know: where the group has committed, or at its first record.

A group without an offset starts at the first record, and that is committed before any is read: what watches a group
(autoscalers, lag monitors) takes one without offsets for one that does not exist; a crash before the first commit would
leave nothing to tell a first start from a lost one; and a commit that is on its way while records are answered could
arrive behind that of a transaction, and take the group back.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping

from worker.kafka.consumer import Consumer, ConsumerEvents
from worker.kafka.errors import KafkaProblem, Retriable
from worker.kafka.records import TopicPartition

log = logging.getLogger(__name__)

_SHORTEST_ASK_SECONDS, _LONGEST_ASK_SECONDS = 0.25, 1.0
"""The consumer's thread waits for the answer: who gets none in time asks longer next time, and later."""
_REST = 4
AGAIN_AFTER_SECONDS = _REST * _LONGEST_ASK_SECONDS
"""At most; so a fifth of that thread's time goes into asking."""


class Places:
    """The places that partitions of one consumer were given, and those that have none; for its thread only."""

    def __init__(
        self, consumer: Consumer, events: ConsumerEvents, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._consumer = consumer
        self._events = events
        self._clock = clock
        self._given: dict[TopicPartition, int] = {}
        self._wanted: dict[TopicPartition, int | None] = {}
        self._committing = self._one_by_one = False
        self._ask_seconds = _SHORTEST_ASK_SECONDS
        self._not_before = clock()

    def given(self, partition: TopicPartition, offset: int) -> None:
        """A partition is read from here; the client does not tell that before the first record from there."""
        self._given[partition] = offset
        self._wanted.pop(partition, None)

    def lost(self, partition: TopicPartition, position: int | None, why: str) -> None:
        """The client does not know where to go on in an assigned partition.

        The group may have no offset for it. Or it has one, but a transaction holds that open (of a worker that was
        killed, say), and a rebalance has come while the client asked for it: librdkafka 2.16 then says that there is
        none. Or the client takes the log for cut off, rightly or not: then it has been reading, until *position* where
        it knows that, and must begin neither at what was committed nor at the first record.
        """
        place = self._given.get(partition) if position is None else position
        self._wanted[partition] = place
        if place is not None:
            message = f"the client has lost its place in {partition}, and goes on at offset {place}: {why}"
            self._events.on_problem(Retriable(message, resource=partition.topic))

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """They are gone."""
        for partition in partitions:
            self._wanted.pop(partition, None)
            self._given.pop(partition, None)

    def serve(self) -> None:
        """Give a place to what has none; what fails is reported, and tried again."""
        if not self._wanted or self._committing or self._clock() < self._not_before:
            return
        try:
            self._place()
        except KafkaProblem as problem:
            self._failed(problem)
        else:
            self._ask_seconds = _SHORTEST_ASK_SECONDS

    def _place(self) -> None:
        for partition, place in list(self._wanted.items()):
            if place is not None:
                self._go_to(partition, place)
        first: dict[TopicPartition, int] = {}
        for partition, place in self._told().items():
            if place is None:
                first[partition], _ = self._consumer.watermarks(partition, self._ask_seconds)
            else:
                self._go_to(partition, place)
        if first:
            # A later poll tells how it ended; the round after that finds them committed, and places them.
            self._consumer.commit_async(first, self._committed)
            self._committing = True

    def _go_to(self, partition: TopicPartition, place: int) -> None:
        self._consumer.seek(partition, place)
        self.given(partition, place)

    def _told(self) -> Mapping[TopicPartition, int | None]:
        """What the group has committed for those that nobody knows a place for; None: nothing."""
        if not self._wanted:
            return {}
        unknown = list(self._wanted)
        # One that is held open keeps the others from being told of.
        asked = unknown[:1] if self._one_by_one else unknown
        try:
            told = self._consumer.committed(asked, self._ask_seconds)
        except KafkaProblem as problem:
            self._one_by_one = True
            self._wanted[asked[0]] = self._wanted.pop(asked[0])  # it is the last one's turn now
            if not problem.retriable:
                raise
            names = ", ".join(map(str, asked))
            raise Retriable(
                f"it is not known yet where to read {names}: the group's coordinator does not say, or a transaction "
                f"holds the committed offset open: {problem}",
                resource=asked[0].topic,
            ) from problem
        self._one_by_one = False
        return told

    def _committed(self, offsets: Mapping[TopicPartition, int], problem: KafkaProblem | None) -> None:
        self._committing = False
        if problem is not None:
            self._failed(problem)
            return
        for partition, offset in offsets.items():
            log.info(
                "the group has had no offset for a partition: it starts at the first record",
                extra={"partition": str(partition), "offset": offset},
            )

    def _failed(self, problem: KafkaProblem) -> None:
        self._not_before = self._clock() + _REST * self._ask_seconds
        self._ask_seconds = min(2 * self._ask_seconds, _LONGEST_ASK_SECONDS)
        self._events.on_problem(problem)
