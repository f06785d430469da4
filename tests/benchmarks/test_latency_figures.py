"""Percentiles of latencies."""

import math
from pathlib import Path

import numpy as np

from benchmarks.latency_figures import MISSING, P50, P99, figures, medians, percentile
from benchmarks.open_loop import Measured


def test_a_percentile_is_a_latency_that_was_measured() -> None:
    """No value between two measured ones is made up."""
    seconds = np.array([0.004, 0.001, 0.003, 0.002])

    assert percentile(seconds, 50.0) == 0.002
    assert percentile(seconds, 51.0) == 0.003
    assert percentile(seconds, 100.0) == 0.004


def test_a_missing_reply_is_slower_than_any_other() -> None:
    """Leaving requests unanswered cannot make percentiles better."""
    seconds = np.array([0.001, np.nan, 0.002, np.nan])

    assert percentile(seconds, 50.0) == 0.002
    assert math.isinf(percentile(seconds, 75.0))


def test_figures_of_a_run_come_through_its_file(tmp_path: Path) -> None:
    """What the load's process writes is what the table shows, in milliseconds."""
    latency = np.arange(1, 1001) / 1000.0
    latency[-1] = np.nan
    Measured(latency, np.full(1000, 0.0005), 0.25).write(tmp_path / "run")

    found = figures(Measured.read(tmp_path / "run"))

    assert found["p50_ms"] == 500.0
    assert found["p99_ms"] == 990.0
    assert found["p999_ms"] == 999.0
    assert math.isinf(found["max_ms"])
    assert found["late_p99_ms"] == 0.5
    assert found["core_percent"] == 25.0
    assert found["missing"] == 1.0


def test_medians_hide_no_missing_reply() -> None:
    """Times are medians over the rounds; a single missing reply of any round is shown."""
    runs = [{P50.key: p50, MISSING.key: missing} for p50, missing in ((1.0, 1.0), (9.0, 0.0), (2.0, 0.0))]

    found = medians(runs, (P50, P99, MISSING))

    assert found == {P50.key: 2.0, MISSING.key: 1.0}
