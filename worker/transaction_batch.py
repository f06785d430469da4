"""One transaction: what goes in it, and its way on a thread of its own."""

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.kafka.records import TopicPartition
from worker.kafka.transactional import Send, TransactionalProducer
from worker.reply_order import Outcome, columns_of

if TYPE_CHECKING:
    from worker.reply_routes import Place


@dataclass(slots=True)
class Batch:
    """What goes in one transaction.

    Attributes:
        outcomes: partition by partition, in the order of the requests.
        offsets: of each partition, the offset behind the last.
        alone: whether each record is sent in a batch of its own, to find the one that is refused.
    """

    outcomes: list[Outcome]
    offsets: dict[TopicPartition, int]
    alone: bool = False

    def sends(self) -> tuple[list[Send], list[list[Outcome]]]:
        """The records by the places that they go to, and whose they are."""
        by_place: dict[Place, list[Outcome]] = defaultdict(list)
        for outcome in self.outcomes:
            if outcome.place is not None:
                by_place[outcome.place].append(outcome)
        sends = []
        for (topic, partition), members in by_place.items():
            values, keys, headers = columns_of(members)
            sends.append(Send(topic, partition, values, keys, headers))
        return sends, list(by_place.values())

    def without(self, gone: Callable[[Outcome], bool]) -> list[Outcome]:
        """Take the partitions of some outcomes out, all of them; the outcomes that were theirs."""
        partitions = {outcome.partition for outcome in self.outcomes if gone(outcome)}
        left = [outcome for outcome in self.outcomes if outcome.partition in partitions]
        self.outcomes = [outcome for outcome in self.outcomes if outcome.partition not in partitions]
        for partition in partitions:
            self.offsets.pop(partition, None)
        return left


class Attempt:
    """One transaction, on its way on another thread."""

    def __init__(self, batch: Batch, producer: TransactionalProducer, membership: object) -> None:
        self.batch = batch
        self._producer = producer
        self._membership = membership
        self._sends, self.members = batch.sends()
        self.done = threading.Event()
        self.error: Exception | None = None
        self._ending = threading.Lock()  # guards _then, and done together with it
        self._then: Callable[[], None] | None = None

    def run(self) -> None:
        """Do it; what went wrong is kept for the poll thread."""
        try:
            self._producer.transact(self._sends, self.batch.offsets, self._membership, alone=self.batch.alone)
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
