"""What one queue looks like at one moment, for metrics and for people."""

from dataclasses import dataclass
from typing import Any

from batching import shared_room
from batching.lane import Lane


@dataclass(frozen=True, slots=True)
class QueueStatistics:
    """A snapshot: its numbers belong together, and to the past."""

    name: str
    enqueued_tasks: int
    """Tasks waiting; a split task counts once for each of its parts."""
    enqueued_rows: int
    enqueued_batches: int
    """Batches waiting, the open one included."""
    capacity_rows: int
    """Rows of a freely divisible task that would have been accepted."""
    oldest_seconds: float
    """How long the oldest waiting task has waited; 0 without one."""
    running_batches: int
    """Batches in the process callback."""
    dispatched_batches: int
    """Batches handed to the process callback since the queue was added."""
    expired_tasks: int
    """Tasks that left the queue at their deadline since it was added; parts of a split task count one by one."""
    evicted_tasks: int
    """Tasks that have left it for those of a higher priority; likewise."""
    closed: bool


@dataclass(frozen=True, slots=True)
class SchedulerStatistics:
    """A snapshot of a scheduler: its queues are read one after another, each for itself."""

    threads: int
    queues: tuple[QueueStatistics, ...]
    """Those that are not finished, in the order in which they were added."""


def read(lane: Lane[Any], now: float) -> QueueStatistics:
    """Return the snapshot of a lane. Requires: the dispatcher's lock is held."""
    queue = lane.queue
    return QueueStatistics(
        name=queue.name,
        enqueued_tasks=queue.enqueued_tasks,
        enqueued_rows=queue.enqueued_rows,
        enqueued_batches=queue.enqueued_batches,
        capacity_rows=shared_room.capacity_rows(lane),
        oldest_seconds=queue.oldest_seconds(now),
        running_batches=lane.running_batches,
        dispatched_batches=lane.dispatched_batches,
        expired_tasks=lane.expired_tasks,
        evicted_tasks=lane.evicted_tasks,
        closed=queue.closed,
    )
