"""Options by costs that are made up: what is advised keeps what was asked for, and says why."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batching import tuning
from batching.errors import ObjectiveOutOfReach
from batching.options import QueueOptions
from batching.tuning import Advice, FirstRun, Objective, SizeCost, advise, needed_seconds

SIZES = tuple(1 << n for n in range(11))
QUICK = FirstRun(3, 0.0021, 0.002)
COMPILED = FirstRun(3, 0.8, 0.002)


def costs(fixed: float, row: float, sizes: tuple[int, ...] = SIZES) -> list[SizeCost]:
    """A device that takes so many seconds a run, and so many a row; its p99 is a tenth above."""
    return [SizeCost(rows, fixed + row * rows, 1.1 * (fixed + row * rows)) for rows in sizes]


seconds = st.floats(1e-6, 10.0)
measured = st.lists(
    st.builds(
        lambda rows, median, more: SizeCost(rows, median, median * more),
        st.integers(1, 5000),
        seconds,
        st.floats(1.0, 20.0),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda each: each.rows,
)
first_runs = st.lists(st.builds(FirstRun, st.integers(1, 5000), seconds, seconds), max_size=5)
objectives = st.builds(Objective, st.none() | seconds, st.integers(1, 3000))


@given(measured, first_runs, objectives)
def test_advice_is_of_measured_sizes_and_keeps_what_was_asked_for(
    sizes: list[SizeCost], firsts: list[FirstRun], objective: Objective
) -> None:
    """Or it says that nothing does, and then nothing does."""
    rows = {each.rows for each in sizes}
    in_time = [
        each
        for each in rows
        if each >= objective.request_rows
        and (objective.p99_seconds is None or needed_seconds(sizes, each) <= objective.p99_seconds)
    ]
    try:
        advice = advise(sizes, firsts, objective)
    except ObjectiveOutOfReach:
        assert not in_time
        return

    assert advice.max_batch_rows in in_time
    assert rows >= set(advice.allowed_batch_rows)
    if objective.p99_seconds is None:
        assert advice.batch_timeout_seconds == 0
    else:
        needed = needed_seconds(sizes, advice.max_batch_rows)
        assert advice.batch_timeout_seconds + needed <= objective.p99_seconds
    QueueOptions(
        advice.max_batch_rows,
        advice.batch_timeout_seconds,
        allowed_batch_rows=advice.allowed_batch_rows,
    )
    assert advice.reasons.keys() == {"max_batch_rows", "batch_timeout_seconds", "allowed_batch_rows"}
    assert all(advice.reasons.values())


@given(measured, first_runs)
def test_no_objective_gives_nearly_all_throughput_there_is(
    sizes: list[SizeCost], firsts: list[FirstRun]
) -> None:
    """Counting what a batch costs besides, and no smaller size does."""
    speeds = {each.rows: each.rows / (each.seconds + tuning.BATCH_SECONDS) for each in sizes}
    enough = tuning.ENOUGH * max(speeds.values())

    found = advise(sizes, firsts).max_batch_rows

    assert found == min(rows for rows, speed in speeds.items() if speed >= enough)


@given(measured, st.lists(st.just(COMPILED), min_size=1))
def test_padding_to_the_next_allowed_size_costs_little_more(
    sizes: list[SizeCost], firsts: list[FirstRun]
) -> None:
    """For each size that was measured and is left out."""
    seconds_of = {each.rows: each.seconds for each in sizes}
    allowed = advise(sizes, firsts).allowed_batch_rows

    for rows, seconds_each in seconds_of.items():
        if rows < allowed[-1] and rows not in allowed:
            padded = next(each for each in allowed if each > rows)
            assert seconds_of[padded] <= tuning.MOST_PADDING * seconds_each


def test_a_size_beyond_the_knee_is_not_worth_its_wait() -> None:
    """1 ms a run and 1 ms a row: 20 rows already have 95% of the best."""
    assert advise(costs(0.001, 0.001)).max_batch_rows == 32


def test_what_a_batch_costs_besides_makes_small_batches_dear() -> None:
    """A model of microseconds gains from large batches what its worker saves."""
    advice = advise(costs(0, 0.000_000_5))

    assert advice.max_batch_rows == 1024
    assert advise(costs(0, 0.000_000_5), batch_seconds=0).max_batch_rows == 1


def test_the_largest_size_that_keeps_the_p99_is_taken() -> None:
    """Two runs of 64 rows are 2 x 1.1 x (1 + 6.4) = 16.28 ms; those of 128 would be 30.36."""
    advice = advise(costs(0.001, 0.000_1), objective=Objective(0.020))

    assert advice.max_batch_rows == 64
    assert "64 rows: the largest size" in advice.reasons["max_batch_rows"]
    assert "16.3 ms" in advice.reasons["max_batch_rows"]


def test_a_larger_size_that_gives_less_is_not_taken() -> None:
    """Some models have a size from which they slow down."""
    sizes = [SizeCost(1, 0.001, 0.001), SizeCost(8, 0.002, 0.002), SizeCost(16, 0.008, 0.008)]

    advice = advise(sizes, objective=Objective(1.0))

    assert advice.max_batch_rows == 8
    assert "but for larger ones that give less" in advice.reasons["max_batch_rows"]


def test_a_slow_smaller_size_counts_for_larger_ones() -> None:
    """A batch may have any size up to the largest."""
    sizes = [SizeCost(1, 0.001, 0.030), SizeCost(8, 0.002, 0.003)]

    assert needed_seconds(sizes, 8) == 0.060
    with pytest.raises(ObjectiveOutOfReach):
        advise(sizes, objective=Objective(0.050))


def test_an_objective_that_nothing_keeps_is_told_with_what_would() -> None:
    """The smallest size, and what would be needed of the objective or the model."""
    with pytest.raises(ObjectiveOutOfReach) as told:
        advise(costs(0.010, 0.001), objective=Objective(0.005))

    assert "no size that was measured keeps a p99 of 5 ms" in str(told.value)
    assert "an objective of 24.2 ms or more" in str(told.value)
    assert "a model and device that run 1 row within 2.5 ms" in str(told.value)


@given(measured, seconds)
def test_the_objective_that_is_said_to_be_needed_is_enough(sizes: list[SizeCost], p99_seconds: float) -> None:
    """Whoever asks again with it gets an answer."""
    try:
        advise(sizes, objective=Objective(p99_seconds))
    except ObjectiveOutOfReach as error:
        needed = str(error).partition("needed is an objective of ")[2].partition(" ms")[0]
        advise(sizes, objective=Objective(float(needed.replace(",", "")) / 1000))


def test_requests_larger_than_what_was_measured_are_out_of_reach() -> None:
    """They would be refused with any of these sizes."""
    with pytest.raises(ObjectiveOutOfReach, match=r"requests of 2,000 rows .* 1,024 rows are the largest"):
        advise(costs(0.001, 0.001), objective=Objective(request_rows=2000))


def test_requests_of_many_rows_have_room() -> None:
    """Whatever the throughput of smaller batches."""
    assert advise(costs(0.001, 0.001), objective=Objective(request_rows=100)).max_batch_rows == 128


def test_nothing_measured_is_a_mistake_of_the_caller() -> None:
    """There is nothing to advise by."""
    with pytest.raises(ValueError, match="there are no costs"):
        advise([])


def test_a_wait_needs_costs_that_fall_and_time_that_is_left() -> None:
    """10 ms a run whatever the rows: 1,024 rows cost a row a thousandth, and 50 ms have room for a wait of a run."""
    flat = costs(0.010, 0)

    waits = advise(flat, objective=Objective(0.050))
    no_time = advise(flat, objective=Objective(0.0225))
    by_row = advise(costs(0.010, 0.010, (1, 2, 4)), objective=Objective(1.0))

    assert waits.batch_timeout_seconds == 0.010
    assert waits.reasons["batch_timeout_seconds"].startswith(
        "10 ms: a row of a full batch is 1,024 times cheaper"
    )
    assert (no_time.batch_timeout_seconds, by_row.batch_timeout_seconds) == (0, 0)
    assert "the objective leaves 0.5 ms" in no_time.reasons["batch_timeout_seconds"]
    assert "should not wait for more" in by_row.reasons["batch_timeout_seconds"]


def test_sizes_are_only_allowed_where_a_new_one_is_dear() -> None:
    """A run that compiles takes hundreds of times as long; one that allocates some milliseconds more."""
    sizes = costs(0.002, 0.000_01)

    compiled, quick, unknown = (advise(sizes, firsts) for firsts in ([COMPILED], [QUICK], []))

    # 3.28 ms a run with 128 rows, 2.64 with 64, 2.32 with 32, which is left out, 2.16 with 16, and 2.01 with 1.
    assert compiled.allowed_batch_rows == (16, 64, 128, 256, 512, 1024)
    assert "took 800 ms at first and 2 ms then" in compiled.reasons["allowed_batch_rows"]
    assert (quick.allowed_batch_rows, unknown.allowed_batch_rows) == ((), ())
    assert "need no program of their own" in quick.reasons["allowed_batch_rows"]
    assert "too few sizes" in unknown.reasons["allowed_batch_rows"]


@pytest.mark.parametrize(
    ("first", "compiled"),
    [(FirstRun(3, 0.0049, 0.0001), False), (FirstRun(3, 0.5, 0.4), False), (FirstRun(3, 0.02, 0.01), True)],
)
def test_a_program_is_told_by_its_time_and_by_its_share(first: FirstRun, *, compiled: bool) -> None:
    """A little more is no program, whatever the share; nor is a small share of a long run."""
    assert tuning.is_compiled([first]) is compiled


def test_one_slow_first_run_is_no_program() -> None:
    """Machines stall now and then; the median of several counts."""
    assert not tuning.is_compiled([QUICK, COMPILED, QUICK])
    assert not tuning.is_compiled([])


def test_the_order_of_the_costs_does_not_matter() -> None:
    """Nor which was measured first."""
    few = costs(0.001, 0.0001, (1, 4, 16))
    found: list[Advice] = [advise(list(order)) for order in itertools.permutations(few)]

    assert all(each == found[0] for each in found)
