"""Batches between two allowed sizes: padded up, or cut down; on a fake clock, by 0, 1 and 3 threads."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batching import padding_policy
from batching.batch import Batch, CloseReason
from batching.batch_queue import BatchQueue
from batching.options import Filling, PaddingPolicy, QueueOptions
from batching.run_costs import RunCosts
from batching.task_queue import TaskQueue
from tests.batching.bench import Bench, Rows, rows_taken

SIZES = (2, 4, 8)
LOW, HIGH = 0, 9
TIMEOUT_SECONDS = 1.0


def queue_of(
    bench: Bench, policy: PaddingPolicy = PaddingPolicy.BATCH_DOWN, **options: Any
) -> BatchQueue[Rows]:
    """A queue that waits for a second, unless the options say otherwise."""
    usual: dict[str, Any] = {
        "max_batch_rows": 8,
        "allowed_batch_rows": SIZES,
        "batch_timeout_seconds": TIMEOUT_SECONDS,
        "padding_policy": policy,
    }
    return bench.queue("q", **(usual | options))


def open_batch(*rows: int) -> Batch[Rows]:
    """A batch of tasks that can be cut anywhere, the first of which came at 0, the next at 1 and so on."""
    batch = Batch[Rows]()
    for number, each in enumerate(rows):
        batch.add(Rows(f"{number}", each, cut=1), float(number))
    return batch


def cut(
    batch: Batch[Rows],
    policy: PaddingPolicy = PaddingPolicy.BATCH_DOWN,
    lower_rows: int = 0,
    filling: Filling = Filling.ALLOWED,
    seconds: Mapping[int, float] | None = None,
) -> tuple[int, int]:
    """How many rows leave, and how many stay, with batches that run as long as is said by their size."""
    costs = RunCosts(exact=True)
    for size, each in (seconds or {}).items():
        costs.note(size, each)
    options = QueueOptions(max_batch_rows=8, allowed_batch_rows=SIZES, padding_policy=policy, filling=filling)
    rest = padding_policy.cut_down(batch, options, costs, 10.0, lower_rows)
    return batch.rows, 0 if rest is None else rest.rows


@pytest.mark.parametrize(
    ("rows", "expected"),
    [(1, (1, 0)), (2, (2, 0)), (3, (2, 1)), (4, (4, 0)), (5, (4, 1)), (7, (4, 3)), (8, (8, 0))],
)
def test_a_batch_is_cut_to_the_next_smaller_size(rows: int, expected: tuple[int, int]) -> None:
    """One that has a size stays whole, and one below all sizes, which could never leave otherwise."""
    assert cut(open_batch(*[1] * rows)) == expected
    assert cut(open_batch(rows)) == expected
    assert cut(open_batch(*[1] * rows), PaddingPolicy.PAD_UP) == (rows, 0)


def test_without_sizes_nothing_is_cut() -> None:
    """No batch is padded then."""
    options = QueueOptions(padding_policy=PaddingPolicy.BATCH_DOWN)
    assert padding_policy.cut_down(open_batch(5), options, RunCosts(exact=False), 0.0, 0) is None


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ({}, (5, 0)),
        ({4: 1.0}, (5, 0)),
        ({8: 1.0}, (5, 0)),
        ({2: 1.0, 8: 9.0}, (5, 0)),
        ({4: 1.0, 8: 1.2}, (5, 0)),
        ({4: 4.0, 8: 5.0}, (4, 1)),
        ({4: 1.0, 8: 1.3}, (4, 1)),
    ],
)
def test_the_cheaper_run_is_the_one_that_costs_less_a_row(
    seconds: dict[int, float], expected: tuple[int, int]
) -> None:
    """By runs of both sizes; until both are known it is padded, and where they cost the same it is cut."""
    assert cut(open_batch(*[1] * 5), PaddingPolicy.MINIMIZE_COST, seconds=seconds) == expected


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ((5,), (5, 0)),
        ((3, 2), (3, 2)),  # 3 run as 4 rather than 5 as 8
        ((1, 6), (7, 0)),  # 1 row of 2 is worse than 7 of 8
        ((2, 1, 3), (6, 0)),  # 3 of 4 is no better than 6 of 8
    ],
)
def test_where_there_is_no_cut_whole_tasks_stay(rows: tuple[int, ...], expected: tuple[int, int]) -> None:
    """If that saves padding: a batch of one task leaves as it is."""
    batch = Batch[Rows]()
    for each in rows:
        batch.add(Rows("whole", each), 0.0)
    assert cut(batch) == expected


def test_a_cut_that_costs_more_is_not_made() -> None:
    """Four rows would be cheaper by themselves than seven as eight, but only one can leave without the other six."""
    batch = Batch[Rows]()
    for each in (1, 6):
        batch.add(Rows("whole", each), 0.0)
    assert cut(batch, PaddingPolicy.MINIMIZE_COST, seconds={2: 1.0, 4: 1.0, 8: 3.0}) == (7, 0)


def test_pieces_that_stay_together_are_all_there() -> None:
    """A task that gives a smaller piece than was wanted is two tasks from then on: none of it may be dropped."""
    batch = Batch[Rows]()
    batch.add(Rows("a", 7, cut=3), 0.5)
    batch.limit(0, 99.0)
    assert cut(batch, seconds={2: 1.0, 4: 1.0, 8: 1.0}) == (7, 0)  # 3 of 4 would be worse

    assert [(task.start, task.rows) for task in batch.tasks] == [(0, 3), (3, 4)]
    assert batch.enqueued_at == [0.5, 0.5]
    assert [task.start for task in batch.expire(99.0)] == [0, 3]


def test_what_stays_keeps_times_and_deadlines() -> None:
    """Both pieces of a task that is cut have those of the task."""
    batch = Batch[Rows]()
    for place, (rows, deadline) in enumerate(((1, 90.0), (1, None), (3, 70.0), (1, 80.0))):
        batch.add(Rows(f"{place}", rows, cut=1), float(place))
        if deadline is not None:
            batch.limit(place, deadline)
    rest = batch.split_off(batch.part_at(4))

    assert [(task.name, task.start, task.rows) for task in batch.tasks] == [
        ("0", 0, 1),
        ("1", 0, 1),
        ("2", 0, 2),
    ]
    assert [(task.name, task.start, task.rows) for task in rest.tasks] == [("2", 2, 1), ("3", 0, 1)]
    assert (batch.enqueued_at, rest.enqueued_at) == ([0.0, 1.0, 2.0], [2.0, 3.0])
    assert (batch.rows, rest.rows) == (4, 2)
    assert (batch.deadline, rest.deadline) == (70.0, 70.0)
    assert [task.start for task in rest.expire(70.0)] == [2]
    assert rest.deadline == 80.0
    assert [task.name for task in batch.expire(70.0)] == ["2"]
    assert batch.deadline == 90.0


@pytest.mark.parametrize(
    ("lower_rows", "filling", "expected"),
    [
        (2, Filling.ALLOWED, (4, 1)),
        (3, Filling.ALLOWED, (5, 0)),
        (0, Filling.MAX, (4, 1)),
        (1, Filling.MAX, (5, 0)),
    ],
)
def test_what_can_be_filled_up_is_not_cut(
    lower_rows: int, filling: Filling, expected: tuple[int, int]
) -> None:
    """It has no padding then; a batch that is to be as large as can be takes whatever there is."""
    assert cut(open_batch(*[1] * 5), lower_rows=lower_rows, filling=filling) == expected


@pytest.mark.parametrize(("deadline", "expected"), [(12.1, (4, 1)), (11.9, (5, 0))])
def test_a_batch_without_time_for_two_runs_is_not_cut(deadline: float, expected: tuple[int, int]) -> None:
    """A run of 4 and one of 2 after it, from 10 on."""
    batch = open_batch(*[1] * 5)
    batch.limit(4, deadline)
    assert cut(batch, seconds={2: 1.0, 4: 1.0, 8: 1.0}) == expected


def test_a_batch_whose_runs_nobody_has_measured_is_not_cut_if_it_has_a_deadline() -> None:
    """As nobody knows how long two take."""
    batch = open_batch(*[1] * 5)
    batch.limit(0, 1000.0)
    assert cut(batch) == (5, 0)


def test_what_stays_leaves_at_its_own_time(bench: Bench) -> None:
    """A batch of 3 leaves as one of 2, and the third row when it has waited for as long."""
    queue = queue_of(bench)
    queue.schedule(Rows("a", 1))
    queue.schedule(Rows("b", 1))
    bench.settle()
    bench.advance(0.5)
    queue.schedule(Rows("c", 1))
    bench.settle()

    bench.advance(0.5)
    assert bench.contents() == [[("a", 1), ("b", 1)]]
    assert (queue.enqueued_tasks, queue.enqueued_rows, queue.statistics().enqueued_batches) == (1, 1, 1)
    bench.advance(0.499)
    assert len(bench.batches) == 1

    bench.advance(0.001)
    assert bench.contents()[1:] == [[("c", 1)]]
    assert [(batch.rows, batch.padded_rows) for batch in bench.batches] == [(2, 2), (1, 2)]
    assert [batch.close_reason for batch in bench.batches] == [CloseReason.TIMEOUT] * 2
    assert [batch.waited_seconds for batch in bench.batches] == [TIMEOUT_SECONDS] * 2
    assert (queue.enqueued_tasks, queue.enqueued_rows) == (0, 0)


def test_what_stays_meets_what_comes(bench: Bench) -> None:
    """It is an open batch, at the front: nothing goes before it, and it fills up."""
    queue = queue_of(bench)
    with bench.all_threads_busy():
        queue.schedule(Rows("a", 3, cut=1))
        bench.clock.advance(0.5)
        queue.schedule(Rows("b", 2, cut=1))
        bench.clock.advance(0.5)
    assert bench.contents() == [[("a", 3), ("b", 1)]]

    queue.schedule(Rows("c", 7))
    bench.settle()
    assert bench.contents()[1:] == [[("b", 1), ("c", 7)]]
    assert bench.batches[1].tasks[0].start == 1
    assert bench.batches[1].close_reason is CloseReason.FULL
    assert (queue.enqueued_tasks, queue.enqueued_rows) == (0, 0)


def test_what_stays_is_due_at_once_when_its_time_has_come(bench: Bench) -> None:
    """A thread that is free takes it, and is woken for it where it sleeps: 7 rows are 4, 2 and 1."""
    queue = queue_of(bench)
    queue.schedule(Rows("a", 7, cut=1))
    bench.settle()
    bench.advance(TIMEOUT_SECONDS)

    assert bench.row_counts() == [[1], [2], [4]]
    assert sorted(batch.padded_rows for batch in bench.batches) == [2, 2, 4]
    assert bench.scheduler.seconds_until_due() is None


def test_without_a_time_out_a_free_thread_takes_an_allowed_size(bench: Bench) -> None:
    """And the next one what is left."""
    queue = queue_of(bench, batch_timeout_seconds=0.0)
    with bench.all_threads_busy():
        for number in range(6):
            queue.schedule(Rows(f"{number}", 1))
    if bench.threads:  # without any nobody was busy, but nobody took them either
        assert sorted(map(len, bench.contents())) == [2, 4]
    assert sorted(task for batch in bench.contents() for task in batch) == [(f"{n}", 1) for n in range(6)]
    assert {batch.close_reason for batch in bench.batches} == {CloseReason.IDLE}
    assert all(batch.rows == batch.padded_rows for batch in bench.batches)


def test_a_queue_that_is_closed_empties_itself_whole(bench: Bench) -> None:
    """What was to wait on has nothing to wait for."""
    queue = queue_of(bench)
    queue.schedule(Rows("a", 5, cut=1))
    bench.settle()
    queue.close()

    assert bench.contents() == [[("a", 5)]]
    assert bench.batches[0].close_reason is CloseReason.DRAIN


def test_what_stays_is_drained_with_its_queue(bench: Bench) -> None:
    """It leaves before its time then."""
    queue = queue_of(bench)
    queue.schedule(Rows("a", 2))
    bench.settle()
    bench.advance(0.5)
    queue.schedule(Rows("b", 1))
    bench.settle()
    bench.advance(0.5)
    queue.close()

    assert bench.contents() == [[("a", 2)], [("b", 1)]]
    assert bench.batches[1].close_reason is CloseReason.DRAIN


def test_a_batch_that_was_closed_early_leaves_whole(bench: Bench) -> None:
    """Who comes behind it could be kept waiting for ever otherwise."""
    queue = queue_of(bench)
    queue.schedule(Rows("a", 5, cut=1))
    queue.schedule(Rows("b", 4))
    bench.settle()

    assert bench.contents() == [[("a", 5)]]
    assert bench.batches[0].close_reason is CloseReason.FULL
    bench.advance(TIMEOUT_SECONDS)
    assert bench.contents()[1:] == [[("b", 4)]]


def test_a_task_without_a_cut_leaves_whole(bench: Bench) -> None:
    """Padded up, as ever."""
    queue = queue_of(bench)
    queue.schedule(Rows("a", 5))
    bench.settle()
    bench.advance(TIMEOUT_SECONDS)

    assert bench.contents() == [[("a", 5)]]
    assert bench.batches[0].padded_rows == 8


def test_a_task_that_stays_expires_at_its_deadline(bench: Bench) -> None:
    """The deadlines move with their tasks; those that have left are out of no time."""
    queue = queue_of(bench)
    for rows in (8, 4, 2):
        queue.schedule(Rows("known", rows))
        bench.settle()
        bench.advance(TIMEOUT_SECONDS)
    bench.batches.clear()
    bench.schedule(queue, Rows("a", 1), 1.5)
    bench.schedule(queue, Rows("b", 1))
    bench.settle()
    bench.advance(0.9)
    bench.schedule(queue, Rows("c", 1), 0.6)
    bench.settle()
    bench.advance(0.1)
    assert bench.contents() == [[("a", 1), ("b", 1)]]

    with bench.all_threads_busy():
        bench.clock.advance(0.5)
    assert [task.name for _, task in bench.expired] == ["c"]
    assert bench.contents() == [[("a", 1), ("b", 1)]]
    assert (queue.enqueued_tasks, queue.enqueued_rows) == (0, 0)


def family(bench: Bench, filling: Filling) -> tuple[BatchQueue[Rows], BatchQueue[Rows]]:
    """A queue of a high and one of a low priority, of one family, both cut down."""
    high, low = (
        bench.scheduler.add_queue(
            name,
            QueueOptions(
                max_batch_rows=8,
                allowed_batch_rows=SIZES,
                priority=priority,
                filling=filling,
                padding_policy=PaddingPolicy.BATCH_DOWN,
            ),
            bench.batches.append,
            family="model",
        )
        for name, priority in (("high", HIGH), ("low", LOW))
    )
    return high, low


@pytest.mark.parametrize(
    ("filling", "low_rows", "batches"),
    [
        (Filling.ALLOWED, 1, [[("high", 1), ("low", 1)], [("high", 4)]]),
        (Filling.ALLOWED, 3, [[("high", 5), ("low", 3)]]),
        (Filling.MAX, 1, [[("high", 5), ("low", 1)]]),
        (Filling.NONE, 3, [[("high", 1)], [("high", 4)], [("low", 1)], [("low", 2)]]),
    ],
)
def test_filling_comes_first(
    bench: Bench, filling: Filling, low_rows: int, batches: list[list[tuple[str, int]]]
) -> None:
    """Rows of lower priorities that fill a batch up cost nothing; where they are too few it is cut down."""
    high, low = family(bench, filling)
    with bench.all_threads_busy():
        low.schedule(Rows("low", low_rows, cut=1))
        high.schedule(Rows("high", 5, cut=1))

    assert sorted(bench.contents()) == batches
    assert low.enqueued_tasks == low.enqueued_rows == high.enqueued_tasks == high.enqueued_rows == 0


def slow(bench: Bench, seconds: Callable[[int], float]) -> BatchQueue[Rows]:
    """A queue by cost, whose batches take the clock further by their padded size."""

    def run(batch: Batch[Rows]) -> None:
        bench.batches.append(batch)
        bench.clock.advance(seconds(batch.padded_rows))

    options = QueueOptions(
        max_batch_rows=8,
        allowed_batch_rows=SIZES,
        batch_timeout_seconds=TIMEOUT_SECONDS,
        padding_policy=PaddingPolicy.MINIMIZE_COST,
    )
    return bench.scheduler.add_queue("slow", options, run)


@pytest.mark.parametrize(
    ("seconds", "batches"),
    [
        (lambda rows: 2.0**-10 * rows, [[1], [4]]),
        (lambda rows: 2.0**-10 * (64 + rows), [[5]]),
    ],
)
def test_costs_are_measured_where_they_decide(
    bench: Bench, seconds: Callable[[int], float], batches: list[list[int]]
) -> None:
    """Without any deadline. Where a row costs most a cut is a gain, and where a call does it is none."""
    queue = slow(bench, seconds)
    queue.schedule(Rows("first", 5, cut=1))
    bench.settle()
    bench.advance(TIMEOUT_SECONDS)
    assert bench.row_counts() == [[5]]
    for rows in (8, 4, 2):
        queue.schedule(Rows("known", rows))
        bench.settle()
        bench.advance(TIMEOUT_SECONDS)
    bench.batches.clear()

    queue.schedule(Rows("a", 5, cut=1))
    bench.settle()
    bench.advance(TIMEOUT_SECONDS)
    assert bench.row_counts() == batches


def test_only_costs_that_decide_are_measured(bench: Bench) -> None:
    """A batch of another queue costs nothing more than before."""
    queue = queue_of(bench, batch_timeout_seconds=0.0)
    other = bench.scheduler.add_queue("plain", QueueOptions(), bench.batches.append)
    for each in (queue, other):
        each.schedule(Rows("a", 4))
    bench.settle()
    assert other._lane.queue.costs.measured(4) is None


@given(
    tasks=st.lists(
        st.tuples(
            st.integers(0, 2),
            st.integers(1, 8),
            st.integers(0, 3),
            st.integers(0, 2),
            st.one_of(st.none(), st.integers(1, 9)),
        ),
        max_size=25,
    ),
    policy=st.sampled_from(PaddingPolicy),
    filling=st.sampled_from(Filling),
    timeout=st.sampled_from((0.0, 1.0)),
)
def test_each_row_leaves_once_and_in_order(
    tasks: list[tuple[int, int, int, int, int | None]],
    policy: PaddingPolicy,
    filling: Filling,
    timeout: float,
) -> None:
    """Whatever comes, in whichever queue, when, and with which deadline: nothing is lost, repeated or too large."""
    bench = Bench(0)

    def run(batch: Batch[Rows]) -> None:
        bench.batches.append(batch)
        bench.clock.advance(0.03125 * (4 + batch.padded_rows))

    queues = [
        bench.scheduler.add_queue(
            f"{priority}",
            QueueOptions(
                max_batch_rows=8,
                allowed_batch_rows=SIZES,
                batch_timeout_seconds=timeout,
                max_enqueued_batches=100,
                priority=priority,
                filling=filling,
                padding_policy=policy,
            ),
            run,
            family="model",
            expired=bench.expire,
        )
        for priority in range(3)
    ]
    given_rows = [0, 0, 0]
    for priority, rows, cut_rows, ticks, deadline in tasks:
        limit = None if deadline is None else deadline * 0.5
        bench.schedule(queues[priority], Rows(f"{priority}", rows, cut_rows, given_rows[priority]), limit)
        given_rows[priority] += rows
        if ticks:
            bench.advance(ticks * 0.5)
    bench.scheduler.close()

    for number, theirs in enumerate(rows_taken(bench.batches, queues[0].options, len(queues))):
        assert theirs == sorted(theirs)
        gone = [
            row
            for _, task in bench.expired
            if task.name == f"{number}"
            for row in range(task.start, task.start + task.rows)
        ]
        assert sorted(theirs + gone) == list(range(given_rows[number]))
    assert [(queue.enqueued_tasks, queue.enqueued_rows) for queue in queues] == [(0, 0)] * 3
    assert bench.scheduler._dispatcher._order.available_batches == 0


@given(rows=st.lists(st.integers(1, 8), min_size=1, max_size=12))
def test_with_no_cut_to_wait_for_a_batch_is_never_padded_by_much(rows: list[int]) -> None:
    """Divisible tasks leave as allowed sizes, but for a last batch below the smallest one."""
    options = QueueOptions(
        max_batch_rows=8,
        allowed_batch_rows=SIZES,
        max_enqueued_batches=100,
        padding_policy=PaddingPolicy.BATCH_DOWN,
    )
    queue = TaskQueue[Rows]("q", options)
    for each in rows:
        queue.add(Rows("a", each, cut=1), 0.0)
    padded = []
    while (batch := queue.take(0.0)) is not None:
        padded.append(batch.padded_rows - batch.rows)
    assert sum(padded) == sum(rows) % 2
    assert (queue.enqueued_tasks, queue.enqueued_rows, queue.available_batches(0.0)) == (0, 0, 0)
