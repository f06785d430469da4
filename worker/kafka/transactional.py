"""The producer of exactly-once delivery: what it promises, without the client library.

`worker.kafka.confluent_transactional` keeps these promises on real brokers, `tests/fakes/kafka_transactions.py` in
memory; both pass `tests/contracts/test_transactional.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from worker.kafka.errors import KafkaProblem, Retriable
from worker.kafka.records import Headers, TopicPartition


@dataclass(frozen=True, slots=True)
class Send:
    """Records for one topic, in order.

    Attributes:
        topic: the topic.
        partition: the partition; -1: by key, as Java does.
        values: their values.
        keys: their keys; None where none has one.
        headers: their headers; None where none has any.
    """

    topic: str
    partition: int
    values: Sequence[bytes | None]
    keys: Sequence[bytes | None] | None = None
    headers: Sequence[Headers | None] | None = None

    def one_by_one(self) -> "Iterator[Send]":
        """Each record as a send of its own."""
        for n, value in enumerate(self.values):
            keys = None if self.keys is None else [self.keys[n]]
            headers = None if self.headers is None else [self.headers[n]]
            yield Send(self.topic, self.partition, [value], keys, headers)


class RecordsRefused(KafkaProblem):
    """Records of a transaction were not taken; it was given up, and nothing of it is seen.

    Attributes:
        refused: for each of them the index of its `Send`, its value, and the problem.
    """

    def __init__(self, refused: Sequence[tuple[int, bytes | None, KafkaProblem]]) -> None:
        super().__init__(f"{len(refused)} records were refused, the first because: {refused[0][2]}")
        self.refused = refused


class OutcomeUnknown(Retriable):
    """The transaction may have been committed or not: the group's committed offsets tell, once a new producer is up."""


class TransactionalProducer(Protocol):
    """Writes records and commits a group's offsets, all or nothing; for one thread at a time.

    Laws:
    1. A reader of committed records sees all of a transaction or nothing, and the group's offsets move with it.
    2. A transaction with the membership of a member that the group has moved past is refused whole.
    3. Starting a producer ends what an earlier one of the same id has left open.
    4. A call of the client is given a second, and made again where more is needed: one that lasts much longer hangs.

    Attributes:
        last_call: when the last call of the client began (monotonic); any thread.
    """

    last_call: float

    def start(self) -> None:
        """Be the only producer of this id; end what an earlier one has left open. Calling it again does nothing.

        Raises:
            KafkaProblem: not now; `Fatal`: never with this instance.
        """
        ...

    def transact(
        self,
        sends: Sequence[Send],
        offsets: Mapping[TopicPartition, int],
        membership: object,
        *,
        alone: bool = False,
    ) -> None:
        """Write these records and commit these offsets, in one transaction.

        *membership* is the consumer's (`Consumer.membership`) of before the call. *alone*: each record goes in a batch
        of its own, so that one that is refused takes no others with it; slow.

        Raises:
            RecordsRefused: some records are not taken as they are.
            StaleMember: the group has moved on; the offsets are not this member's to commit.
            OutcomeUnknown: nobody answered in time, or another took over, after the commit had begun.
            Fatal: only a new instance can go on; nothing was committed.
            KafkaProblem: anything else that stood in the way; nothing was committed.
        """
        ...

    def close(self) -> None:
        """Give up what is left, and the connections. Calling it again does nothing."""
        ...
