"""What the project asks of itself while many models load beside requests."""

from benchmarks.beside_loads import LOADING, QUIET
from benchmarks.scenarios import apply_tail


def test_targets_compare_the_tails_and_miss_no_reply() -> None:
    """99th percentile at most three times, each reply there."""
    quiet, loading = {"p99_ms": 2.0, "missing": 0.0}, {"p99_ms": 7.0, "missing": 1.0}

    p99, missing = apply_tail.targets({QUIET: quiet, LOADING: loading})

    assert (p99.measured, p99.met) == (3.5, False)
    assert not missing.met
