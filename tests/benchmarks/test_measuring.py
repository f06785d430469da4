"""Rates and costs come from what was seen from outside, by one rule for everybody."""

import os
import time

import pytest

from benchmarks import comparison, measuring, turns
from benchmarks.measuring import Result, Sample


def test_a_run_counts_from_a_tenth_of_the_replies_to_all_of_them() -> None:
    """Start-up is in neither rate nor cost."""
    samples = [
        Sample(0.0, 0, 5.0),
        Sample(10.0, 99, 9.0),
        Sample(11.0, 100, 10.0),
        Sample(12.0, 600, 10.5),
        Sample(13.0, 1100, 12.0),
    ]

    assert measuring.result(samples, 1000) == Result(1000, 500.0, 2000.0)


def test_a_summary_has_medians_and_the_spread_of_the_cost() -> None:
    """One bad round moves the spread and not the medians."""
    runs = [Result(10, rate, cost) for rate, cost in ((100.0, 2.0), (300.0, 2.2), (90.0, 9.0))]
    found = measuring.summary("echo", runs)

    assert (found.records_per_second, found.cpu_us_per_record) == (100.0, 2.2)
    assert found.spread == pytest.approx(7.0 / 2.2)


def test_cpu_time_is_that_of_the_process_so_far() -> None:
    """The kernel's count and the interpreter's agree to within the kernel's ticks."""
    before, own, after = (
        measuring.cpu_seconds(os.getpid()),
        time.process_time(),
        measuring.cpu_seconds(os.getpid()),
    )

    assert before - 0.05 <= own <= after + 0.05


def test_contenders_take_turns(capsys: pytest.CaptureFixture[str]) -> None:
    """Each runs once before any runs again, and each run is told at once."""
    order: list[str] = []

    def contender(name: str) -> int:
        order.append(name)
        return len(order)

    results = turns.in_turn({n: lambda n=n: contender(n) for n in ("a", "b")}, 2, str)  # type: ignore[misc]

    assert order == ["a", "b", "a", "b"]
    assert results == {"a": [1, 3], "b": [2, 4]}
    assert capsys.readouterr().out.splitlines()[-1] == "round 2 of 2: b: 4"


def test_costs_and_rates_are_compared_with_the_first_two() -> None:
    """Medians are divided by medians."""
    results = {
        "echo": [Result(10, 4000.0, 2.0), Result(10, 4000.0, 2.0)],
        "hand loop": [Result(10, 1000.0, 8.0), Result(10, 1000.0, 8.0)],
        "headrace": [Result(10, 1900.0, 3.0), Result(10, 2100.0, 5.0)],
    }
    own = comparison.lines(comparison.summaries(results))[2].values

    assert own[comparison.COST_BY_FIRST] == 2.0
    assert own[comparison.COST_BY_SECOND] == 0.5
    assert own[comparison.RATE_BY_SECOND] == 2.0
    assert comparison.runs(results)[-1] == {
        "contender": "headrace",
        "round": 2,
        "records": 10,
        "records_per_second": 2100.0,
        "cpu_us_per_record": 5.0,
    }
