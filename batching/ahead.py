"""Working ahead: on which queues, and what the one thread that does it sleeps on."""

from typing import Any

from batching.batch import Batch
from batching.lane import Lane
from batching.ready_order import ReadyOrder
from batching.waiting import Condition


class Ahead:
    """Lanes whose running batches leave their threads idle. Each call requires the dispatcher's lock, which guards it.

    Args:
        condition: on that lock.
        idle_seconds: a queue whose batches leave their threads idle for so long is one to work ahead on.
    """

    def __init__(self, condition: Condition, idle_seconds: float) -> None:
        self._condition = condition
        self._idle_seconds = idle_seconds
        self._idling: dict[Lane[Any], None] = {}
        self._sleeps = False

    def started(self, lane: Lane[Any]) -> None:
        """A thread has taken a batch of this lane; let the next one be worked on where that helps."""
        if lane.idle_seconds >= self._idle_seconds:
            self._idling[lane] = None
            self.wake(lane)

    def finished(self, lane: Lane[Any]) -> None:
        """No batch of this lane runs."""
        self._idling.pop(lane, None)

    def take(self, order: ReadyOrder, now: float) -> tuple[Lane[Any], Batch[Any]] | None:
        """Remove and return a closed batch behind one that leaves its thread idle, with its lane; None without one."""
        for lane in self._idling:
            if lane.queue.holds_closed_batch and not lane.held and order.may_go_ahead(lane, now):
                batch = lane.queue.take(now)
                assert batch is not None, "a closed batch is due at once"
                lane.running_batches += 1
                lane.dispatched_batches += 1
                order.update(lane, now)
                return lane, batch
        return None

    def wake(self, lane: Lane[Any]) -> None:
        """Wake the thread where this lane has something for it."""
        if self._sleeps and lane in self._idling and lane.queue.holds_closed_batch:
            self._sleeps = False
            self._condition.notify()

    def sleep(self) -> None:
        """Wait for something to do, or for the end. For one thread only."""
        self._sleeps = True
        self._condition.wait()
        self._sleeps = False

    def end(self) -> None:
        """Wake the thread to see that all is closed."""
        self._condition.notify()
