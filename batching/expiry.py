"""Tasks that run out of time while they wait: which queue has one next, and who hands them over.

A thread of its own keeps the deadlines, because every batch thread may be with a callback when one passes. It is woken
for an earlier deadline than all before and sleeps through the rest; a task without a deadline never gets here.
"""

import heapq
import itertools
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from batching.batch import NEVER
from batching.lane import Lane
from batching.ready_order import ReadyOrder
from batching.waiting import ConditionFactory


class Expiry:
    """A heap of lanes by their earliest deadline, and the tasks that have left their queues and wait to be handed over.

    Part of the dispatcher, whose lock guards it: `wait`, `poll` and `told` take it, `claim` and `disclaim` need none,
    the others require it. An entry is corrected when its time comes, not when its task leaves early: most tasks are
    processed long before.

    Args:
        lock: the dispatcher's.
        order: is told of each queue that changes.
        wake_enough: wakes threads for what can be taken then.
        forget: is told of each lane with which there may be nothing more to do.
    """

    def __init__(
        self,
        lock: threading.Lock,
        clock: Callable[[], float],
        make_condition: ConditionFactory,
        order: ReadyOrder,
        wake_enough: Callable[[], None],
        forget: Callable[[Lane[Any]], None],
    ) -> None:
        self.next_at = NEVER
        """No task is out of time before."""
        self._lock = lock
        self._clock = clock
        self._kept = make_condition(lock)  # its keeper sleeps on it
        self._order = order
        self._wake_enough = wake_enough
        self._forget = forget
        self._heap: list[tuple[float, int, Lane[Any]]] = []
        self._entries = itertools.count()  # decides between equal times, as lanes have no order
        self._expired: deque[tuple[Lane[Any], Any]] = deque()
        self._unclaimed = [True]  # empty as soon as somebody has the keeper to start
        self._ended = False

    def claim(self) -> bool:
        """Return whether a keeper is to be started: once, and not after the end."""
        if not self._unclaimed:
            return False
        try:
            self._unclaimed.pop()  # one of those who are here at the same time gets it
        except IndexError:
            return False
        return not self._ended

    def disclaim(self) -> None:
        """Say that the keeper could not be started."""
        self._unclaimed = [True]

    def note(self, lane: Lane[Any], deadline: float) -> None:
        """Take in the deadline of a task that waits in this lane."""
        if deadline < lane.expires_at:
            lane.expires_at = deadline
            heapq.heappush(self._heap, (deadline, next(self._entries), lane))
            if deadline < self.next_at:
                self.next_at = deadline
                self._kept.notify()

    def look(self, now: float) -> bool:
        """Remove tasks that are out of time from their queues; return whether there were any."""
        found = False
        while self._heap and self._heap[0][0] <= now:
            deadline, _, lane = heapq.heappop(self._heap)
            if deadline != lane.expires_at:
                continue  # an earlier entry was in its place
            tasks = lane.queue.expire(now)
            lane.expires_at = lane.queue.expires_at
            if lane.expires_at < NEVER:
                heapq.heappush(self._heap, (lane.expires_at, next(self._entries), lane))
            if tasks:
                found = True
                lane.expiring_tasks += len(tasks)
                lane.expired_tasks += len(tasks)
                self._expired.extend((lane, task) for task in tasks)
            self._order.update(lane, now)
        self.next_at = self._heap[0][0] if self._heap else NEVER
        if found:
            self._kept.notify()
        return found

    def remove(self, lane: Lane[Any]) -> None:
        """Keep no closed lane, and what it leads to, for deadlines of tasks that left it long ago."""
        if self._heap:
            self._heap = [entry for entry in self._heap if entry[2] is not lane]
            heapq.heapify(self._heap)

    def end(self) -> None:
        """Let the keeper end: there will be no further task."""
        self._ended = True
        self._kept.notify()

    def wait(self) -> tuple[Lane[Any], Any] | None:
        """Wait for a task that is out of time and return it with its lane; None at the end. For the keeper."""
        with self._lock:
            while not self._expired and not self._ended:
                now = self._clock()
                if self.next_at <= now:
                    if self.look(now):
                        self._wake_enough()
                else:
                    seconds = self.next_at - now
                    self._kept.wait(None if seconds == NEVER else min(seconds, threading.TIMEOUT_MAX))
            return self._expired.popleft() if self._expired else None

    def poll(self) -> tuple[Lane[Any], Any] | None:
        """Return a task that has left its queue out of time, with its lane, or None. Never waits."""
        if not self._expired:  # without the lock: most of the time there is none
            return None
        with self._lock:
            return self._expired.popleft() if self._expired else None

    def told(self, lane: Lane[Any]) -> None:
        """Count a task as handed over, whatever became of it."""
        with self._lock:
            lane.expiring_tasks -= 1
            self._forget(lane)
