"""What becomes of tasks that have waited for longer than their queue lets them, on a fake clock."""

from typing import Any

import numpy as np
import pytest

from batching import errors
from batching.batch import CloseReason
from batching.batch_queue import BatchQueue
from batching.batcher import Batcher
from batching.options import PaddingPolicy, QueueOptions, TimeoutAction
from batching.shared_scheduler import SharedScheduler
from batching.task_queue import TaskQueue
from tests.batching.bench import Bench, Rows

LATE_SECONDS = 8.0


def rejecting(bench: Bench, **options: Any) -> BatchQueue[Rows]:
    """A queue that gives tasks up after eight seconds."""
    return bench.queue(max_batch_rows=4, queue_timeout_seconds=LATE_SECONDS, **options)


def delaying(**options: Any) -> TaskQueue[Rows]:
    """A queue whose tasks let others go first after eight seconds."""
    usual: dict[str, Any] = {"max_batch_rows": 4, "max_enqueued_batches": 4, "ageing_seconds": 100.0}
    late: dict[str, Any] = {"queue_timeout_seconds": LATE_SECONDS, "timeout_action": TimeoutAction.DELAY}
    return TaskQueue("q", QueueOptions(**{**usual, **late, **options}))


def names(queue: TaskQueue[Rows], now: float) -> list[str]:
    """The tasks of the next batch."""
    batch = queue.take(now)
    assert batch is not None
    return [task.name for task in batch.tasks]


def test_what_has_waited_for_too_long_is_rejected_at_that_moment(bench: Bench) -> None:
    """Whatever the threads are with; what came later stays, and its own time counts."""
    queue = rejecting(bench)
    with bench.all_threads_busy():
        bench.schedule(queue, Rows("first", 1))
        bench.clock.advance(5.0)
        bench.schedule(queue, Rows("second", 1))
        bench.clock.advance(3.0)
        if not bench.threads:
            bench.settle()  # which is when deadlines are seen
        else:
            bench.clock.wait_for_sleepers(1)  # the keeper: all others are busy

        assert bench.expired == [(LATE_SECONDS, Rows("first", 1))]
        assert queue.statistics().expired_tasks == 1
    assert bench.contents() == [[("second", 1)]]


def test_a_tasks_own_deadline_counts_where_it_is_earlier(bench: Bench) -> None:
    """A later one gives it no more time."""
    queue = rejecting(bench)
    with bench.all_threads_busy():
        bench.schedule(queue, Rows("patient", 1), 60.0)
        bench.schedule(queue, Rows("hurried", 1), 2.0)
        for _ in range(2):
            bench.clock.advance(LATE_SECONDS / 2)
            if bench.threads:
                bench.clock.wait_for_sleepers(1)
    assert sorted(task.name for _, task in bench.expired) == ["hurried", "patient"]
    assert bench.batches == []


def test_each_part_of_a_task_is_rejected_that_has_not_begun(bench: Bench) -> None:
    """A task of two batches, the first of which runs."""
    queue = rejecting(bench)
    with bench.all_threads_busy():
        bench.schedule(queue, Rows("task", 6, cut=1))
        bench.clock.advance(LATE_SECONDS)
        if bench.threads:
            bench.clock.wait_for_sleepers(1)
    bench.settle()
    assert sum(task.rows for _, task in bench.expired) + sum(batch.rows for batch in bench.batches) == 6
    assert not queue.enqueued_rows


def test_room_of_what_is_rejected_is_free_again() -> None:
    """For the task that comes at that very moment."""
    bench = Bench(0)
    queue = rejecting(bench, max_enqueued_batches=1)
    queue.schedule(Rows("old", 4))
    with pytest.raises(errors.QueueFull):
        queue.schedule(Rows("new", 4))
    bench.clock.advance(LATE_SECONDS)
    queue.schedule(Rows("new", 4))
    assert queue.enqueued_rows == 4
    bench.scheduler.close()
    assert bench.contents() == [[("new", 4)]]


def test_late_tasks_go_behind_all_that_are_not() -> None:
    """Those that are late keep their order; what is in time leaves first."""
    queue = delaying()
    for number, now in enumerate((0.0, 1.0, 7.0, 7.5)):
        queue.add(Rows(str(number), 2), now)
    assert names(queue, 9.0) == ["2", "3"]
    assert names(queue, 9.0) == ["0", "1"]
    assert queue.take(9.0) is None
    assert queue.enqueued_tasks == queue.enqueued_rows == queue.enqueued_batches == 0


def test_late_tasks_fill_a_batch_that_has_room() -> None:
    """They do not wait for a batch of their own, nor does what is in time wait for others beside them."""
    queue = delaying(batch_timeout_seconds=2.0)
    queue.add(Rows("late", 2), 0.0)
    queue.add(Rows("new", 3), 8.0)
    assert queue.due_at is not None
    assert queue.due_at <= 8.0
    assert names(queue, 8.0) == ["new"]  # the late one is whole, and stays
    assert names(queue, 8.0) == ["late"]

    queue.add(Rows("late", 1), 10.0)
    queue.add(Rows("new", 3), 18.0)
    assert names(queue, 18.0) == ["new", "late"]


def test_a_late_task_that_has_aged_goes_first() -> None:
    """After its time and `ageing_seconds`, however much comes."""
    queue = delaying(ageing_seconds=2.0)
    queue.add(Rows("late", 4), 0.0)
    for now in (8.0, 9.0, 9.5):
        queue.add(Rows(f"{now}", 4), now)
    assert names(queue, 9.5) == ["8.0"]
    assert names(queue, 10.0) == ["late"]
    assert names(queue, 10.0) == ["9.0"]


