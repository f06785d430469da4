"""How far apart the batches of a queue start, where several threads take them.

A thread that becomes free would take at once what has come since another one began, be it a few rows. Large and small
batches then alternate, and who comes just after a small one has gone waits for a large one. Started evenly they are
alike, and the longest wait is shorter than with any time-out.
"""

from collections.abc import Sequence
from typing import Any

from batching.lane import Lane
from batching.queued_batches import AT_ONCE


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
        not_before = now + lane.runs.seconds(rows) / threads if waits else AT_ONCE
        for each in _together(lane):
            each.queue.not_before = not_before
        return waits

    def finished(self, lane: Lane[Any]) -> bool:
        """A batch of this lane is done; whether one that waited need not any more."""
        together = _together(lane)
        if lane.queue.not_before == AT_ONCE or any(each.running_batches for each in together):
            return False
        for each in together:
            each.queue.not_before = AT_ONCE
        return True


def _together(lane: Lane[Any]) -> Sequence[Lane[Any]]:
    """Those whose tasks leave in the same batches."""
    return [each for each in lane.relatives if each.merges] if lane.merges else (lane,)
