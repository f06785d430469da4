"""The bounds of a search: one is found soon, all are recognised, many are given up, and nothing good is lost before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batching.bisection import RUNS_FOR_EACH_HALVING, Bisection


def search(tasks: int, bad: set[int]) -> tuple[set[int], Bisection]:
    """Search a batch as those who run one do; the tasks that get an error, and what it has cost."""
    bounds = Bisection(tasks)
    groups, failed = [range(tasks)], set[int]()
    while groups:
        group = groups.pop()
        half = len(group) < tasks
        if not bad.intersection(group):
            bounds.succeeded(half=half)
        elif bounds.failed(half=half) and len(group) > 1:
            middle = len(group) // 2
            groups += [group[middle:], group[:middle]]
        else:
            failed.update(group)
    return failed, bounds


@pytest.mark.parametrize("at", [0, 1, 127, 128, 254, 255])
def test_one_bad_task_costs_two_runs_a_halving(at: int) -> None:
    """Wherever it stands in its batch."""
    failed, bounds = search(256, {at})

    assert failed == {at}
    assert bounds.runs <= 2 * 8
    assert not bounds.all_fail
    assert not bounds.exhausted


@pytest.mark.parametrize("tasks", [1, 2, 3, 64, 256, 1024, 65_536])
def test_an_error_that_all_have_is_recognised(tasks: int) -> None:
    """After a number of failures that grows with the depth of the search, and none of them is found one by one."""
    failed, bounds = search(tasks, set(range(tasks)))

    assert failed == set(range(tasks))
    assert bounds.runs <= 4 * tasks.bit_length()
    assert bounds.all_fail == (tasks > 16)


@given(tasks=st.integers(1, 4096), places=st.sets(st.integers(0, 4095), max_size=2))
def test_few_bad_tasks_are_found_among_any_number(tasks: int, places: set[int]) -> None:
    """Two of them, wherever they stand: those alone have the error."""
    bad = {place % tasks for place in places}

    failed, bounds = search(tasks, bad)

    assert failed == bad
    assert bounds.runs <= 2 * len(bad) * tasks.bit_length()


@pytest.mark.parametrize("tasks", [256, 1024, 16_384])
def test_a_search_for_very_many_is_bounded(tasks: int) -> None:
    """Every third of them: the bound ends it, and what is left is run once more in few pieces."""
    failed, bounds = search(tasks, set(range(0, tasks, 3)))

    assert failed >= set(range(0, tasks, 3))
    assert bounds.runs <= (RUNS_FOR_EACH_HALVING + 1) * tasks.bit_length()


def test_small_batches_are_searched_to_their_end() -> None:
    """Up to a hundred tasks the bound is above what the whole search takes: no good one is lost."""
    for tasks in (8, 64, 100):
        bad = set(range(0, tasks, 3))
        assert search(tasks, bad)[0] == bad
