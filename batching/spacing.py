"""How far apart the batches of a queue start, where several threads take them.

A thread that becomes free would take at once what has come since another one began, be it a few rows. Large and small
batches then alternate, and who comes just after a small one has gone waits for a large one. Started evenly they are
alike, and the longest wait is shorter than with any time-out.
"""

from typing import Any

from batching.ready_order import Lane
from batching.task_queue import AT_ONCE


class Spacing:
    """While every thread is busy, lets a queue's next batch that is not full wait for its share of a run.

    Where a thread is free when a batch starts there is time to spare, and nobody waits. Each call requires the
    dispatcher's lock.
    """

    def started(self, lane: Lane[Any], rows: int, busy_threads: int, threads: int, now: float) -> bool:
        """A batch of this lane starts; whether the next one waits from now on.

        With it so many threads are busy, of those that may take batches.
        """
        if threads < 2:
            return False
        waits = busy_threads >= threads
        lane.queue.not_before = now + lane.runs.seconds(rows) / threads if waits else AT_ONCE
        return waits

    def finished(self, lane: Lane[Any]) -> bool:
        """A batch of this lane is done; whether one that waited need not any more."""
        if lane.running_batches or lane.queue.not_before == AT_ONCE:
            return False
        lane.queue.not_before = AT_ONCE
        return True
