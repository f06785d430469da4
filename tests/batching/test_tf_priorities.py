"""What TensorFlow's tests of priorities check, as they play it; on a fake clock, by 0, 1 and 3 threads.

`docs/behaviours.md` has their names.
"""

from typing import Any

import pytest

from batching import errors
from batching.batch import CloseReason
from batching.batch_queue import BatchQueue
from batching.options import Filling
from tests.batching.bench import Bench, Rows

LOW, MIDDLE, HIGH = 0, 4, 9
TIMEOUT_SECONDS = 1.0
SIZES = (2, 4, 8)


def family(bench: Bench, filling: Filling, **options: Any) -> tuple[BatchQueue[Rows], BatchQueue[Rows]]:
    """A queue of a high and one of a low priority that may share batches of eight rows."""
    usual = {"max_batch_rows": 8, "filling": filling, "batch_timeout_seconds": TIMEOUT_SECONDS}
    high, low = (
        bench.queue(name, family="model", **{**usual, "priority": priority, **options})
        for name, priority in (("high", HIGH), ("low", LOW))
    )
    return high, low


def put(queue: BatchQueue[Rows], *rows: int, cut: int = 0) -> None:
    """Tasks of so many rows each, named after their queue."""
    for each in rows:
        queue.schedule(Rows(queue.name, each, cut))


def order_of(bench: Bench) -> str:
    """The initials of the queues, in the order in which their batches were taken."""
    return "".join(name[0] for name, _ in bench.observer.formed if name != "blocker")


def own_batch(bench: Bench, name: str) -> list[tuple[str, int]]:
    """The tasks of the only batch that begins with one of this queue."""
    (found,) = [tasks for tasks in bench.contents() if tasks[0][0] == name]
    return found


def test_a_task_over_the_limits_of_its_priority_is_refused(bench: Bench) -> None:
    """Each priority has sizes of its own: what is too large for one is not for the other, and nothing is counted."""
    low = bench.queue("low", max_batch_rows=4, max_enqueued_batches=1, priority=LOW)
    high = bench.queue("high", max_batch_rows=8, max_enqueued_batches=1, priority=HIGH)
    with pytest.raises(errors.TaskTooLarge):
        put(low, 5)
    assert (low.enqueued_tasks, low.capacity_rows) == (0, 4)

    put(high, 5)
    bench.settle()
    assert bench.contents() == [[("high", 5)]]


@pytest.mark.parametrize("own", ["low", "high"])
def test_each_priority_is_taken_when_it_is_full(bench: Bench, own: str) -> None:
    """At its largest size a batch waits for no time, whatever its priority."""
    queues = dict(zip(("high", "low"), family(bench, Filling.NONE), strict=True))
    put(queues[own], 5, 2)
    bench.settle()
    assert bench.batches == []

    put(queues[own], 1)
    bench.settle()
    assert bench.contents() == [[(own, 5), (own, 2), (own, 1)]]
    assert bench.batches[0].close_reason is CloseReason.FULL


@pytest.mark.parametrize("own", ["low", "high"])
def test_each_priority_is_taken_at_its_timeout(bench: Bench, own: str) -> None:
    """Not a moment before it, whatever its priority."""
    queues = dict(zip(("high", "low"), family(bench, Filling.NONE), strict=True))
    put(queues[own], 3)
    bench.settle()
    bench.advance(TIMEOUT_SECONDS - 0.125)
    assert bench.batches == []

    bench.advance(0.125)
    assert bench.contents() == [[(own, 3)]]
    assert bench.batches[0].close_reason is CloseReason.TIMEOUT


def test_a_higher_priority_that_is_not_due_keeps_nobody_waiting(bench: Bench) -> None:
    """A low batch that has timed out leaves although a high one came before its time, and each at its own."""
    high, low = family(bench, Filling.NONE)
    put(low, 1)
    bench.settle()
    bench.advance(0.5)
    put(high, 1)
    bench.settle()

    bench.advance(0.5)
    assert bench.contents() == [[("low", 1)]]
    bench.advance(0.5)
    assert bench.contents() == [[("low", 1)], [("high", 1)]]


