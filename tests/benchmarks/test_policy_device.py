"""What a batch costs: a line through measured times."""

import pytest

from benchmarks import policy_device
from benchmarks.policy_arrivals import TICK_SECONDS
from benchmarks.policy_device import Cost


def test_a_line_is_found_again() -> None:
    """Times of a call and its rows give just these."""
    sizes = (1, 8, 64, 512)
    found = policy_device.fit(sizes, [50e-6 + 0.5e-6 * size for size in sizes])

    assert found.cost.call_seconds == pytest.approx(50e-6)
    assert found.cost.row_seconds == pytest.approx(0.5e-6)
    assert found.largest_error == pytest.approx(0.0, abs=1e-9)


def test_small_batches_count_as_much_as_large_ones() -> None:
    """A large batch that took a little longer does not change what a small one costs by as much time."""
    sizes = (1, 2, 4, 1000)
    found = policy_device.fit(sizes, [1.01, 1.02, 1.04, 11.0 * 1.05])

    assert found.cost.seconds(1) == pytest.approx(1.01, rel=0.02)


def test_what_is_no_such_cost_is_refused() -> None:
    """Large batches that take less than small ones say that the machine was busy."""
    with pytest.raises(ValueError, match="no cost a call and a row"):
        policy_device.fit((1, 2, 3), [3.0, 2.0, 1.0])


def test_sizes_are_measured_in_turn_and_the_median_counts() -> None:
    """A slow call or two among many change nothing; the first turn does not count."""
    now = 0.0
    asked = []

    def run(rows: int) -> None:
        nonlocal now
        asked.append(rows)
        now += 1.0 + 0.25 * rows + (100.0 if len(asked) <= 2 or len(asked) == 5 else 0.0)

    found = policy_device.measure(run, times_each=5, sizes=(2, 8), clock=lambda: now)

    assert asked == [2, 8] * 6
    assert found.seconds == (1.5, 3.0)
    assert found.cost.call_seconds == pytest.approx(1.0)
    assert found.cost.row_seconds == pytest.approx(0.25)


def test_times_are_whole_ticks_and_rates_follow_from_them() -> None:
    """A batch's end is a moment of the simulation's clock."""
    cost = Cost(1.0, 0.125)

    assert cost.seconds(8) == 2.0
    assert cost.rows_per_second(8) == 4.0
    assert (Cost(1e-5, 1e-7).seconds(3) / TICK_SECONDS).is_integer()
