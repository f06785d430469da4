"""What happens when the group gives this worker partitions or takes them away.

In a revocation the order matters: finish what was read from them (within a budget, others wait as long), commit,
forget. What was lost is another's already: nothing is committed for it.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from worker.committer import Commits
from worker.flow_control import FlowControl
from worker.kafka.records import TopicPartition
from worker.offset_tracker import OffsetTracker, Run

log = logging.getLogger(__name__)

PUMP_SECONDS = 0.01
LONGEST_END_SECONDS = 60.0
"""Longer than any transaction whose coordinator answers."""


class RebalanceObserver(Protocol):
    """Hears of rebalances; implemented by the metrics."""

    def rebalanced(self, event: str, partitions: Sequence[TopicPartition]) -> None:
        """Partitions were `assigned`, `revoked` or `lost`."""
        ...


class Rebalancing:
    """The consumer's rebalance listener; called inside its poll, on the poll thread.

    Args:
        pump: moves what is in flight along without polling the consumer, waiting at most so many seconds.
        drain_seconds: how long a revocation waits for what is in flight.
        on_forgotten: told which runs are not this worker's any more.
        on_gone: told which partitions are not, after that.
    """

    def __init__(  # noqa: PLR0913 - a rebalance concerns every part
        self,
        *,
        tracker: OffsetTracker,
        committer: Commits,
        flow: FlowControl,
        pump: Callable[[float], None],
        drain_seconds: float,
        on_forgotten: Callable[[list[Run]], None],
        on_gone: Callable[[Sequence[TopicPartition]], None],
        observer: RebalanceObserver,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tracker = tracker
        self._committer = committer
        self._flow = flow
        self._pump = pump
        self._drain_seconds = drain_seconds
        self._end_by = math.inf
        self._on_forgotten = on_forgotten
        self._on_gone = on_gone
        self._observer = observer
        self._clock = clock

    def end_by(self, deadline: float) -> None:
        """The worker ends: a revocation waits no longer than until then (monotonic), however late it comes."""
        self._end_by = min(self._end_by, deadline)

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """Follow what the group gives."""
        self._tracker.assign(partitions)
        self._observer.rebalanced("assigned", partitions)
        if not partitions:
            return  # a rebalance that concerned others
        log.info("partitions assigned", extra={"partitions": _shown(partitions)})

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Finish, commit and forget what the group takes."""
        started = self._clock()
        deadline = min(started + self._drain_seconds, self._end_by)
        while self._tracker.unsettled(partitions) and self._clock() < deadline:
            self._pump(PUMP_SECONDS)
        left = self._tracker.unsettled(partitions)
        committed = self._committer.commit_now(partitions)
        self._forget(partitions)
        self._observer.rebalanced("revoked", partitions)
        level = logging.INFO if committed and not left else logging.WARNING
        log.log(
            level,
            "partitions revoked"
            if not left
            else "partitions revoked before all was answered; another worker repeats it",
            extra={
                "partitions": _shown(partitions),
                "unanswered": left,
                "seconds": round(self._clock() - started, 3),
            },
        )

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Forget what is another's already."""
        unsettled = self._tracker.unsettled(partitions)
        self._forget(partitions)
        self._let_end()
        self._observer.rebalanced("lost", partitions)
        log.warning(
            "partitions lost; another worker repeats what was not committed",
            extra={"partitions": _shown(partitions), "unanswered": unsettled},
        )

    def _let_end(self) -> None:
        """Wait for the end of what is on its way, before the consumer joins its group again.

        With the protocol of KIP-848 it may come back as the member that it was (its broker stood still, say, and has
        not missed it): then the group takes the offsets of a transaction from before, and has told it by then to read
        again what that has answered.
        """
        on_its_way = self._committer.on_its_way
        deadline = min(self._clock() + LONGEST_END_SECONDS, self._end_by)
        while on_its_way is not None and self._committer.on_its_way is on_its_way:
            if self._clock() >= deadline:
                log.warning("a transaction has not ended; what it holds may be repeated by this worker")
                return
            self._pump(PUMP_SECONDS)

    def _forget(self, partitions: Sequence[TopicPartition]) -> None:
        self._on_forgotten(self._tracker.forget(partitions))
        self._flow.forget(partitions)
        self._on_gone(partitions)


def _shown(partitions: Sequence[TopicPartition]) -> str:
    return ", ".join(map(str, sorted(partitions)))
