"""Exactly once: replies and the offsets of their requests in transactions of the broker's.

A transaction holds, for each partition, the replies (and dead letters) to a run of requests without a gap, and the
offset behind the last of them. It begins when they are ready, so no model runs while one is open. It blocks, so it runs
on a thread of its own; the poll thread takes what is ready, starts it and sees to what came of it.

When it fails, nothing of it was written. What it held is tried again as it is, but for what has gone to another worker
meanwhile, and for records that the broker does not take: those become errors or dead letters.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Protocol

from lifecycle.threads import Executor
from worker.kafka import errors as kafka_errors
from worker.kafka.records import TopicPartition
from worker.kafka.transactional import OutcomeUnknown, RecordsRefused, TransactionalProducer
from worker.log import Occasionally
from worker.offset_tracker import OffsetTracker, Run
from worker.outcomes import Outcome
from worker.reply_order import ReplyOrder
from worker.reply_sizes import header_bytes, key_bytes
from worker.transaction_batch import Attempt, Batch

log = logging.getLogger(__name__)

MOST_REQUESTS = 16_384
"""Requests of one transaction: enough that its own cost is small, few enough that it takes no second."""
AGAIN_AFTER_SECONDS = 1.0
STUCK_SECONDS = 3.0
"""A call of the client that was given one second hangs: librdkafka 2.16 waits for a killed coordinator of the group to
come back, about every other time that one is killed while it is asked to take the offsets of a transaction."""
AWAY_SECONDS = 1.5
"""The poll thread that comes back after so long saw nothing of what others did meanwhile: the process was stopped."""
COMMIT_NOW_SECONDS, COMMIT_NOW_TRIES = 5.0, 2
_PAUSE_SECONDS = 0.005


class Member(Protocol):
    """What a transaction needs of the consumer."""

    def membership(self) -> object:
        """Who it is to its group at this moment."""
        ...

    def committed(
        self, partitions: Iterable[TopicPartition], timeout_seconds: float = 5.0
    ) -> Mapping[TopicPartition, int | None]:
        """The group's committed offsets."""
        ...


