"""When and how offsets are committed: on a timer, earlier when the budget runs short, at once in a rebalance.

A commit at every block would cost latency; a second without one is the most that is promised.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from worker.kafka.consumer import Consumer
from worker.kafka.errors import KafkaProblem
from worker.kafka.records import TopicPartition
from worker.log import Occasionally
from worker.offset_tracker import OffsetTracker, Run

log = logging.getLogger(__name__)

SHORT_INTERVAL_SECONDS = 0.02  # between commits when the budget is short


class Commits(Protocol):
    """Whoever commits, as the poll loop and rebalances see it.

    Attributes:
        is_behind: whether what is ready is more than it can commit soon, so that to read more helps nobody.
        on_its_way: what may still be committed although its partitions are forgotten, an object each; None: nothing.
    """

    @property
    def is_behind(self) -> bool: ...  # noqa: D102 - above

    @property
    def on_its_way(self) -> object | None: ...  # noqa: D102 - above

    def serve(self) -> None:
        """See to what is on its way; called often."""
        ...

    def step(self, *, budget_is_short: bool) -> None:
        """Commit without waiting, when it is time."""
        ...

    def commit_now(self, partitions: Iterable[TopicPartition] | None = None) -> bool:
        """Commit what may be committed of these partitions (of all, by default) and wait; whether it went well."""
        ...


class Committer:
    """Commits what the tracker allows; owned by the poll thread.

    Args:
        consumer: the member of the group.
        tracker: what may be committed.
        interval_seconds: the pause between two commits.
        on_committed: told which runs a commit has covered, and whether it went well.
    """

    def __init__(
        self,
        consumer: Consumer,
        tracker: OffsetTracker,
        *,
        interval_seconds: float,
        on_committed: Callable[[list[Run], bool], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._consumer = consumer
        self._tracker = tracker
        self._interval_seconds = interval_seconds
        self._on_committed = on_committed
        self._clock = clock
        self._last = clock()
        self.is_behind = False
        self.on_its_way = None  # a commit holds no replies: who reads anew repeats them anyway
        self._outstanding = False
        self._occasionally = Occasionally(log, seconds=10.0, clock=clock)

    def serve(self) -> None:
        """Nothing: replies go their own way."""

    def step(self, *, budget_is_short: bool) -> None:
        """Commit without waiting, when it is time and the last commit has ended."""
        now = self._clock()
        interval = SHORT_INTERVAL_SECONDS if budget_is_short else self._interval_seconds
        if self._outstanding or now - self._last < interval:
            return
        offsets = self._tracker.committable()
        self._last = now
        if offsets:
            self._outstanding = True
            try:
                self._consumer.commit_async(offsets, self._done)
            except KafkaProblem as problem:
                self._done(offsets, problem)

    def commit_now(self, partitions: Iterable[TopicPartition] | None = None) -> bool:
        """Commit what may be committed of these partitions (of all, by default) and wait; whether it went well."""
        offsets = self._tracker.committable()
        if partitions is not None:
            offsets = {p: offsets[p] for p in partitions if p in offsets}
        if not offsets:
            return True
        try:
            self._consumer.commit(offsets)
        except KafkaProblem as problem:
            self._settle(offsets, problem)
            return False
        self._settle(offsets, None)
        return True

    def close(self) -> None:
        """Nothing to let go of."""

    def _done(self, offsets: Mapping[TopicPartition, int], problem: KafkaProblem | None) -> None:
        self._outstanding = False
        self._settle(offsets, problem)

    def _settle(self, offsets: Mapping[TopicPartition, int], problem: KafkaProblem | None) -> None:
        if problem is None:
            self._on_committed(self._tracker.committed(offsets), True)  # noqa: FBT003 - went well
            return
        self._occasionally.warning(
            "a commit failed; it is tried again, and what it covers is repeated if this worker ends before",
            key="commit",
            problem=str(problem),
            partitions=len(offsets),
        )
        self._on_committed([], False)  # noqa: FBT003 - did not
