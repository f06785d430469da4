"""A member of a share group: records of a topic are dealt out one by one, to however many members there are.

`worker.kafka.confluent_share` keeps these promises on real brokers, `tests/fakes/kafka_share.py` in memory; both pass
`tests/contracts/test_share.py`.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from worker.kafka.records import Message


class Delivered(Message, Protocol):
    """A record of a share group."""

    def delivery_count(self) -> int | None:
        """How often it has been delivered, to whichever member; 1 the first time."""
        ...


class ShareMember(Protocol):
    """Takes records out of a share group. One thread owns it: it is not thread-safe, by contract.

    Laws:
    1. What `poll` returns is nobody else's until it is accepted or released, or the group's lock time has passed.
    2. `poll` may be called only when all that it returned before has been accepted or released.
    3. What is accepted never comes again; what is released, or neither in time, comes again to some member, until
       the group's limit of deliveries is reached: then it never does.
    """

    def subscribe(self, topics: Sequence[str]) -> None:
        """Join the group (with the next polls) for these topics."""
        ...

    def poll(self, timeout_seconds: float) -> Sequence[Delivered]:
        """The next records; waits for the first one, at most 0.2 s. Sends what was accepted and released before.

        Raises:
            Fatal: this member is of no use any more.
        """
        ...

    def accept(self, messages: Iterable[Delivered]) -> None:
        """These are done. Told to the group with the next `poll` or `commit`."""
        ...

    def release(self, messages: Iterable[Delivered]) -> None:
        """These are for another member, or another time. Told to the group with the next `poll` or `commit`."""
        ...

    def commit(self, timeout_seconds: float = 5.0) -> None:
        """Tell the group what was accepted and released, and wait until it knows.

        Raises:
            KafkaProblem: it is not known to know; the records may come again.
        """
        ...

    def close(self) -> None:
        """Leave the group. What was neither accepted nor released comes again. Calling it again does nothing.

        Waits five seconds at most for a broker that does not answer.
        """
        ...
