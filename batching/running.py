"""Which batches are with their callbacks, since when, and whose next ones wait for that.

A callback that does not return keeps its thread. The other queues must not notice, so other threads stand in for those
that are stuck; and lest those get stuck as well, an owner that has as many threads stuck as there should be gets no
further one until one of them is back.
"""

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from batching.lane import Lane


@dataclass(frozen=True, slots=True)
class Stuck:
    """A batch that is with its callback for long.

    Attributes:
        name: its queue's name.
        owner: whom its queue belongs to.
        seconds: for how long.
    """

    name: str
    owner: Hashable
    seconds: float


class Running:
    """Pure bookkeeping, guarded by the dispatcher's lock; *threads* are how many there should be."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._by_thread: dict[int, tuple[Lane[Any], float]] = {}
        self.held: frozenset[Hashable] = frozenset()
        """Owners whose next batches wait."""
        self._stuck_threads = 0  # at the last look
        self._stand_ins = 0

    def started(self, thread: int, lane: Lane[Any], now: float) -> None:
        """A thread has taken a batch of this lane."""
        self._by_thread[thread] = (lane, now)

    def finished(self, thread: int) -> bool:
        """A thread is done with its batch; whether its owner's next ones need wait no longer."""
        lane, _ = self._by_thread.pop(thread, (None, 0.0))
        if lane is None or lane.owner not in self.held:
            return False
        self.held -= {lane.owner}
        self._stuck_threads -= 1
        return True

    @property
    def count(self) -> int:
        """How many threads are with a batch."""
        return len(self._by_thread)

    @property
    def at_work(self) -> int:
        """How many of these are not stuck, as of the last look."""
        return max(0, len(self._by_thread) - self._stuck_threads)

    def look(self, now: float, stuck_seconds: float) -> bool:
        """See who is stuck; whether that changes whose batches wait."""
        since = [lane.owner for lane, start in self._by_thread.values() if now - start >= stuck_seconds]
        by_owner = Counter(since)
        self._stuck_threads = len(since)
        held = frozenset(owner for owner, count in by_owner.items() if count >= self._threads)
        changed = held != self.held
        self.held = held
        return changed

    def stand_ins_wanted(self, most: int) -> int:
        """How many more threads are to stand in for stuck ones; they count from now on."""
        more = max(0, min(self._stuck_threads, most) - self._stand_ins)
        self._stand_ins += more
        return more

    @property
    def too_many(self) -> bool:
        """Whether more threads stand in than are stuck."""
        return self._stand_ins > self._stuck_threads

    def lets_one_go(self) -> bool:
        """Whether a thread that stands in is not needed any more; then it counts no longer."""
        if not self.too_many:
            return False
        self._stand_ins -= 1
        return True

    def longer_than(self, now: float, seconds: float) -> list[Stuck]:
        """The batches that are with their callbacks for so long, the longest first."""
        found = [
            Stuck(lane.queue.name, lane.owner, now - start)
            for lane, start in self._by_thread.values()
            if now - start >= seconds
        ]
        return sorted(found, key=lambda stuck: -stuck.seconds)
