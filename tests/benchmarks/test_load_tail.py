"""What the project asks of itself while a large model loads beside requests."""

from benchmarks.beside_loads import LOADING, QUIET
from benchmarks.scenarios import load_tail


def test_targets_compare_the_tails_and_miss_no_reply() -> None:
    """99th percentile at most three times, 99.9th at most five times, each reply there."""
    quiet = {"p99_ms": 2.0, "p999_ms": 4.0, "missing": 0.0}
    loading = {"p99_ms": 5.0, "p999_ms": 24.0, "missing": 1.0}

    p99, p999, missing = load_tail.targets({QUIET: quiet, LOADING: loading})

    assert (p99.measured, p99.met) == (2.5, True)
    assert (p999.measured, p999.met) == (6.0, False)
    assert not missing.met
