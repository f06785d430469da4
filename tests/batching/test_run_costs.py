"""Promises of `batching.run_costs`."""

import math

import pytest

from batching.run_costs import MOST_SAMPLES, START_SECONDS, RunCosts


def costs(*runs: tuple[int, float], exact: bool = True) -> RunCosts:
    """Return what is known after these runs of (rows, seconds)."""
    known = RunCosts(exact=exact)
    for rows, seconds in runs:
        known.note(rows, seconds)
    return known


def test_nothing_is_known_before_the_first_run() -> None:
    """Then no wait is short enough."""
    assert costs().needed(4) == math.inf


def test_one_slow_run_does_not_count_for_long() -> None:
    """A compilation is far from what the size takes."""
    assert costs((4, 9.0)).needed(4) == 9.0 + START_SECONDS
    assert costs((4, 9.0), *[(4, 0.25)] * 4).needed(4) == 0.25 + START_SECONDS


def test_most_runs_take_no_longer() -> None:
    """An estimate that half of the runs exceed would be late half of the time."""
    runs = [(4, float(seconds)) for seconds in range(MOST_SAMPLES)]
    assert costs(*runs).needed(4) == MOST_SAMPLES * 3 / 4 + START_SECONDS


def test_a_change_is_followed() -> None:
    """Runs of long ago do not count."""
    runs = [(4, 9.0)] * 100 + [(4, 0.25)] * MOST_SAMPLES
    assert costs(*runs).needed(4) == 0.25 + START_SECONDS


@pytest.mark.parametrize(("rows", "seconds"), [(2, 1.0), (4, 1.0), (8, 3.0), (16, 3.0), (64, 12.0)])
def test_other_sizes_are_judged_by_their_neighbours(rows: int, seconds: float) -> None:
    """By the next larger one, or in proportion to the largest."""
    assert costs((4, 1.0), (16, 3.0)).needed(rows) == seconds + START_SECONDS


def test_sizes_without_number_are_put_together() -> None:
    """A queue without allowed sizes may see each number of rows."""
    known = costs(*[(rows, rows / 1024) for rows in range(1, 1025)], exact=False)

    assert known.needed(513) == known.needed(1024)
    assert known.needed(1) < known.needed(2) < known.needed(3) == known.needed(4)
