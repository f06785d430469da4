"""How long batches of each size run, from those of late: whether one can still wait for more and be done in time."""

import math
from collections import deque

MOST_SAMPLES = 16
"""Batches of one size that count: enough that a slow one among them does not, few enough to follow a change."""
START_SECONDS = 0.002
"""What it takes a free thread to wake up and begin, on a busy machine."""


class RunCosts:
    """An estimate for each padded size: three of four batches of late ran no longer. Pure; its owner guards it.

    The first run of a size often compiles a program and takes far longer than all others; from five runs on it does not
    count. A size that has not run yet is taken to cost what the next larger one does, which is at least that, or in
    proportion to the largest one, which is at most that where a device gains by batches.

    Args:
        exact: whether there are few sizes, which are told apart; otherwise those between powers of two count as one.
    """

    __slots__ = ("_estimates", "_exact", "_samples")

    def __init__(self, *, exact: bool) -> None:
        self._exact = exact
        self._samples: dict[int, deque[float]] = {}
        self._estimates: dict[int, float] = {}

    def note(self, rows: int, seconds: float) -> None:
        """Take in how long a batch of that padded size ran."""
        size = self._size(rows)
        samples = self._samples.setdefault(size, deque(maxlen=MOST_SAMPLES))
        samples.append(seconds)
        self._estimates[size] = sorted(samples)[len(samples) * 3 // 4]

    def measured(self, rows: int) -> float | None:
        """Return the seconds that batches of that very padded size run; None where none has run."""
        return self._estimates.get(self._size(rows))

    def needed(self, rows: int) -> float:
        """Return the seconds that a batch of that padded size needs from when a thread could take it to its end.

        Infinite where nothing has run yet: a batch with a deadline does not wait then, and is the first to be measured.
        """
        size = self._size(rows)
        seconds = self._estimates.get(size)
        if seconds is None:
            larger = min((known for known in self._estimates if known > size), default=None)
            if larger is not None:
                seconds = self._estimates[larger]
            elif self._estimates:
                largest = max(self._estimates)
                seconds = self._estimates[largest] * size / largest
            else:
                return math.inf
        return seconds + START_SECONDS

    def _size(self, rows: int) -> int:
        return rows if self._exact else 1 << (rows - 1).bit_length()
