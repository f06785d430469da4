"""The consumer that the worker is written against: what it promises, without the client library.

`worker.kafka.confluent_consumer` keeps these promises on real brokers, `tests/fakes/kafka.py` in memory; both
pass `tests/contracts/test_consumer.py`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from worker.kafka.errors import KafkaProblem
from worker.kafka.records import Message, TopicPartition

CommitDone = Callable[[Mapping[TopicPartition, int], KafkaProblem | None], None]
"""Told how an asynchronous commit ended: the offsets sent, and what was wrong (None: they are kept)."""


class RebalanceListener(Protocol):
    """What the group does to this member. Called inside `poll` and `close`, on the thread that calls those.

    A partition that comes is not paused. The listener must not call `poll`; `commit` is what `revoked` is
    for. An error that a listener raises leaves `poll` once the rebalance has been answered.
    """

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """These partitions are this member's from now on; their records come with the next polls."""
        ...

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """These partitions go to another member as soon as this returns: finish and commit what can be."""
        ...

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """These partitions are another member's already: forget them, and never commit for them."""
        ...


class ConsumerEvents(Protocol):
    """What a consumer reports besides records and rebalances. Called inside `poll`, on its thread."""

    def on_problem(self, problem: KafkaProblem) -> None:
        """Something is wrong that may pass or be put right; the consumer goes on. May come often."""
        ...

    def on_out_of_range(self, partition: TopicPartition, offset: int) -> None:
        """The partition has no such offset: it stands still until `seek` gives it another place."""
        ...


class Consumer(Protocol):
    """Reads records. One thread owns it: it is not thread-safe, by contract.

    Laws:
    1. `poll` never waits while something is there, and never longer than it was told (and 0.2 s).
    2. Records of one partition come in order, each once between two assignments or seeks of it. None comes
       from a partition that has been revoked, lost or paused.
    3. A partition that the group has no offset for starts at its first record, and that offset is committed.
       A partition whose offset is out of range is never moved silently: `ConsumerEvents.on_out_of_range`.
    4. Nothing is committed but by `commit`, `commit_async` and law 3.
    """

    def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        """Join the group (with the next polls) for these topics."""
        ...

    def assign(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Read these partitions from these offsets (or OFFSET_BEGINNING, OFFSET_END), without a group."""
        ...

    def poll(self, max_records: int, timeout_seconds: float) -> Sequence[Message]:
        """The next records, at most *max_records*; waits for the first one only.

        Waits at most 0.2 s, so that signals are handled: call again. Transient problems go to the events.

        Raises:
            Fatal: this consumer is of no use any more.
        """
        ...

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Fetch nothing from them until `resume`; keeps the membership. Throws prefetched records away."""
        ...

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Fetch from them again, from where `poll` stopped."""
        ...

    def commit(self, offsets: Mapping[TopicPartition, int], timeout_seconds: float = 5.0) -> None:
        """Commit (the offset is that of the *next* record to read) and wait until the group has it.

        Raises:
            KafkaProblem: it is not known to be kept (time-out, rebalance, no right).
        """
        ...

    def commit_async(self, offsets: Mapping[TopicPartition, int], on_done: CommitDone | None = None) -> None:
        """Commit without waiting; a later `poll` calls *on_done*. Without it, a failure is a problem."""
        ...

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Go on reading an assigned partition here. Also how a partition out of range is put right."""
        ...

    def committed(
        self, partitions: Iterable[TopicPartition], timeout_seconds: float = 5.0
    ) -> Mapping[TopicPartition, int | None]:
        """The group's committed offsets; None where there is none.

        Raises:
            KafkaProblem: the group's coordinator did not say.
        """
        ...

    def watermarks(self, partition: TopicPartition, timeout_seconds: float = 5.0) -> tuple[int, int]:
        """Offsets of the first record and of the next one to be written, as the broker says.

        Raises:
            KafkaProblem: the partition's leader did not say.
        """
        ...

    def cached_high(self, partition: TopicPartition) -> int | None:
        """The end of the partition as of the last fetch; None before the first. Never waits."""
        ...

    def positions(self) -> Mapping[TopicPartition, int]:
        """Where the next poll goes on in the assigned partitions, those without any record yet left out. Never waits.

        What a partition holds besides records (ends of transactions, what was written in one that was given up) is
        passed over: a partition read whole has its end here.
        """
        ...

    def membership(self) -> object:
        """Who this consumer is to its group at this moment, for `TransactionalProducer.transact`."""
        ...

    def assignment(self) -> frozenset[TopicPartition]:
        """The partitions that this consumer reads now."""
        ...

    def close(self, timeout_seconds: float = 5.0) -> None:
        """Leave the group; `revoked` is called for what is still assigned. Calling it again does nothing.

        Waits at most that long for commits on the way (and some seconds more for a broker that stands still);
        then the group finds out by itself.
        """
        ...
