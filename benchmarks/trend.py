"""How fast something grows, and how sure that is: a straight line through samples that are alike when close."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PARTS = 20
_T_95_PERCENT = 2.101  # Student's, two-sided, for PARTS - 2 degrees of freedom


@dataclass(frozen=True, slots=True)
class Trend:
    """A least-squares line.

    Attributes:
        slope: by how much it rises in a unit of time.
        uncertainty: half of the slope's 95 % confidence interval.
    """

    slope: float
    uncertainty: float


def trend(times: Sequence[float], values: Sequence[float]) -> Trend:
    """The line through the means of `PARTS` equal parts of the samples.

    Samples that follow each other are not evidence each: memory stands still for minutes and then takes a step. Parts
    are more nearly independent, so their spread around the line says how sure it is.

    Raises:
        ValueError: there are fewer than two samples for each part, or not as many times as values.
    """
    if len(times) != len(values) or len(times) < 2 * PARTS:
        raise ValueError(
            f"{len(times)} times and {len(values)} values; a trend takes {2 * PARTS} of each, or more"
        )
    x = np.array([part.mean() for part in np.array_split(np.asarray(times, np.float64), PARTS)])
    y = np.array([part.mean() for part in np.array_split(np.asarray(values, np.float64), PARTS)])
    around = x - x.mean()
    spread = float((around**2).sum())
    slope = float((around * y).sum()) / spread
    left = y - y.mean() - slope * around
    error = math.sqrt(float((left**2).sum()) / (PARTS - 2) / spread)
    return Trend(slope, _T_95_PERCENT * error)
