"""What runs' latencies come down to: percentiles in milliseconds, what is missing, and a table's columns of both."""

import math
import statistics
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from benchmarks.open_loop import Measured
from benchmarks.scenario import Column

Figures = Mapping[str, float]

P50, P90, P99 = (Column(f"p{percent}_ms", f"p{percent}, ms") for percent in (50, 90, 99))
P999, LARGEST = Column("p999_ms", "p99.9, ms"), Column("max_ms", "largest, ms", ",.1f")
MISSING = Column("missing", "replies missing", ",.0f")
LATE_P99 = Column("late_p99_ms", "sent late by (p99), ms")
CORE = Column("core_percent", "% of a core", ",.1f")

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


def medians(
    runs: Sequence[Figures], columns: Sequence[Column], summed: Collection[str] = (MISSING.key,)
) -> Figures:
    """Of each column that every run has, over the runs of one kind; of what is *summed* the sum."""
    keys = [column.key for column in columns if all(column.key in run for run in runs)]
    values = {key: float(statistics.median(run[key] for run in runs)) for key in keys}
    return values | {key: float(sum(run[key] for run in runs)) for key in summed}
