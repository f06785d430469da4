"""The ways in which requests are read, as the request path sees them."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from worker.kafka.records import TopicPartition
from worker.polled_records import PolledRecords


class Loop(Protocol):
    """Owns the client that reads; one thread calls it."""

    @property
    def last_step(self) -> float:
        """When it last came round; monotonic, read from any thread."""

    def step(self) -> None:
        """Come round once.

        Raises:
            Fatal: a client is of no use any more.
        """

    def finish(self, deadline: float) -> bool:
        """Read nothing more, finish what was read, until *deadline* (monotonic); whether all was.

        Raises:
            Fatal: as `step`.
        """


class Reading(Protocol):
    """Reads requests, and says which of them are done."""

    @property
    def loop(self) -> Loop:
        """What reads."""

    @property
    def stopped(self) -> Mapping[TopicPartition, str]:
        """Partitions that stand still until an operator acts, with the reason; any thread."""

    def join(self, topics: Sequence[str]) -> None:
        """Begin to read these topics, with the next step."""

    def follow(self, records: PolledRecords) -> None:
        """Records have been read, of which every one will have its outcome."""

    def stick(self, records: PolledRecords, positions: Sequence[int], reason: str) -> None:
        """The records at these positions can neither be answered nor become dead letters."""

    def lose(self, topic: str) -> None:
        """A request topic is another one by now: nothing that was read of it may be committed."""

    def end_by(self, deadline: float) -> None:
        """The worker ends: nothing waits longer than until then (monotonic)."""

    def close_commits(self) -> None:
        """Let go of whoever commits."""

    def leave(self) -> None:
        """Leave the group; calling it again does nothing.

        Raises:
            KafkaProblem: the group could not be told.
        """
