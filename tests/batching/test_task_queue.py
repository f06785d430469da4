"""Promises of `batching.task_queue`: one queue's decisions, without lock, clock or thread."""

import pytest

from batching import errors
from batching.batch import CloseReason
from batching.options import QueueOptions
from batching.queued_batches import AT_ONCE
from batching.task_queue import TaskQueue
from tests.batching.bench import Rows

TIMEOUT_SECONDS = 0.25


def make(
    max_batch_rows: int = 10, timeout_seconds: float = TIMEOUT_SECONDS, max_enqueued_batches: int = 3
) -> TaskQueue[Rows]:
    """Return an empty queue."""
    return TaskQueue("q", QueueOptions(max_batch_rows, timeout_seconds, max_enqueued_batches))


def taken(queue: TaskQueue[Rows], now: float = 0.0) -> list[list[int]]:
    """Take every batch that is due; return the rows of each one's tasks."""
    batches = []
    while (batch := queue.take(now)) is not None:
        batches.append([task.rows for task in batch.tasks])
    return batches


def test_an_empty_queue_has_no_batch() -> None:
    """Time alone never makes an empty batch."""
    queue = make()

    assert queue.due_at is None
    assert queue.take(100.0) is None


def test_timer_starts_at_the_first_task() -> None:
    """Neither a queue's idle time nor later tasks move the time of a batch."""
    queue = make()

    queue.add(Rows("a", 1), now=100.0)
    queue.add(Rows("b", 1), now=100.125)

    assert queue.due_at == 100.25
    assert queue.take(100.25 - 1e-9) is None
    batch = queue.take(100.25)
    assert batch is not None
    assert (batch.rows, batch.close_reason, batch.waited_seconds) == (2, CloseReason.TIMEOUT, 0.25)


def test_each_batch_has_its_own_timer() -> None:
    """The first task after a batch has left starts the time anew."""
    queue = make()
    queue.add(Rows("a", 1), now=0.0)
    assert taken(queue, 0.25) == [[1]]

    queue.add(Rows("b", 1), now=0.5)

    assert queue.due_at == 0.75


def test_a_full_batch_is_due_at_once() -> None:
    """Exactly the largest number of rows closes a batch, whatever the time."""
    queue = make()
    queue.add(Rows("a", 4), now=0.0)
    queue.add(Rows("b", 6), now=0.0)

    assert queue.due_at == AT_ONCE
    batch = queue.take(0.0)
    assert batch is not None
    assert (batch.rows, batch.close_reason) == (10, CloseReason.FULL)


def test_an_indivisible_task_that_does_not_fit_closes_the_batch_early() -> None:
    """The batch before it leaves with what it has; the task starts the next one."""
    queue = make()
    queue.add(Rows("a", 6), now=0.0)
    queue.add(Rows("b", 5), now=0.125)

    batch = queue.take(0.125)
    assert batch is not None
    assert (batch.rows, batch.close_reason) == (6, CloseReason.FULL)
    assert queue.due_at == 0.375


def test_a_divisible_task_fills_batches_exactly() -> None:
    """One task larger than a batch makes full batches, and its end the next open one."""
    queue = make()
    queue.add(Rows("a", 4), now=0.0)
    queue.add(Rows("b", 19, cut=1), now=0.0)

    assert taken(queue, 0.0) == [[4, 6], [10]]
    assert taken(queue, 0.25) == [[3]]


def test_the_rest_of_a_split_keeps_its_time() -> None:
    """Being split costs a task no waiting: its rest is due as if it had come alone."""
    queue = make()
    queue.add(Rows("a", 8), now=0.0)
    queue.add(Rows("b", 5, cut=1), now=0.125)

    first = queue.take(0.125)
    assert first is not None
    assert first.enqueued_at == [0.0, 0.125]
    assert queue.due_at == 0.375
    rest = queue.take(0.375)
    assert rest is not None
    assert (rest.tasks, rest.enqueued_at) == ([Rows("b", 3, cut=1, start=2)], [0.125])


def test_a_block_is_cut_between_its_requests() -> None:
    """A head smaller than the room closes the batch, as nothing more fits."""
    queue = make()
    queue.add(Rows("a", 3), now=0.0)
    queue.add(Rows("b", 12, cut=4), now=0.0)

    assert taken(queue, 0.0) == [[3, 4]]
    assert taken(queue, 0.25) == [[8]]


def test_a_batch_that_is_due_goes_on_filling_until_taken() -> None:
    """Waiting for a busy thread is used to gather more."""
    queue = make()
    queue.add(Rows("a", 1), now=0.0)
    queue.add(Rows("b", 1), now=9.0)

    assert taken(queue, 9.0) == [[1, 1]]


def test_without_a_timeout_a_batch_is_due_at_once() -> None:
    """A time-out of 0 means: whenever a thread is free; the reason says so."""
    queue = make(timeout_seconds=0.0)
    queue.add(Rows("a", 1), now=5.0)

    batch = queue.take(5.0)
    assert batch is not None
    assert (batch.close_reason, batch.waited_seconds) == (CloseReason.IDLE, 0.0)


def test_a_batch_knows_the_size_at_which_to_run() -> None:
    """The padded size is the next allowed one."""
    queue: TaskQueue[Rows] = TaskQueue("q", QueueOptions(max_batch_rows=8, allowed_batch_rows=(2, 4, 8)))
    queue.add(Rows("a", 3), now=0.0)

    batch = queue.take(0.0)
    assert batch is not None
    assert (batch.rows, batch.padded_rows) == (3, 4)


