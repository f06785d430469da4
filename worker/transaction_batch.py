"""One transaction: what goes in it, and its way on a thread of its own."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from worker.kafka.records import TopicPartition
from worker.kafka.transactional import Send, TransactionalProducer
from worker.outcomes import Shipment, Turn, together


@dataclass(slots=True)
class Batch:
    """What goes in one transaction.

    Attributes:
        turns: partition by partition, in the order of the requests.
        offsets: of each partition, the offset behind the last.
        is_full: whether it holds as much as one may, so that more waits.
        alone: whether each record is sent in a batch of its own, to find the one that is refused.
    """

    turns: list[Turn]
    offsets: dict[TopicPartition, int]
    is_full: bool = False
    alone: bool = False

    def without(self, partitions: set[TopicPartition]) -> list[Turn]:
        """Take partitions out; the turns that were theirs."""
        left = [turn for turn in self.turns if turn.partition in partitions]
        self.turns = [turn for turn in self.turns if turn.partition not in partitions]
        for partition in partitions:
            self.offsets.pop(partition, None)
        return left


@dataclass(slots=True)
class Attempt:
    """One transaction, on its way on another thread.

    Attributes:
        batch: what goes in it.
        shipments: the same by the places that it goes to.
        done: set when it has ended, well or not.
        error: what went wrong.
    """

    batch: Batch
    producer: TransactionalProducer
    membership: object
    shipments: list[Shipment] = field(init=False)
    done: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None
    _ending: threading.Lock = field(default_factory=threading.Lock)  # guards _then, and done together with it
    _then: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        self.shipments = together(self.batch.turns)

    def run(self) -> None:
        """Do it; what went wrong is kept for the poll thread."""
        try:
            sends = list(map(_send, self.shipments))
            self.producer.transact(sends, self.batch.offsets, self.membership, alone=self.batch.alone)
        except Exception as error:  # noqa: BLE001 - the poll thread decides
            self.error = error
        finally:
            with self._ending:
                self.done.set()
                then = self._then
            if then is not None:
                then()

    def when_done(self, then: Callable[[], None]) -> None:
        """Have something called when it is done, on its thread; at once if it is."""
        with self._ending:
            self._then = then
            done = self.done.is_set()
        if done:
            then()


def _send(shipment: Shipment) -> Send:
    topic, partition = shipment.place
    values, keys, headers = shipment.columns()
    return Send(topic, partition, values, keys, headers)
