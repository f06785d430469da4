"""What a run's latencies come down to: percentiles in milliseconds, and what is missing."""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from benchmarks.open_loop import Measured

Figures = Mapping[str, float]

CURVE = (0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.8, 99.9, 99.95, 99.99, 100.0)
"""The percentiles that a curve is drawn through; the tail is where curves differ."""


def percentile(seconds: npt.NDArray[np.float64], percent: float) -> float:
    """The smallest latency that so many percent of the requests do not exceed; a missing one exceeds every other."""
    ascending = np.sort(np.where(np.isnan(seconds), np.inf, seconds))
    rank = math.ceil(
        round(percent * len(ascending) / 100, 6)
    )  # 99.9 % of 1,000 are 999, whatever binary fractions say
    return float(ascending[max(rank, 1) - 1])


def milliseconds(seconds: float) -> float:
    """Rounded to a microsecond, which is finer than anything that is measured here."""
    return round(seconds * 1000, 3)


def figures(measured: Measured) -> dict[str, float]:
    """Of one run: what a table shows, and how exact the sender was."""
    shown = {"p50_ms": 50.0, "p90_ms": 90.0, "p99_ms": 99.0, "p999_ms": 99.9, "max_ms": 100.0}
    found = {key: milliseconds(percentile(measured.latency, percent)) for key, percent in shown.items()}
    late = {"late_p50_ms": 50.0, "late_p99_ms": 99.0, "late_max_ms": 100.0}
    found |= {key: milliseconds(percentile(measured.late, percent)) for key, percent in late.items()}
    missing = float(np.isnan(measured.latency).sum())
    return found | {"missing": missing, "core_percent": round(measured.core_share * 100, 2)}
