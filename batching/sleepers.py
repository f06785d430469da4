"""The threads that take batches, while there is none to take.

They are of two sorts. One *timekeeper* sleeps until the next batch is due; the others sleep until they are woken. A
batch that becomes available wakes one of the others, or the timekeeper when it is the only one, so that no batch wakes
two threads and no thread wakes to look whether there is something.
"""

import threading
from collections.abc import Callable

from batching.ready_order import ReadyOrder
from batching.waiting import Condition, ConditionFactory, Watch


class Sleepers:
    """While any thread sleeps, as many are on their way as batches can be taken. Each call requires the lock.

    Args:
        lock: the dispatcher's.
        order: what there is to take, and when there will be.
        room: how many batches may be taken now, however many there are.
    """

    def __init__(
        self,
        lock: threading.Lock,
        clock: Callable[[], float],
        make_condition: ConditionFactory,
        order: ReadyOrder,
        room: Callable[[], float],
    ) -> None:
        self._clock = clock
        self._order = order
        self._room = room
        self._work: Condition = make_condition(lock)
        self._timer: Condition = make_condition(lock)  # the timekeeper's
        self._sleeping = 0  # threads on `work` that have not been notified
        self._woken = 0  # threads that have been notified and have not looked yet
        self._watch: Watch | None = None  # None: no thread keeps the time, or it has been notified

    @property
    def count(self) -> int:
        """How many sleep."""
        return self._sleeping + (self._watch is not None)

    def wake_all(self) -> None:
        """Let each look what there is, and whether it is wanted any more."""
        self._wake_sleeping(self._sleeping)
        self._wake_timekeeper()

    def sleep(self) -> None:
        """Wait to be woken, or, as the timekeeper, for the next batch's time."""
        due_at = self._order.next_due_at() if self._room() else None  # else whoever makes room looks again
        if due_at is not None and (self._watch is None or due_at < self._watch.until):
            self._wake_timekeeper()  # which finds its place taken, and sleeps until it is woken
            self._watch = watch = Watch(due_at)
            self._timer.wait(min(max(0.0, due_at - self._clock()), threading.TIMEOUT_MAX))
            if self._watch is watch:
                self._watch = None
                return
        else:
            self._sleeping += 1
            self._work.wait()
        self._woken -= 1

    def wake_enough(self) -> None:
        """Wake threads for the batches that can be taken; keep one thread at the timer."""
        if not self._sleeping and self._watch is None:
            return
        room = self._room()
        wanted = min(self._order.available_batches, room) - self._woken
        if wanted > 0:
            if wanted > self._wake_sleeping(int(wanted)):
                self._wake_timekeeper()
        elif room and not self._woken and (due_at := self._order.next_due_at()) is not None:
            # A thread that has been woken comes by here itself; without one the timer must be seen to now.
            if self._watch is None:
                self._wake_sleeping(1)
            elif due_at < self._watch.until:
                self._wake_timekeeper()

    def _wake_sleeping(self, wanted: int) -> int:
        """Wake up to `wanted` threads on `work`; return how many."""
        woken = min(wanted, self._sleeping)
        if woken:
            self._sleeping -= woken
            self._woken += woken
            self._work.notify(woken)
        return woken

    def _wake_timekeeper(self) -> None:
        if self._watch is not None:
            self._watch = None
            self._woken += 1
            self._timer.notify()
