"""Where a group starts in a partition that it has no offset for: at the first record, and it says so.

The offset is committed before any record has been answered, because what watches a group (autoscalers, lag
monitors) takes a group without offsets for one that does not exist, and because a crash before the first
commit would otherwise leave nothing to tell a first start from a lost one.
"""

from collections.abc import Iterable, Mapping

from worker.kafka.consumer import CommitDone, Consumer, ConsumerEvents
from worker.kafka.errors import KafkaProblem
from worker.kafka.records import TopicPartition

_ASK_SECONDS = 1.0  # the consumer's thread waits for the answer


class FirstStart:
    """Partitions of one consumer that still need their first place, or its commit; for its thread only."""

    def __init__(self, consumer: Consumer, events: ConsumerEvents) -> None:
        self._consumer = consumer
        self._events = events
        self._without_place: set[TopicPartition] = set()
        self._to_commit: dict[TopicPartition, int] = {}
        self._committing = False

    def needed(self, partition: TopicPartition) -> None:
        """The group has no offset for an assigned partition."""
        self._without_place.add(partition)

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """They are gone, or have been given another place or a later commit."""
        for partition in partitions:
            self._without_place.discard(partition)
            self._to_commit.pop(partition, None)

    def serve(self) -> None:
        """Place what needs a place and commit it; what fails is reported, and tried at the next call."""
        for partition in tuple(self._without_place):
            try:
                first, _ = self._consumer.watermarks(partition, _ASK_SECONDS)
                self._consumer.seek(partition, first)
            except KafkaProblem as problem:
                self._events.on_problem(problem)
                return
            self._without_place.discard(partition)
            self._to_commit[partition] = first
        if self._to_commit and not self._committing:
            self._commit(dict(self._to_commit))

    def _commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        done: CommitDone = self._committed
        self._committing = True
        try:
            self._consumer.commit_async(offsets, done)
        except KafkaProblem as problem:
            self._committing = False
            self._events.on_problem(problem)
        # A commit forgets what it commits; until it is known to be kept, this one may have to be repeated.
        self._to_commit.update(offsets)

    def _committed(self, offsets: Mapping[TopicPartition, int], problem: KafkaProblem | None) -> None:
        self._committing = False
        if problem is not None:
            self._events.on_problem(problem)
            return
        for partition, offset in offsets.items():
            if self._to_commit.get(partition) == offset:
                del self._to_commit[partition]
