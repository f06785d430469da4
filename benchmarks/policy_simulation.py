"""Requests, a batcher and devices on a clock of their own: what is finished when.

Nothing but the model takes time here: neither Python nor the way to a device. Batches start when a device is idle, in
the order in which the batcher gives them.
"""

import heapq
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.latency_figures import percentile
from benchmarks.policy_arrivals import Arrivals, Floats
from benchmarks.policy_batchers import Batcher, Requests
from benchmarks.policy_device import Cost

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Served:
    """What became of the requests of one run.

    Attributes:
        arrivals: the requests.
        finished: when each was finished.
        batches: how many batches were run.
        busy_seconds: how long devices worked, all of them together.
    """

    arrivals: Arrivals
    finished: Floats
    batches: int
    busy_seconds: float

    @property
    def latency(self) -> Floats:
        """From when each request came until its batch was finished; seconds."""
        return self.finished - self.arrivals.times

    @property
    def p99_seconds(self) -> float:
        """The latency that 99 % of the requests do not exceed."""
        return percentile(self.latency, 99.0)

    @property
    def rows_per_second(self) -> float:
        """Finished by the time at which the last request came: what is left over then was too much."""
        end = self.arrivals.time(len(self.arrivals) - 1)
        in_time = self.finished <= end
        return float(self.arrivals.row_counts[in_time].sum()) / end

    @property
    def rows_a_batch(self) -> float:
        """On average."""
        return self.arrivals.rows(0, len(self.arrivals)) / self.batches

    def missed_share(self, level: int | None = None) -> float:
        """How many of the requests, or of those of one priority, were finished after their deadline.

        Raises:
            ValueError: they have no deadlines, or no priorities.
        """
        deadlines, levels = self.arrivals.deadlines, self.arrivals.levels
        if deadlines is None:
            raise ValueError("these requests have no deadlines")
        missed = self.finished > deadlines
        if level is None:
            return float(missed.mean())
        if levels is None:
            raise ValueError("these requests have no priorities")
        return float(missed[levels == level].mean())


def simulate(arrivals: Arrivals, batcher: Batcher, cost: Cost, devices: int = 1) -> Served:
    """Let all requests come, and each be finished.

    Raises:
        RuntimeError: the batcher keeps requests for ever, or gives one out a second time.
    """
    finished = np.full(len(arrivals), np.nan)
    running: list[tuple[float, int, Sequence[Requests], float]] = []  # a heap
    left, batches, busy_seconds = len(arrivals), 0, 0.0
    come, now = 0, 0.0
    while left > 0:
        if len(running) == devices:
            now = running[0][0]
            come = _add_until(now, arrivals, batcher, come)
        else:
            next_end = running[0][0] if running else math.inf
            come, now = _wait(arrivals, batcher, come, now, next_end)
        while running and running[0][0] <= now:
            end, _, tasks, seconds = heapq.heappop(running)
            batcher.finished(tasks, end, seconds)
        while len(running) < devices and (tasks := batcher.take(now)):
            seconds = cost.seconds(sum(task.rows for task in tasks))
            batches += 1
            heapq.heappush(running, (now + seconds, batches, tasks, seconds))
            busy_seconds += seconds
            for task in tasks:
                if not np.isnan(finished[task.numbers]).all():
                    raise RuntimeError(f"request {task.first} was given to a device a second time")
                finished[task.numbers] = now + seconds
                left -= len(task)
    return Served(arrivals, finished, batches, busy_seconds)


def _add_until(seconds: float, arrivals: Arrivals, batcher: Batcher, come: int) -> int:
    """Hand over what comes by then; how many have come."""
    stop = arrivals.come_by(seconds, come)
    if stop > come:
        batcher.add(stop, seconds)
    return stop


def _wait(arrivals: Arrivals, batcher: Batcher, come: int, now: float, next_end: float) -> tuple[int, float]:
    """Go on to when an idle device may get a batch; how many requests have come by then, and when it is.

    Where something waits already, another device that is done may be a reason for it to go.
    """
    due_at = batcher.due_at(now)
    # Where nothing waits the next request decides, and begins the time of its batch.
    deciding = come if due_at is None else arrivals.reaching(come, batcher.rows_to_next)
    comes_at = arrivals.time(deciding) if deciding < len(arrivals) else math.inf
    at = comes_at if due_at is None else min(comes_at, due_at, next_end)
    if math.isinf(at):
        raise RuntimeError(f"of {len(arrivals)} requests some are never given to an idle device")
    return _add_until(at, arrivals, batcher, come), at