def test_where_all_are_late_they_leave_in_their_order() -> None:
    """As without the option."""
    queue = delaying()
    for number in range(4):
        queue.add(Rows(str(number), 3), float(number))
    assert [names(queue, 20.0) for _ in range(4)] == [["0"], ["1"], ["2"], ["3"]]


@pytest.mark.parametrize("threads", [0, 1])
def test_late_tasks_go_before_lower_priorities(threads: int) -> None:
    """Behind their own queue's, not behind everybody's."""
    bench = Bench(threads)
    late = bench.queue(
        "high",
        max_batch_rows=1,
        priority=5,
        queue_timeout_seconds=LATE_SECONDS,
        timeout_action=TimeoutAction.DELAY,
    )
    low = bench.queue("low", max_batch_rows=1, priority=4)
    with bench.all_threads_busy():
        bench.schedule(late, Rows("late", 1))
        bench.clock.advance(LATE_SECONDS)
        bench.schedule(low, Rows("low", 1))
        bench.schedule(late, Rows("new", 1))
    assert bench.contents() == [[("new", 1)], [("late", 1)], [("low", 1)]]
    bench.scheduler.close()


def test_late_tasks_count_as_waiting_and_leave_with_their_queue() -> None:
    """They take up room, are given back or drained at the end, and their own deadlines are kept."""
    queue = delaying(max_enqueued_batches=2)
    queue.add(Rows("late", 3), 0.0)
    queue.add(Rows("due", 3), 1.0, 12.0)
    queue.delay(9.0)
    assert (queue.enqueued_batches, queue.capacity_rows, queue.oldest_seconds(9.0)) == (2, 0, 9.0)
    with pytest.raises(errors.QueueFull):
        queue.add(Rows("new", 1), 9.0)
    assert queue.deadline == 12.0
    assert [task.name for task in queue.expire(12.0)] == ["due"]
    queue.add(Rows("new", 4), 12.0)

    queue.close()
    batches = [queue.take(12.0) for _ in range(2)]
    assert [(b.tasks[0].name, b.close_reason) for b in batches if b] == [
        ("new", CloseReason.FULL),
        ("late", CloseReason.DRAIN),
    ]
    assert queue.take(12.0) is None

    queue = delaying()
    for name, now in (("late", 0.0), ("new", 8.0)):
        queue.add(Rows(name, 3), now)
    queue.delay(8.0)
    assert queue.give_up_last() == Rows("late", 3)
    queue.add(Rows("newer", 3), 9.0)
    queue.delay(16.0)
    queue.close()
    assert [task.name for task in queue.abandon()] == ["new", "newer"]
    assert not queue.enqueued_rows


def test_what_is_in_time_is_not_cut_down_where_late_tasks_fill_it() -> None:
    """And late ones by themselves are, as any: what stays is still late."""
    queue = delaying(allowed_batch_rows=(2, 4), padding_policy=PaddingPolicy.BATCH_DOWN)
    queue.add(Rows("late", 1), 0.0)
    queue.add(Rows("new", 3, cut=1), 8.0)
    assert names(queue, 8.0) == ["new", "late"]

    queue.add(Rows("late", 3, cut=1), 20.0)
    batch = queue.take(30.0)
    assert batch is not None
    assert (batch.rows, batch.padded_rows, queue.enqueued_rows) == (2, 2, 1)
    queue.add(Rows("new", 4), 30.0)
    assert names(queue, 30.0) == ["new"]
    assert names(queue, 30.0) == ["late"]


def test_what_is_only_partly_late_is_cut_between_its_tasks() -> None:
    """The rest of a full batch takes tasks again, and gives its room to those behind."""
    queue = delaying()
    for number in range(8):
        queue.add(Rows(str(number), 1), number / 2)
    queue.delay(9.0)  # 0, 1 and 2 are late
    queue.add(Rows("8", 1), 9.0)
    assert [names(queue, 9.0) for _ in range(3)] == [["3", "4", "5", "6"], ["7", "8", "0", "1"], ["2"]]


def test_options_that_cannot_be_meant_are_refused() -> None:
    """A queue that would reject what its batches still wait for, and one that has nobody to tell."""
    with pytest.raises(errors.InvalidOptions, match=r"at least batch_timeout_seconds, 2.0, not 1.0"):
        QueueOptions(batch_timeout_seconds=2.0, queue_timeout_seconds=1.0)
    for seconds in (0.0, -1.0, float("nan")):
        with pytest.raises(errors.InvalidOptions, match=rf"more than 0 .* not {seconds}; leave it out"):
            QueueOptions(queue_timeout_seconds=seconds)
    with (
        SharedScheduler(threads=0) as scheduler,
        pytest.raises(errors.InvalidOptions, match="has no `expired` to tell"),
    ):
        scheduler.add_queue("q", QueueOptions(queue_timeout_seconds=1.0), print)


def test_a_batcher_tells_who_waits_that_it_was_too_long() -> None:
    """As it does of a deadline, and the function never sees the rows."""
    bench = Bench(0)
    seen: list[int] = []

    def function(x: np.ndarray) -> np.ndarray:
        seen.append(len(x))
        return x

    options = QueueOptions(queue_timeout_seconds=LATE_SECONDS)
    with Batcher(function, options, scheduler=bench.scheduler) as batcher:
        late = batcher.submit(np.zeros(2))
        bench.clock.advance(LATE_SECONDS)
        in_time = batcher.submit(np.ones(1))
        batcher.step()
    with pytest.raises(errors.DeadlineExceeded, match="when its time was up"):
        late.result()
    assert in_time.result().tolist() == [1.0]
    assert seen == [1]
