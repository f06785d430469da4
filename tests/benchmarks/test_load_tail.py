"""What the scenario of loads beside requests makes of its phases."""

import numpy as np
import pytest

from benchmarks.open_loop import Measured
from benchmarks.reloading import Cycle
from benchmarks.scenarios import load_tail
from benchmarks.scenarios.load_tail import LOADING, QUIET, Phase


def phase(*milliseconds: float, cycles: int = 0) -> Phase:
    """A phase with those latencies and so many loads, of which each took a second longer than the one before."""
    latency = np.array(milliseconds) / 1000
    return Phase(
        Measured(latency, np.zeros(len(latency)), 0.1), tuple(Cycle(n + 1.0, 0.5) for n in range(cycles))
    )


def test_phases_of_a_kind_are_summed_up_by_medians_and_counts() -> None:
    """Percentiles and times are medians over the phases, loads and missing replies are added."""
    phases = [phase(1, 3, cycles=1), phase(2, float("nan"), cycles=3), phase(4, 5, cycles=2)]

    found = load_tail.summary([each.figures() for each in phases])

    assert (found["p50_ms"], found["cycles"], found["missing"]) == (2, 6, 1)
    assert (found["load_seconds"], found["unload_seconds"]) == (1.5, 0.5)


def test_a_quiet_phase_has_no_times_of_loads() -> None:
    """A column without a value stays empty, and is no error."""
    found = load_tail.summary([phase(1, 2).figures()])

    assert "load_seconds" not in found
    assert found["cycles"] == 0


def test_targets_compare_the_tails_and_miss_no_reply() -> None:
    """99th percentile at most three times, 99.9th at most five times, each reply there."""
    quiet = {"p99_ms": 2.0, "p999_ms": 4.0, "missing": 0.0}
    loading = {"p99_ms": 5.0, "p999_ms": 24.0, "missing": 1.0}

    p99, p999, missing = load_tail.targets({QUIET: quiet, LOADING: loading})

    assert (p99.measured, p99.met) == (2.5, True)
    assert (p999.measured, p999.met) == (6.0, False)
    assert not missing.met


def test_latency_over_time_goes_by_buckets() -> None:
    """Median and largest of each full bucket; the rest at the end is left out."""
    found = load_tail.over_time(np.array([1, 2, 9, 4, 4, 5, 8]) / 1000, 3)

    assert found["p50_ms"] == pytest.approx([2, 4])
    assert found["max_ms"] == pytest.approx([9, 5])
