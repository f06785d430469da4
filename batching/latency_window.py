"""What the batches of one queue did within a while: their tasks' latencies and how busy they kept the device."""

import math
from collections.abc import Iterable

LEAST_SECONDS = 1e-5
STEP = math.log(1.05)
"""Of the histogram: a percentile is at most a twentieth too high, never too low."""
BUCKETS = 380
"""From 10 microseconds to more than 1,000 seconds; what is longer counts as the longest that was seen."""


class LatencyWindow:
    """Counts since it was made, in memory that does not grow. Pure; its owner guards it.

    Attributes:
        began_at: when it was made (seconds of the owner's clock).
        batches: batches that have been run.
        rows: of all of them, without padding.
        full: batches that were full when they left.
        run_seconds: time of their runs.
    """

    __slots__ = (
        "_counts",
        "_longest",
        "_squares",
        "_weight",
        "batches",
        "began_at",
        "full",
        "rows",
        "run_seconds",
    )

    def __init__(self, now: float) -> None:
        self.began_at = now
        self.batches = 0
        self.rows = 0
        self.full = 0
        self.run_seconds = 0.0
        self._counts = [0] * BUCKETS
        self._weight = 0
        self._squares = 0
        self._longest = 0.0

    def add(self, tasks: Iterable[tuple[float, int]], run_seconds: float, *, full: bool) -> None:
        """Take in a batch: the latency and the rows of each task, and how long it ran."""
        self.batches += 1
        self.full += full
        self.run_seconds += run_seconds
        rows_before = self.rows
        for seconds, rows in tasks:
            place = int(math.log(seconds / LEAST_SECONDS) / STEP) if seconds > LEAST_SECONDS else 0
            self._counts[min(place, BUCKETS - 1)] += rows
            self._weight += rows
            self.rows += rows
            self._longest = max(self._longest, seconds)
        self._squares += (self.rows - rows_before) ** 2

    def p99_seconds(self) -> float:
        """The latency that 99 of 100 rows did not exceed; 0 where there was none."""
        wanted = self._weight - self._weight // 100
        seen = 0
        for place, count in enumerate(self._counts):
            seen += count
            if seen >= wanted:
                return min(self._longest, LEAST_SECONDS * math.exp((place + 1) * STEP))
        return self._longest

    def usual_rows(self) -> float:
        """Rows of the batch that a row was in, on average; 0 where there was none."""
        return self._squares / self.rows if self.rows else 0.0

    def rows_per_run_second(self) -> float:
        """Rows for a second of the device: what it could do at most with batches like these."""
        return self.rows / self.run_seconds if self.run_seconds > 0 else math.inf

    def rows_per_second(self, now: float) -> float:
        """Rows for a second of the clock."""
        return self.rows / (now - self.began_at) if now > self.began_at else 0.0

    def busy(self, now: float) -> float:
        """The part of the time in which a batch ran; above 1 where several ran at a time."""
        return self.run_seconds / (now - self.began_at) if now > self.began_at else 0.0
