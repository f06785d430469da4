"""How long batches run by their rows: a line through the runs of late."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batching.run_line import FORGETTING, RunLine


def line(*runs: tuple[int, float]) -> RunLine:
    """After these runs."""
    found = RunLine()
    for rows, seconds in runs:
        found.note(rows, seconds)
    return found


def test_without_a_run_nothing_takes_time() -> None:
    """Nobody waits for what nobody knows."""
    assert RunLine().seconds(100) == 0.0


def test_one_size_says_nothing_of_others() -> None:
    """They are taken to run as long."""
    found = line((8, 2.0), (8, 2.0))

    assert [found.seconds(rows) for rows in (1, 8, 64)] == [2.0] * 3


@given(
    st.lists(st.integers(1, 1024), min_size=3, max_size=60).filter(lambda rows: max(rows) > 1.2 * min(rows)),
    st.floats(0.001, 1.0),
    st.floats(0.0001, 0.01),
)
def test_a_call_and_its_rows_are_found_again(sizes: list[int], call: float, row: float) -> None:
    """Whatever sizes ran, and in whatever order."""
    found = line(*((rows, call + row * rows) for rows in sizes))
    for rows in (min(sizes), max(sizes)):
        if found._variance > 1e-3 * found._rows**2:
            assert found.seconds(rows) == pytest.approx(call + row * rows, rel=1e-6)


def test_the_runs_of_late_count_most() -> None:
    """A device that has become slower is known for it after some thirty batches."""
    runs = [(rows, 1.0 + rows) for rows in (1, 2, 4, 8)] * 20
    slower = [(rows, 3.0 + 2 * rows) for rows in (1, 2, 4, 8)] * 20
    found = line(*runs, *slower)

    assert found.seconds(4) == pytest.approx(11.0, rel=0.02)


def test_one_slow_run_bends_it_little() -> None:
    """By its share."""
    runs = [(rows, 1.0 + rows) for rows in (1, 2, 4, 8)] * 20
    found = line(*runs, (4, 105.0))

    assert found.seconds(4) == pytest.approx(5.0 + 100 * FORGETTING, rel=0.1)


def test_it_is_never_negative() -> None:
    """Neither where larger batches ran quicker, nor far below the sizes that ran."""
    assert line((1, 8.0), (8, 1.0)).seconds(1000) > 0.0
    assert line((100, 1.0), (200, 9.0)).seconds(1) == 0.0
