"""Which queue is served next: a round of those that are due, a heap of those that will be.

TensorFlow's scheduler walks over every queue under its lock to find one that is due. Here a queue enters the
round when a batch of it becomes due and goes to the end of the round after each batch taken, which is the
same fairness at a cost that does not grow with the number of idle queues.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic

from batching.batch import NEVER, Batch
from batching.task import T
from batching.task_queue import TaskQueue

IDLE_WEIGHT = 0.25


@dataclass(slots=True, eq=False)
class Lane(Generic[T]):
    """One queue's place in the order. Owned by the dispatcher, guarded by its lock."""

    queue: TaskQueue[T]
    process: Callable[[Batch[T]], None]
    owner: Hashable = None
    """Whose threads are counted together when batches are stuck; None: the lane stands for itself."""
    held: bool = False
    """Whether its batches wait, because its owner's are stuck."""
    in_round: bool = False
    available_batches: int = 0
    """What the order has counted for it."""
    timed_at: float | None = None
    """Time of its entry in the heap that counts; an entry with another time is out of date."""
    running_batches: int = 0
    dispatched_batches: int = 0
    expired: Callable[[T], None] | None = None
    """Whom to hand tasks that are out of time; None: its tasks have no deadline."""
    expires_at: float = NEVER
    """Time of its entry that counts among those of deadlines."""
    expiring_tasks: int = 0
    """Tasks out of time that have not been handed over yet, or are just being."""
    expired_tasks: int = 0
    idle_seconds: float = 0.0
    """How long one of its batches keeps its thread waiting, of late: for a device, a lock, or a turn on a core."""

    def __post_init__(self) -> None:
        if self.owner is None:
            self.owner = self

    @property
    def finished(self) -> bool:
        """Whether nothing more will come of it."""
        at_work = self.queue.enqueued_batches or self.running_batches or self.expiring_tasks
        return self.queue.closed and not at_work

    def note_run(self, idle_seconds: float, rows: int, seconds: float) -> None:
        """Take in how long a batch has kept its thread waiting, where one among many counts little, and has run.

        The latter only where tasks may have deadlines, and not of one that failed, which has no *rows*.
        """
        self.idle_seconds += (idle_seconds - self.idle_seconds) * IDLE_WEIGHT
        if rows and self.expired is not None:
            self.queue.costs.note(rows, seconds)


class ReadyOrder:
    """The round and the heap. Pure: takes `now`, holds no lock, calls nobody.

    A lane is at most once in the round. Heap entries are corrected when they come to the top, not when their
    batch leaves early, so that the common case, a batch that fills up before its time, costs nothing.
    """

    def __init__(self) -> None:
        self.available_batches = 0
        """Batches that threads could take now."""
        self._round: deque[Lane[Any]] = deque()
        self._heap: list[tuple[float, int, Lane[Any]]] = []
        self._entries = itertools.count()  # decides between equal times, as lanes have no order

    def update(self, lane: Lane[Any], now: float) -> None:
        """Put a lane where it belongs. Called whenever its queue has changed, and when its time has come."""
        available = 0 if lane.held else lane.queue.available_batches(now)
        self.available_batches += available - lane.available_batches
        lane.available_batches = available
        if lane.in_round or lane.held:
            return
        if available:
            lane.in_round = True
            self._round.append(lane)
            return
        due_at = lane.queue.due_at
        if due_at is not None and (lane.timed_at is None or due_at < lane.timed_at):
            lane.timed_at = due_at
            heapq.heappush(self._heap, (due_at, next(self._entries), lane))

    def hold(self, lane: Lane[Any], held: bool, now: float) -> None:  # noqa: FBT001 - a state, not a way
        """Let the batches of a lane wait, or go on."""
        if held != lane.held:
            lane.held = held
            self.update(lane, now)

    def promote(self, now: float) -> None:
        """Move each lane that has become due into the round."""
        while self._heap and self._heap[0][0] <= now:
            due_at, _, lane = heapq.heappop(self._heap)
            if due_at == lane.timed_at:
                lane.timed_at = None
                self.update(lane, now)

    def take(self, now: float) -> tuple[Lane[Any], Batch[Any]] | None:
        """Remove and return the next batch of the round; None when no lane is due. Promote first."""
        while self._round:
            lane = self._round.popleft()
            lane.in_round = False
            batch = None if lane.held else lane.queue.take(now)
            self.update(lane, now)
            if batch is not None:
                return lane, batch
        return None

    def next_due_at(self) -> float | None:
        """When the first lane outside the round becomes due; None when none will."""
        while self._heap:
            entry_at, _, lane = self._heap[0]
            due_at = None if lane.in_round or lane.held else lane.queue.due_at
            if entry_at != lane.timed_at:
                heapq.heappop(self._heap)
            elif due_at is None:
                lane.timed_at = None
                heapq.heappop(self._heap)
            elif due_at != entry_at:
                lane.timed_at = due_at
                heapq.heapreplace(self._heap, (due_at, next(self._entries), lane))
            else:
                return due_at
        return None

    def seconds_until_due(self, now: float) -> float | None:
        """How long until a lane is due: 0 when one is in the round, None when none will be."""
        if self._round:
            return 0.0
        due_at = self.next_due_at()
        return None if due_at is None else max(0.0, due_at - now)
