"""What is made of runs by several ways of delivery, beside other models, and of what memory they take."""

import pytest

from benchmarks.comparison import COST_BY_FIRST
from benchmarks.measuring import Result, summary
from benchmarks.scenarios import delivery, priorities, resident, stuck


def test_ways_are_compared_with_the_first() -> None:
    """By rate and by cost."""
    found = delivery.by_first([summary("a", [Result(10, 100.0, 2.0)]), summary("b", [Result(10, 60.0, 5.0)])])

    assert [line.values[delivery.RATE_BY_FIRST] for line in found] == pytest.approx([1.0, 0.6])
    assert [line.values[COST_BY_FIRST] for line in found] == pytest.approx([1.0, 2.5])


def test_every_way_is_one_that_a_worker_takes() -> None:
    """The settings are such that the first is what a worker does by itself."""
    assert next(iter(delivery.WAYS.values())) == {}
    assert delivery.EXACTLY_ONCE in delivery.WAYS


@pytest.mark.parametrize(("beside", "met"), [(7.4, True), (7.6, False)])
def test_a_stuck_model_may_cost_half_as_much_again(beside: float, *, met: bool) -> None:
    """Of the other's p99; and no reply may be missing."""
    alone = {"p99_ms": 5.0, "missing": 0.0}
    found = stuck.targets(alone, {"p99_ms": beside, "missing": 0.0})
    assert [target.met for target in found] == [met, True]


@pytest.mark.parametrize(
    ("p99", "short_p99", "busy", "met"),
    [(7.4, 7.6, 80.0, [True, False, True]), (7.6, 7.4, 20.0, [False, True, False])],
)
def test_bulk_work_may_cost_urgent_requests_half_as_much_again(
    p99: float, short_p99: float, busy: float, met: list[bool]
) -> None:
    """Of their p99 alone, in either length, while both together keep the device busy; and no reply may be missing."""
    alone = {"p99_ms": 5.0, "missing": 0.0, "busy": 0.0}
    first = {"p99_ms": p99, "missing": 0.0, "busy": busy}
    lines = {
        priorities.ALONE: alone,
        priorities.FIRST: first,
        priorities.SHORT: {**first, "p99_ms": short_p99},
        priorities.EQUAL: {**first, "missing": 1.0},
    }
    assert [target.met for target in priorities.targets(lines)] == [*met, False]


def test_memory_is_the_largest_of_all_runs_beyond_an_idle_worker() -> None:
    """One run that takes more is one too many."""
    idle = [resident.Run(100 * resident.MEBIBYTE, 0)] * 3
    runs = {resident.IDLE: idle, "x": [resident.Run(n * resident.MEBIBYTE, 5) for n in (200, 612, 300)]}

    (_, line) = resident.summary(runs)

    assert line.values["more"] == 512
    assert line.values["by_budget"] == pytest.approx(2.0)
