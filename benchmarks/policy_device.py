"""What a batch costs: so much a call and so much a row, measured on a model and fitted by least squares."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.policy_arrivals import exact

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
TIMES_EACH = 200


@dataclass(frozen=True, slots=True)
class Cost:
    """How long a device takes for a batch; it runs one at a time."""

    call_seconds: float
    row_seconds: float

    def seconds(self, rows: int) -> float:
        """Of a batch of so many rows."""
        return exact(self.call_seconds + self.row_seconds * rows)

    def rows_per_second(self, rows: int) -> float:
        """Of one device that always runs batches of so many rows."""
        return rows / self.seconds(rows)


@dataclass(frozen=True, slots=True)
class Fit:
    """A cost, what it was made of, and how well it fits.

    Attributes:
        sizes: rows of the batches that were measured.
        seconds: how long each took.
        largest_error: the largest difference of the fitted time to the measured one, by the measured one.
    """

    cost: Cost
    sizes: Sequence[int]
    seconds: Sequence[float]
    largest_error: float


def measure(
    run: Callable[[int], object],
    times_each: int = TIMES_EACH,
    sizes: Sequence[int] = SIZES,
    clock: Callable[[], float] = time.perf_counter,
) -> Fit:
    """Run batches of each size in turn, so that a slow moment hits all sizes; the median of each size counts.

    *run* is given a number of rows; the first turn is not counted.

    Raises:
        ValueError: as `fit`.
    """
    taken: dict[int, list[float]] = {size: [] for size in sizes}
    for turn in range(times_each + 1):
        for size, of_one in taken.items():
            start = clock()
            run(size)
            if turn:
                of_one.append(clock() - start)
    return fit(sizes, [statistics.median(of_one) for of_one in taken.values()])


def fit(sizes: Sequence[int], seconds: Sequence[float]) -> Fit:
    """The line with the smallest squares of relative errors: in others the large sizes alone would count.

    Raises:
        ValueError: the line has a negative part, so that these are no times of a call and its rows.
    """
    rows, measured = np.asarray(sizes, np.float64), np.asarray(seconds, np.float64)
    design = np.stack([np.ones_like(rows), rows], axis=1) / measured[:, None]
    (call, row), *_ = np.linalg.lstsq(design, np.ones_like(rows))
    if call <= 0 or row <= 0:
        raise ValueError(
            f"batches of {tuple(sizes)} rows took {tuple(seconds)} s: that is no cost a call and a row "
            f"({call:g} s and {row:g} s); measure again on a quieter machine"
        )
    errors = np.abs((call + row * rows) / measured - 1)
    return Fit(Cost(float(call), float(row)), tuple(sizes), tuple(seconds), float(errors.max()))