class Transactions:
    """Takes what is ready out of the order, transaction by transaction; every method is called by the poll thread.

    It is the `Committer` of exactly-once delivery too: `commit_now` and `step` are what that has.

    Args:
        order: what is ready, and what waits.
        make: makes a producer; another one when the last is of no use any more.
        member: the consumer.
        tracker: told of what was committed.
        executor: runs the transactions, one at a time.
        on_committed: told which runs are done with, and whether a transaction went well.
        refused: what to put in the place of an outcome that the broker does not take, given why; the same again where
            that may pass, or its partition has stopped.
        interval_seconds: between the beginnings of two transactions, unless the first is full: then more waits.
    """

    def __init__(  # noqa: PLR0913 - what it stands between, each by its name
        self,
        order: ReplyOrder,
        *,
        make: Callable[[], TransactionalProducer],
        member: Member,
        tracker: OffsetTracker,
        executor: Executor,
        on_committed: Callable[[list[Run], bool], None],
        refused: Callable[[Outcome, kafka_errors.KafkaProblem], Outcome],
        interval_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._order = order
        self._make = make
        self._member = member
        self._tracker = tracker
        self._executor = executor
        self._on_committed = on_committed
        self._refused = refused
        self._interval_seconds = interval_seconds
        self._clock = clock
        self._producer = make()
        self._attempt: Attempt | None = None
        self._next: Batch | None = None
        self._not_before = self._watched = self._watching_since = clock()
        self._unknown = False  # whether what `_next` holds may be committed already
        self._occasionally = Occasionally(log, seconds=10.0, clock=clock)
        self._failures = 0

    def serve(self) -> None:
        """See to the transaction that is on its way, and begin the next when it is time.

        Raises:
            Exception: what no other try will mend.
        """
        if self._attempt is not None:
            if not self._attempt.done.is_set():
                self._order.sort_in()
                self._watch(self._attempt)
                return
            attempt, self._attempt = self._attempt, None
            self._ended(attempt)
        if self._clock() < self._not_before:
            return
        if self._unknown and not self._settle_unknown():
            return
        if self._next is None:
            turns, offsets = self._order.take(MOST_REQUESTS)
            if not offsets:
                return
            self._next = Batch(turns, offsets, is_full=sum(map(len, turns)) >= MOST_REQUESTS)
        self._begin(self._next)

    @property
    def is_behind(self) -> bool:
        """Whether a transaction is on its way, and another one's replies have come."""
        return self._attempt is not None and self._order.waiting >= MOST_REQUESTS

    @property
    def on_its_way(self) -> object | None:
        """What the transaction holds that has begun and whose end is not known."""
        if self._attempt is not None:
            return self._attempt.batch
        return self._next if self._unknown else None

    def step(self, *, budget_is_short: bool) -> None:
        """Nothing: offsets are committed with the replies."""

    def commit_now(self, partitions: Iterable[TopicPartition] | None = None) -> bool:
        """Commit what is ready and wait for that; whether nothing of these partitions (of all) is left half done."""
        wanted = None if partitions is None else set(partitions)
        end = self._clock() + COMMIT_NOW_SECONDS
        last = self._failures + COMMIT_NOW_TRIES
        while self._clock() < end and self._failures < last:
            self._not_before = min(self._not_before, self._clock())
            self.serve()
            if self._attempt is not None:
                self._attempt.done.wait(_PAUSE_SECONDS)
            elif self._next is None:
                return not self._tracker.unsettled(wanted)
        return False

    def close(self, timeout_seconds: float = COMMIT_NOW_SECONDS) -> None:
        """Wait for the transaction on its way, and let go of producer and thread; what is left is uncommitted."""
        if self._attempt is not None and not self._attempt.done.wait(timeout_seconds):
            self._executor.close(0.0)
            return  # it hangs, and to close its producer would hang too: it ends with the process
        self._producer.close()
        self._executor.close(timeout_seconds)

    def _begin(self, batch: Batch) -> None:
        self._leave_what_is_gone(batch)
        if not batch.offsets:
            self._next = None
            return
        self._not_before = self._clock() + (0.0 if batch.is_full else self._interval_seconds)
        self._watched = self._watching_since = self._clock()
        self._attempt = Attempt(batch, self._producer, self._member.membership())
        self._executor.submit(self._attempt.run)

    def _leave_what_is_gone(self, batch: Batch) -> None:
        """Requests whose partition is another worker's by now are that one's to answer."""
        gone = {turn.partition for turn in batch.turns if not turn.is_ours}
        for turn in batch.without(gone) if gone else ():
            self._order.leave(turn)

    def _ended(self, attempt: Attempt) -> None:
        error = attempt.error
        if error is None:
            self._committed(attempt.batch)
            return
        self._failures += 1
        self._on_committed([], False)  # noqa: FBT003 - went wrong
        self._not_before = self._clock() + AGAIN_AFTER_SECONDS
        if isinstance(error, RecordsRefused):
            self._replace_refused(attempt, error)
        elif isinstance(error, OutcomeUnknown | kafka_errors.Fatal):
            self._replace_producer()
        elif not isinstance(error, kafka_errors.KafkaProblem):
            raise error
        self._occasionally.warning(
            "a transaction failed; what it held is tried again", key=type(error).__name__, problem=str(error)
        )

    def _committed(self, batch: Batch) -> None:
        self._next = None
        for turn in batch.turns:
            turn.records.settle_in(turn.partition.partition, turn.positions)
            for outcomes, chosen in turn.members():
                outcomes.delivery.acknowledged(len(chosen))
        self._on_committed(self._tracker.committed(batch.offsets), True)  # noqa: FBT003 - went well

    def _settle_unknown(self) -> bool:
        """Find out whether the last transaction was committed; False when that cannot be found out yet."""
        assert self._next is not None
        try:
            # Whoever starts ends what was left open: from then on the offsets tell.
            self._producer.start()
            found = self._member.committed(self._next.offsets)
        except kafka_errors.KafkaProblem as problem:
            if isinstance(problem, kafka_errors.Fatal):
                self._replace_producer()
            self._failures += 1
            self._not_before = self._clock() + AGAIN_AFTER_SECONDS
            self._occasionally.warning(
                "it cannot be found out yet whether a transaction was committed", problem=str(problem)
            )
            return False
        self._unknown = False
        if all((found[partition] or 0) >= offset for partition, offset in self._next.offsets.items()):
            self._committed(self._next)
        return True

    def _watch(self, attempt: Attempt) -> None:
        """Give a transaction up that hangs."""
        now = self._clock()
        if now - self._watched > AWAY_SECONDS:
            self._watching_since = now
        self._watched = now
        silent_seconds = now - max(self._watching_since, self._producer.last_call)
        if silent_seconds >= STUCK_SECONDS:
            self._give_up(attempt, silent_seconds)

    def _give_up(self, attempt: Attempt, silent_seconds: float) -> None:
        """Leave a transaction alone that does not end: its thread hangs in the client, and its producer with it."""
        self._occasionally.warning(
            "a transaction hangs in the Kafka client; another producer goes on",
            key="hangs",
            seconds=round(silent_seconds, 1),
        )
        self._failures += 1
        self._on_committed([], False)  # noqa: FBT003 - went wrong
        self._attempt = None
        self._executor.lend_thread()
        attempt.when_done(self._executor.return_thread)
        self._producer = self._make()
        self._unknown = True

    def _replace_producer(self) -> None:
        """Go on with a new one, which ends what the old one has left open when it starts."""
        self._executor.lend_thread()  # the old one may take its time to end
        self._executor.submit(partial(_close, self._producer, self._executor))
        self._producer = self._make()
        self._unknown = True

    def _replace_refused(self, attempt: Attempt, error: RecordsRefused) -> None:
        """Put something that the broker takes in the place of what it does not."""
        batch = attempt.batch
        alone = (kafka_errors.MessageTooLarge, kafka_errors.RecordInvalid)
        if not batch.alone and any(isinstance(p, alone) for _, _, p in error.refused):
            batch.alone = True  # one that is refused takes the others of its batch with it: find it
            self._not_before = self._clock()
            return
        batch.alone = False
        wanted: Counter[tuple[int, bytes | None]] = Counter()
        problems: dict[tuple[int, bytes | None], kafka_errors.KafkaProblem] = {}
        for number, value, problem in error.refused:
            wanted[number, value] += 1
            problems[number, value] = problem
        for number, shipment in enumerate(attempt.shipments):
            members = [(turn, n, turn.at(n)) for turn, chosen in shipment.members for n in chosen.tolist()]
            # Of records with one value it is the largest that is too large.
            for turn, n, outcome in sorted(members, key=lambda each: _beside_value(each[2]), reverse=True):
                key = (number, outcome.value)
                if wanted[key] > 0:
                    wanted[key] -= 1
                    turn.replace(n, self._refused(outcome, problems[key]))
        # What is left of a partition that has stopped meanwhile is taken out before the next try.


def _beside_value(outcome: Outcome) -> int:
    return key_bytes(outcome.key) + header_bytes(outcome.headers)


def _close(producer: TransactionalProducer, executor: Executor) -> None:
    try:
        producer.close()
    finally:
        executor.return_thread()
