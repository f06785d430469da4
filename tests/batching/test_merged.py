"""Queues of one family that form their batches together, on a fake clock, by 0, 1 and 3 threads."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from batching.batch import CloseReason
from batching.batch_queue import BatchQueue
from batching.lane import Lane
from batching.options import Filling, PaddingPolicy, QueueOptions
from batching.ready_order import ReadyOrder
from batching.task_queue import TaskQueue
from tests.batching.bench import Bench, Rows

LOW, MIDDLE, HIGH = 0, 4, 9
TIMEOUT_SECONDS = 1.0
MOST = 8


def queue(bench: Bench, name: str, priority: int, family: str = "model", **options: Any) -> BatchQueue[Rows]:
    """A queue of a family that merges."""
    usual = {"max_batch_rows": MOST, "filling": Filling.MERGE, "batch_timeout_seconds": TIMEOUT_SECONDS}
    return bench.queue(name, family=family, **{**usual, "priority": priority, **options})


def pair(bench: Bench, **options: Any) -> tuple[BatchQueue[Rows], BatchQueue[Rows]]:
    """One of a high and one of a low priority."""
    return queue(bench, "high", HIGH, **options), queue(bench, "low", LOW, **options)


def merging(**options: Any) -> tuple[ReadyOrder, list[Lane[Rows]]]:
    """The same two without a scheduler, of one owner."""
    order = ReadyOrder()
    merge = QueueOptions(max_batch_rows=MOST, filling=Filling.MERGE, **options)
    lanes = [
        Lane(TaskQueue[Rows](name, replace(merge, priority=priority)), print, "model", owner="model")
        for name, priority in (("high", HIGH), ("low", LOW))
    ]
    for lane in lanes:
        order.add(lane)
    return order, lanes


def put(queue: BatchQueue[Rows], *rows: int, cut: int = 0) -> None:
    """Tasks of so many rows each, named after their queue."""
    for each in rows:
        queue.schedule(Rows(queue.name, each, cut))


def test_rows_that_make_a_full_batch_together_leave_at_once(bench: Bench) -> None:
    """Whichever comes last; the highest priority is first in it."""
    high, middle, low = (queue(bench, *each) for each in (("high", HIGH), ("middle", MIDDLE), ("low", LOW)))
    put(low, 3)
    put(high, 2)
    bench.settle()
    assert bench.batches == []
    put(middle, 3)
    bench.settle()

    assert bench.contents() == [[("high", 2), ("middle", 3), ("low", 3)]]
    (batch,) = bench.batches
    assert batch.close_reason is CloseReason.FULL
    assert [name for name, _ in bench.observer.formed] == ["high"]
    assert [each.enqueued_rows for each in (high, middle, low)] == [0, 0, 0]


@pytest.mark.parametrize("first", ["high", "low"])
def test_a_batch_that_times_out_takes_all_along(bench: Bench, first: str) -> None:
    """At the time-out of the first task, whatever its priority."""
    queues = {each.name: each for each in pair(bench)}
    put(queues.pop(first), 1)
    bench.settle()
    bench.advance(0.6)
    for other in queues.values():
        put(other, 2)
    bench.settle()
    bench.advance(0.3)
    assert bench.batches == []
    bench.advance(0.1)

    rows = {"high": 2, "low": 2} | {first: 1}
    assert bench.contents() == [[("high", rows["high"]), ("low", rows["low"])]]
    assert bench.batches[0].close_reason is CloseReason.TIMEOUT


def test_each_has_a_time_out_of_its_own(bench: Bench) -> None:
    """The earliest end counts."""
    high = queue(bench, "high", HIGH, batch_timeout_seconds=0.25)
    low = queue(bench, "low", LOW, batch_timeout_seconds=4.0)
    put(low, 1)
    bench.settle()
    bench.advance(1.0)
    put(high, 1)
    bench.settle()
    assert bench.batches == []
    bench.advance(0.25)
    assert bench.contents() == [[("high", 1), ("low", 1)]]


def test_a_task_is_cut_where_the_batch_is_full(bench: Bench) -> None:
    """Its rest waits with its time, and leaves with what comes."""
    high, low = pair(bench)
    put(low, 6, cut=1)
    bench.settle()
    bench.advance(0.5)
    put(high, 4)
    bench.settle()
    assert bench.contents() == [[("high", 4), ("low", 4)]]
    bench.advance(0.5)
    assert bench.contents()[1:] == [[("low", 2)]]
    assert bench.batches[1].tasks[0].start == 4


def test_several_batches_are_as_many_as_threads_can_take(bench: Bench) -> None:
    """Full ones at once; what is left over waits for its time."""
    high, low = pair(bench, max_enqueued_batches=100)
    with bench.all_threads_busy():
        put(high, *[1] * 10)
        put(low, *[1] * 20)
    assert sorted(batch.rows for batch in bench.batches) == [8, 8, 8]
    assert (high.enqueued_rows, low.enqueued_rows) == (0, 6)
    names = Counter(task.name for batch in bench.batches for task in batch.tasks)
    assert names == {"high": 10, "low": 14}

    bench.advance(TIMEOUT_SECONDS)
    assert bench.batches[3].rows == 6


def test_a_family_has_one_turn_by_its_highest_task(bench: Bench) -> None:
    """Another queue of the high priority takes turns with it, and one of a middle priority comes behind both."""
    high, low = pair(bench, max_batch_rows=2, max_enqueued_batches=9)
    beside = bench.queue("x", max_batch_rows=2, priority=HIGH, max_enqueued_batches=9)
    middle = bench.queue("m", max_batch_rows=2, priority=MIDDLE)
    with bench.all_threads_busy():
        put(middle, 2)
        put(low, 1, 1, 1, 1)
        put(high, 1, 1)
        put(beside, 2, 2)
    order = [name for name, _ in bench.observer.formed if name != "blocker"]

    if bench.threads <= 1:
        assert order == ["high", "x", "x", "m", "low", "low"]
        assert bench.contents()[0] == [("high", 1), ("high", 1)]
    assert Counter(order) == {"high": 1, "x": 2, "m": 1, "low": 2}


def test_urgent_tasks_do_not_starve_others(bench: Bench) -> None:
    """What has aged leads a batch, though urgent ones would have filled it."""
    high, low = pair(bench, ageing_seconds=2.0, max_enqueued_batches=100)
    with bench.all_threads_busy():
        put(low, 1)
        bench.clock.advance(3.5)  # a time-out, and the ageing
        put(high, *[1] * 24)
    if bench.threads <= 1:
        assert bench.contents()[0] == [("low", 1), *[("high", 1)] * 7]
    else:
        assert [("low", 1), *[("high", 1)] * 7] in bench.contents()[: bench.threads]


def test_a_deadline_takes_all_along(bench: Bench) -> None:
    """At once, where nobody knows how long a run takes."""
    high, low = pair(bench, batch_timeout_seconds=60.0)
    put(high, 2)
    bench.settle()
    bench.schedule(low, Rows("low", 1), seconds=5.0)
    bench.settle()

    assert bench.contents() == [[("high", 2), ("low", 1)]]
    assert bench.batches[0].close_reason is CloseReason.DEADLINE
    assert bench.expired == []


def test_there_is_time_for_the_run_of_what_leaves_together() -> None:
    """What one queue has learnt of runs holds for the others."""
    order, (high, low) = merging(batch_timeout_seconds=60.0)
    high.expired = low.expired = print
    high.note_run(0.0, 8, 3.0)
    low.note_run(0.0, 2, 1.0)
    low.queue.add(Rows("low", 1), 0.0, 10.0)
    order.update(low, 0.0)
    alone = order.next_due_at()
    high.queue.add(Rows("high", 6), 0.0)
    order.update(high, 0.0)
    together = order.next_due_at()

    assert alone is not None
    assert together is not None
    assert together < alone < 9.5
    taken = order.take(0.0)
    assert taken is None
    order.promote(together)
    taken = order.take(together)
    assert taken is not None
    assert (taken[1].rows, taken[1].close_reason) == (7, CloseReason.DEADLINE)


def test_what_is_out_of_time_makes_no_batch_full(bench: Bench) -> None:
    """It has left its queue; the others wait for theirs."""
    high, low = pair(bench, batch_timeout_seconds=60.0)
    with bench.all_threads_busy():
        put(high, 4)
        bench.schedule(low, Rows("low", 4), seconds=1.0)
        bench.clock.advance(1.0)
    assert [task.name for _, task in bench.expired] == ["low"]
    assert bench.batches == []
    put(low, 4)
    bench.settle()
    assert bench.contents() == [[("high", 4), ("low", 4)]]


def test_a_queue_that_is_closed_empties_itself(bench: Bench) -> None:
    """Nobody else waits for it, and it for nobody."""
    high, low = pair(bench, batch_timeout_seconds=60.0)
    put(high, 1)
    put(low, 1)
    bench.settle()
    low.close(wait=False)
    bench.settle()
    assert bench.contents() == [[("low", 1)]]
    assert high.enqueued_rows == 1
    put(high, 7)
    bench.settle()
    assert bench.contents()[1:] == [[("high", 1), ("high", 7)]]


def test_only_those_that_say_so_merge(bench: Bench) -> None:
    """One with another filling has a time-out for itself; it may take from those that merge what it takes from any."""
    high = queue(bench, "high", HIGH, filling=Filling.MAX)
    middle, low = queue(bench, "middle", MIDDLE), queue(bench, "low", LOW)
    other = queue(bench, "other", HIGH, family="another")
    put(other, 4)
    put(high, 4)
    put(low, 2)
    bench.settle()
    assert bench.batches == []
    put(middle, 6)
    bench.settle()
    assert bench.contents() == [[("middle", 6), ("low", 2)]]
    put(low, 1)
    bench.settle()
    bench.advance(TIMEOUT_SECONDS)
    assert sorted(bench.contents()[1:]) == [[("high", 4), ("low", 1)], [("other", 4)]]


def test_alone_it_is_a_queue_like_others(bench: Bench) -> None:
    """Full, timed out, and padded."""
    alone = queue(bench, "alone", HIGH, allowed_batch_rows=(4, 8), padding_policy=PaddingPolicy.BATCH_DOWN)
    put(alone, 8, *[1] * 6)
    bench.settle()
    assert bench.row_counts() == [[8]]
    bench.advance(TIMEOUT_SECONDS)
    assert sorted(batch.rows for batch in bench.batches) == [2, 4, 8]


def test_a_merged_batch_is_padded_by_all_its_rows(bench: Bench) -> None:
    """To the next allowed size; it is not cut down, because it could be filled."""
    high, low = pair(bench, allowed_batch_rows=(2, 4, 8), padding_policy=PaddingPolicy.BATCH_DOWN)
    put(high, 2)
    put(low, 1)
    bench.settle()
    bench.advance(TIMEOUT_SECONDS)
    assert [(batch.rows, batch.padded_rows) for batch in bench.batches] == [(3, 4)]


def test_those_of_a_stuck_owner_wait_and_go_on_together() -> None:
    """Held, they make nothing full and are not due."""
    order, lanes = merging(batch_timeout_seconds=1.0)
    for lane in lanes:
        lane.queue.add(Rows(lane.queue.name, 4), 0.0)
        order.update(lane, 0.0)
    assert order.available_batches == 1
    for lane in lanes:
        order.hold(lane, True, 0.5)
    assert (order.available_batches, order.take(5.0), order.next_due_at()) == (0, None, None)
    for lane in lanes:
        order.hold(lane, False, 5.0)
    taken = order.take(5.0)
    assert taken is not None
    assert [task.name for task in taken[1].tasks] == ["high", "low"]
    assert (order.available_batches, order.take(5.0)) == (0, None)