def test_capacity_is_counted_exactly() -> None:
    """Rows waiting and rows that still fit are exact after every step, whatever the tasks."""
    queue = make()
    seen = [(queue.enqueued_tasks, queue.enqueued_rows, queue.enqueued_batches, queue.capacity_rows)]
    for task in (Rows("a", 3), Rows("b", 8), Rows("c", 4, cut=1), Rows("d", 8, cut=1)):
        queue.add(task, now=0.0)
        seen.append((queue.enqueued_tasks, queue.enqueued_rows, queue.enqueued_batches, queue.capacity_rows))

    assert seen == [
        (0, 0, 0, 30),
        (1, 3, 1, 27),
        (2, 11, 2, 12),  # 7 rows of the first batch are lost to the task that did not fit
        (4, 15, 3, 8),
        (5, 23, 3, 0),
    ]
    assert taken(queue, 0.0) == [[3], [8, 2], [2, 8]]
    assert (queue.enqueued_tasks, queue.enqueued_rows, queue.capacity_rows) == (0, 0, 30)


def test_a_full_queue_refuses_and_changes_nothing() -> None:
    """A refused task stays with the caller as it was, and nothing of it is in the queue."""
    queue = make(max_enqueued_batches=2)
    queue.add(Rows("a", 15, cut=1), now=0.0)
    refused = Rows("b", 6, cut=1)

    with pytest.raises(errors.QueueFull, match=r"'q'.*5 rows.*6 rows"):
        queue.add(refused, now=0.0)

    assert refused == Rows("b", 6, cut=1)
    assert (queue.enqueued_rows, queue.capacity_rows) == (15, 5)
    queue.add(Rows("c", 5), now=0.0)
    assert taken(queue, 0.0) == [[10], [5, 5]]


def test_an_indivisible_task_needs_room_in_one_batch() -> None:
    """Room that is spread over two batches is none for a task that cannot be split."""
    queue = make(max_enqueued_batches=1)
    queue.add(Rows("a", 6), now=0.0)

    with pytest.raises(errors.QueueFull):
        queue.add(Rows("b", 5), now=0.0)

    assert queue.due_at == TIMEOUT_SECONDS  # the batch was not closed for a task that was not taken


def test_a_task_that_can_never_fit_is_too_large() -> None:
    """A retry cannot help a task that even the empty queue does not hold, so it is not told to retry."""
    queue = make(max_enqueued_batches=2)

    for task in (Rows("a", 11), Rows("a", 21, cut=1), Rows("a", 18, cut=6)):
        with pytest.raises(errors.TaskTooLarge):
            queue.add(task, now=0.0)

    assert queue.enqueued_batches == 0


def test_a_task_too_large_is_told_so_by_a_full_queue() -> None:
    """A full queue does not ask an impossible task to come again."""
    queue = make(max_enqueued_batches=1)
    queue.add(Rows("a", 10), now=0.0)

    with pytest.raises(errors.TaskTooLarge):
        queue.add(Rows("b", 11), now=0.0)


@pytest.mark.parametrize("rows", [0, -1])
def test_a_task_without_rows_is_refused(rows: int) -> None:
    """It is refused whether or not a batch is open, so that no batch is empty."""
    queue = make()
    with pytest.raises(errors.InvalidTask):
        queue.add(Rows("a", rows), now=0.0)
    queue.add(Rows("b", 1), now=0.0)
    with pytest.raises(errors.InvalidTask):
        queue.add(Rows("a", rows), now=0.0)

    assert queue.enqueued_tasks == 1


def test_a_closed_queue_refuses_and_drains() -> None:
    """What waits is due at once; nothing comes after it."""
    queue = make()
    queue.add(Rows("a", 12, cut=1), now=0.0)
    queue.close()
    queue.close()

    with pytest.raises(errors.QueueClosed, match="'q'"):
        queue.add(Rows("b", 1), now=0.0)
    assert queue.capacity_rows == 0
    reasons = [batch.close_reason for batch in iter(lambda: queue.take(0.0), None)]
    assert reasons == [CloseReason.FULL, CloseReason.DRAIN]


def test_abandoned_tasks_are_given_back_in_order() -> None:
    """A queue that is closed without draining keeps nothing for itself."""
    queue = make()
    for task in (Rows("a", 7), Rows("b", 7), Rows("c", 1)):
        queue.add(task, now=0.0)
    queue.close()

    assert queue.abandon() == [Rows("a", 7), Rows("b", 7), Rows("c", 1)]
    assert (queue.enqueued_tasks, queue.enqueued_rows, queue.due_at) == (0, 0, None)


def test_available_batches_are_those_that_threads_could_take() -> None:
    """A batch counts when it is closed or due."""
    queue = make()
    counts = [queue.available_batches(0.0)]
    queue.add(Rows("a", 23, cut=1), now=0.0)
    counts += [queue.available_batches(0.0), queue.available_batches(0.25)]

    assert counts == [0, 2, 3]


def test_the_age_of_the_oldest_task_is_known() -> None:
    """A backlog that grows old shows before it is full."""
    queue = make()
    assert queue.oldest_seconds(9.0) == 0.0

    queue.add(Rows("a", 1), now=1.0)
    queue.add(Rows("b", 1), now=2.0)

    assert queue.oldest_seconds(3.0) == 2.0


class BrokenRows(Rows):
    """Raises when it is split."""

    def split(self, rows: int) -> None:
        """Raise."""
        raise ZeroDivisionError


def test_a_task_that_raises_when_split_changes_nothing() -> None:
    """The task's own error reaches the caller; the open batch is neither closed nor filled."""
    queue = make()
    queue.add(Rows("a", 6), now=0.0)

    with pytest.raises(ZeroDivisionError):
        queue.add(BrokenRows("b", 12), now=0.0)

    assert (queue.enqueued_rows, queue.room_rows, queue.due_at) == (6, 4, TIMEOUT_SECONDS)