def test_priorities_are_served_from_the_highest_to_the_lowest(bench: Bench) -> None:
    """In whatever order they came; each in its own order."""
    queues = [
        bench.queue(name, max_batch_rows=1, priority=priority, ageing_seconds=60.0)
        for name, priority in (("middle", MIDDLE), ("low", LOW), ("high", HIGH))
    ]
    with bench.all_threads_busy():
        for number in range(4):
            for queue in queues:
                queue.schedule(Rows(queue.name, 1, start=number))

    order = order_of(bench)
    if bench.threads <= 1:
        assert order == "hhhhmmmmllll"
    else:  # several threads tell what they have taken in any order among themselves
        assert sorted(order) == sorted("hhhhmmmmllll")
        assert set(order[:2]) == {"h"}
        assert set(order[-2:]) == {"l"}
    starts = sorted((task.name, task.start) for batch in bench.batches for task in batch.tasks)
    assert starts == [(name, number) for name in ("high", "low", "middle") for number in range(4)]


def test_queues_of_one_priority_take_turns_before_all_that_are_lower(bench: Bench) -> None:
    """Two high ones, one after the other, and only then two low ones, likewise."""
    options = {"max_batch_rows": 1, "max_enqueued_batches": 3}
    queues = [
        bench.queue(name, priority=priority, **options)
        for name, priority in (("a", LOW), ("b", LOW), ("x", HIGH), ("y", HIGH))
    ]
    with bench.all_threads_busy():
        for queue in queues:
            put(queue, 1, 1, 1)

    if bench.threads <= 1:
        assert order_of(bench) == "xyxyxyababab"
    else:
        assert sorted(order_of(bench)) == sorted("xyxyxyababab")
        assert set(order_of(bench)[:4]) <= {"x", "y"}


def test_what_has_aged_goes_by_its_age(bench: Bench) -> None:
    """Of two priorities that have both waited too long the older goes first, and both before one that has not."""
    low = bench.queue("low", max_batch_rows=1, priority=LOW, ageing_seconds=1.0)
    middle = bench.queue("middle", max_batch_rows=1, priority=MIDDLE, ageing_seconds=1.0)
    high = bench.queue("high", max_batch_rows=1, priority=HIGH, ageing_seconds=60.0)
    with bench.all_threads_busy():
        for queue in (low, middle, high):
            put(queue, 1)
            bench.clock.advance(0.5)

    assert sorted(order_of(bench)) == sorted("lmh")
    if bench.threads <= 1:
        assert order_of(bench) == "lmh"


def test_a_high_load_of_all_priorities_is_served(bench: Bench) -> None:
    """Hundreds of tasks of any size and priority: each row once, in the order of its queue, no batch too large."""
    queues = [
        bench.queue(name, max_batch_rows=8, max_enqueued_batches=1000, priority=priority, family="model")
        for name, priority in (("low", LOW), ("middle", MIDDLE), ("high", HIGH))
    ]
    given = dict.fromkeys(("low", "middle", "high"), 0)
    with bench.all_threads_busy():
        for number in range(600):
            queue = queues[number % 3]
            rows = 1 + number * 7 % 13
            queue.schedule(Rows(queue.name, rows, cut=1, start=given[queue.name]))
            given[queue.name] += rows

    assert max(batch.rows for batch in bench.batches) == 8
    served = [
        (task.name, task.start + row)
        for batch in bench.batches
        for task in batch.tasks
        for row in range(task.rows)
    ]
    assert sorted(served) == sorted((name, row) for name, rows in given.items() for row in range(rows))
    if bench.threads <= 1:
        assert served == [(name, row) for name in ("high", "middle", "low") for row in range(given[name])]


def test_tasks_of_each_priority_are_split_over_its_own_batches(bench: Bench) -> None:
    """One larger than a batch fills three, one that does not fit is cut across two; none meets another priority's."""
    high, low = family(bench, Filling.NONE, max_batch_rows=4)
    with bench.all_threads_busy():
        put(low, 10, cut=1)
        put(high, 3, 5, cut=1)
        bench.clock.advance(TIMEOUT_SECONDS)

    expected = [[("high", 3), ("high", 1)], [("high", 4)], [("low", 4)], [("low", 4)], [("low", 2)]]
    assert sorted(bench.contents()) == sorted(expected)
    if bench.threads <= 1:
        assert bench.contents() == expected


