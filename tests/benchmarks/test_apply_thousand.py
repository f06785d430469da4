"""What the project asks of itself while a thousand models load beside requests."""

from benchmarks.beside_loads import LOADING, QUIET
from benchmarks.scenarios import apply_thousand


def test_targets_allow_no_pause_and_miss_no_reply() -> None:
    """The largest latency at most five times, each reply there."""
    quiet, loading = {"max_ms": 20.0, "missing": 0.0}, {"max_ms": 120.0, "missing": 1.0}

    largest, missing = apply_thousand.targets({QUIET: quiet, LOADING: loading})

    assert (largest.measured, largest.met) == (6.0, False)
    assert not missing.met
