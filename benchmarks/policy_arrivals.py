"""Requests on the simulation's clock: when each comes and how many rows it has, made from a seed.

Requests come independently of each other, at a rate that is constant, changes by bursts, or goes up and down as over a
day. How long bursts are is counted in the device's full batches, so that it does not matter how fast the device is.
"""

import enum
import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

TICK_SECONDS = 2.0**-30
"""All times are multiples of this, about a nanosecond. Their sums and differences are exact in floating point, so that
a batch is due at the very moment for which it was announced."""

BURST_BATCHES, CALM_BATCHES = 5.0, 15.0
"""How long a burst lasts, and the calm between two, on average; in full batches of the device."""
BURST_RATE, CALM_RATE = 2.5, 0.5
"""The rate in them by the average rate."""
DAY_SWING = 0.5
"""By how much of the average the rate goes up by day and down by night. A run has one day."""
_DAY_POINTS = 2001


class Pattern(enum.StrEnum):
    """How the rate changes."""

    POISSON = "Poisson"
    """It does not."""
    BURSTY = "bursty"
    """Short bursts at a high rate, calm between them, both of random length."""
    DIURNAL = "diurnal"
    """A sine over the whole run."""


class Arrivals:
    """The requests of one run, numbered in the order in which they come. Immutable, shared by all policies.

    Args:
        times: when each comes, ascending; seconds, multiples of `TICK_SECONDS`.
        row_counts: how many rows each has, at least 1.
        levels: how urgent each is, 0 being the most; None: all alike.
        deadlines: when each must be finished; None: whenever.
    """

    def __init__(
        self,
        times: Floats,
        row_counts: Integers,
        levels: Integers | None = None,
        deadlines: Floats | None = None,
    ) -> None:
        self.times = times
        self.levels = levels
        self.deadlines = deadlines
        # Lists, because a search in one is several times as fast as in an array.
        self._times: list[float] = times.tolist()
        self.row_counts = row_counts
        self._ends: list[int] = [0, *np.cumsum(row_counts).tolist()]

    @classmethod
    def of(cls, times: Sequence[float], rows: Sequence[int]) -> Self:
        """Some that are written down one by one."""
        return cls(np.asarray(times, np.float64), np.asarray(rows, np.int64))

    def __len__(self) -> int:
        return len(self._times)

    def time(self, number: int) -> float:
        """When a request comes."""
        return self._times[number]

    def rows(self, first: int, stop: int) -> int:
        """Rows of the requests from *first* to before *stop*."""
        return self._ends[stop] - self._ends[first]

    def come_by(self, seconds: float, first: int = 0) -> int:
        """How many have come by then, those before *first* known to be among them."""
        return bisect_right(self._times, seconds, first)

    def fitting(self, first: int, rows: int) -> int:
        """Before which request those from *first* on have no more than so many rows."""
        most = min(first + rows + 1, len(self._ends))  # each has a row
        return bisect_right(self._ends, self._ends[first] + rows, first, most) - 1

    def reaching(self, first: int, rows: int) -> int:
        """With which request those from *first* on come to so many rows (at least 1); the number of all when never."""
        most = min(first + rows + 1, len(self._ends))
        return bisect_left(self._ends, self._ends[first] + rows, first, most) - 1


@dataclass(frozen=True, slots=True)
class Demand:
    """What arrivals are made by.

    Attributes:
        pattern: how the rate changes.
        most_rows: requests have 1 to so many rows, each number as often.
        rows_per_second: on average over the run.
        seconds: how long the run is.
        batch_seconds: how long the device takes for a full batch, which is what bursts are counted in.
        urgent_share: how many of the requests are urgent, of level 0; the others are of level 1. 0: no levels.
        urgent_seconds: in which an urgent one must be finished.
    """

    pattern: Pattern
    most_rows: int
    rows_per_second: float
    seconds: float
    batch_seconds: float
    urgent_share: float = 0.0
    urgent_seconds: float = math.inf

    def arrivals(self, seed: int) -> Arrivals:
        """Requests made from a seed: the same for the same seed and demand."""
        random = np.random.default_rng(seed)
        times, passed = self._rate(random)
        requests_per_second = self.rows_per_second / ((1 + self.most_rows) / 2)
        expected = requests_per_second * self.seconds
        enough = math.ceil(expected + 10 * math.sqrt(expected) + 10)
        # At a constant rate of 1 first; what has passed at that rate by when says when each comes at the real one.
        even = np.cumsum(random.exponential(1.0, enough)) / requests_per_second
        even = even[even < self.seconds]
        found = np.round(np.interp(even, passed, times) / TICK_SECONDS) * TICK_SECONDS
        row_counts = random.integers(1, self.most_rows + 1, len(found))
        if not self.urgent_share:
            return Arrivals(found, row_counts)
        levels = np.where(random.random(len(found)) < self.urgent_share, 0, 1)
        return Arrivals(
            found, row_counts, levels, np.where(levels == 0, found + self.urgent_seconds, math.inf)
        )

    def _rate(self, random: np.random.Generator) -> tuple[Floats, Floats]:
        """The integral of the rate by its average at some times, between which the rate is constant."""
        if self.pattern is Pattern.POISSON:
            times = np.array([0.0, self.seconds])
            passed = times
        elif self.pattern is Pattern.DIURNAL:
            times = np.linspace(0.0, self.seconds, _DAY_POINTS)
            turn = 2 * math.pi / self.seconds
            passed = times + DAY_SWING / turn * (1 - np.cos(turn * times))
        else:
            cycle = (BURST_BATCHES + CALM_BATCHES) * self.batch_seconds
            means = np.array([CALM_BATCHES, BURST_BATCHES]) * self.batch_seconds
            lengths = random.exponential(means, (4 * math.ceil(self.seconds / cycle) + 20, 2)).ravel()
            rates = np.resize([CALM_RATE, BURST_RATE], len(lengths))
            times = np.concatenate([[0.0], np.cumsum(lengths)])
            passed = np.concatenate([[0.0], np.cumsum(lengths * rates)])
        # Chance has made the bursts longer or shorter than on average: the load is what was asked for all the same.
        return times, passed * (self.seconds / float(np.interp(self.seconds, times, passed)))


def exact(seconds: float) -> float:
    """The nearest multiple of a tick."""
    return round(seconds / TICK_SECONDS) * TICK_SECONDS