def test_a_task_larger_than_its_queue_is_refused_for_good(bench: Bench) -> None:
    """An error that no retry helps, also from a queue that is full; what waits there is as it was."""
    _, low = family(bench, Filling.NONE, max_batch_rows=4, max_enqueued_batches=2)
    with bench.all_threads_busy():
        for waiting in (0, 8):
            with pytest.raises(errors.TaskTooLarge) as refusal:
                put(low, 9, cut=1)
            assert not refusal.value.retriable
            assert low.enqueued_rows == waiting
            if not waiting:
                put(low, 8, cut=1)

    assert bench.row_counts() == [[4], [4]]


@pytest.mark.parametrize(
    ("filling", "high_rows", "low_tasks", "taken"),
    [
        (Filling.MAX, 3, 7, 5),
        (Filling.MAX, 3, 2, 2),
        (Filling.MAX, 8, 2, 0),
        (Filling.ALLOWED, 3, 7, 1),
        (Filling.ALLOWED, 5, 7, 3),
        (Filling.ALLOWED, 5, 2, 2),
        (Filling.ALLOWED, 4, 7, 0),
        (Filling.NONE, 3, 7, 0),
    ],
    ids=["max", "max available", "full", "next", "next of 5", "next available", "exact", "isolated"],
)
def test_a_high_batch_is_filled_up_to_its_bound(
    bench: Bench, filling: Filling, high_rows: int, low_tasks: int, taken: int
) -> None:
    """To the largest size, the next allowed one, or what there is; what is left is a batch of its own, later."""
    high, low = family(bench, filling, allowed_batch_rows=SIZES)
    with bench.all_threads_busy():
        put(low, *[1] * low_tasks)
        put(high, high_rows)
        bench.clock.advance(TIMEOUT_SECONDS)

    assert own_batch(bench, "high") == [("high", high_rows), *[("low", 1)] * taken]
    if taken < low_tasks:
        assert own_batch(bench, "low") == [("low", 1)] * (low_tasks - taken)
    if bench.threads <= 1:
        assert order_of(bench) == ("hl" if taken < low_tasks else "h")


def test_filling_comes_when_the_batch_leaves(bench: Bench) -> None:
    """Low tasks that come after the high ones, up to the last moment, fill it too, and leave the high ones first."""
    high, low = family(bench, Filling.MAX)
    put(high, 2)
    bench.settle()
    bench.advance(0.5)
    put(low, 1, 1)
    bench.settle()
    assert bench.batches == []

    bench.advance(0.5)
    assert bench.contents() == [[("high", 2), ("low", 1), ("low", 1)]]
    assert bench.batches[0].close_reason is CloseReason.TIMEOUT
    bench.advance(10.0)
    assert len(bench.batches) == 1


def test_a_low_task_is_cut_to_fill_a_high_batch(bench: Bench) -> None:
    """What is left of it waits in its place, and leaves at its own time."""
    high, low = family(bench, Filling.MAX)
    put(high, 5)
    bench.settle()
    bench.advance(0.5)
    put(low, 7, cut=1)
    bench.settle()

    bench.advance(0.5)
    assert bench.contents() == [[("high", 5), ("low", 3)]]
    bench.advance(0.5)
    assert bench.contents() == [[("high", 5), ("low", 3)], [("low", 4)]]


def test_rows_of_two_priorities_that_would_fill_a_batch_wait_for_a_timeout(bench: Bench) -> None:
    """Only rows of one queue make a batch full; there is no merged queue of all priorities."""
    high, low = family(bench, Filling.MAX)
    put(high, 4)
    put(low, 4)
    bench.settle()
    assert bench.batches == []

    bench.advance(TIMEOUT_SECONDS)
    assert sum(batch.rows for batch in bench.batches) == 8


def test_a_full_low_queue_loses_nothing_to_higher_ones(bench: Bench) -> None:
    """Nobody is evicted: each priority refuses what it has no room for, and keeps what it has."""
    high, low = family(bench, Filling.NONE, max_batch_rows=4, max_enqueued_batches=1)
    with bench.all_threads_busy():
        put(low, 4)
        put(high, 4)
        for queue in (high, low):
            with pytest.raises(errors.QueueFull):
                put(queue, 1)

    assert sorted(bench.contents()) == [[("high", 4)], [("low", 4)]]
