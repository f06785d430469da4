"""What the soak makes of its samples."""

import pytest

from benchmarks import soak
from benchmarks.scenarios.memory import MEBIBYTE
from benchmarks.soak import Sample, Soaked

PAGE = """# TYPE headrace_requests_total counter
headrace_requests_total{binding="default",code="OK"} 4e+06
headrace_requests_total{binding="default",code="INTERNAL"} 2.0
headrace_requests_total{binding="default",code="NOT_FOUND"} 1.0
headrace_dead_letters_total{binding="default"} 5.0
"""


def test_a_soak_is_summed_up() -> None:
    """Memory with its slope by the hour, rates over the time that counts, and every request accounted for."""
    samples = [Sample(float(n), (200 + n) * MEBIBYTE, 0.5 * n, 1000 * n + 70, 1000 * n) for n in range(61)]

    found = Soaked(samples, sent=61_000, answered=60_990, dead_letters=7, errors=2).values()

    assert (found["start"], found["end"], found["most"], found["minutes"]) == (200, 260, 260, 1)
    assert found["slope"] == pytest.approx(3600)
    assert found["uncertainty"] == pytest.approx(0, abs=1e-3)
    assert (found["answered"], found["errors"], found["missing"]) == (60_990, 2, 3)
    assert (found["records_per_second"], found["core_percent"], found["waiting"]) == (1000, 50, 70)


def test_errors_are_all_codes_but_ok() -> None:
    """By the worker's own count."""
    assert soak._errors(PAGE) == 3
    assert soak._sum(PAGE, "dead_letters") == 5
