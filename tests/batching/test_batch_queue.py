"""Promises of `batching.batch_queue`, with 0, 1 and 3 batch threads (fixture `bench`)."""

import gc
import threading

import pytest

from batching import errors
from batching.batch import Batch, CloseReason
from batching.options import QueueOptions
from batching.shared_scheduler import SharedScheduler
from tests.batching.bench import Bench, Rows
from tests.kit.waiting import PATIENCE_SECONDS

TIMEOUT_SECONDS = 0.25


def test_a_full_queue_refuses_and_leaves_the_task_with_the_caller(bench: Bench) -> None:
    """The error says that a retry helps, and after a batch has left it does."""
    queue = bench.queue(max_batch_rows=2, max_enqueued_batches=2)
    task = Rows("late", 1)
    with bench.all_threads_busy():
        queue.schedule(Rows("a", 4, cut=1))
        with pytest.raises(errors.QueueFull) as refusal:
            queue.schedule(task)
        assert refusal.value.retriable
        assert (queue.enqueued_tasks, queue.enqueued_rows, queue.capacity_rows) == (2, 4, 0)

    queue.schedule(task)
    bench.settle()

    assert bench.row_counts() == [[1], [2], [2]]


def test_counts_of_a_queue_are_exact(bench: Bench) -> None:
    """Tasks and rows waiting and the capacity left follow each task in and each batch out."""
    queue = bench.queue(max_batch_rows=10, batch_timeout_seconds=TIMEOUT_SECONDS, max_enqueued_batches=3)
    assert (queue.enqueued_tasks, queue.enqueued_rows, queue.capacity_rows) == (0, 0, 30)
    with bench.all_threads_busy():
        for rows in (3, 5, 7):
            queue.schedule(Rows("t", rows))
        assert (queue.enqueued_tasks, queue.enqueued_rows, queue.capacity_rows) == (3, 15, 13)
    assert (queue.enqueued_tasks, queue.enqueued_rows, queue.capacity_rows) == (1, 7, 23)

    bench.advance(TIMEOUT_SECONDS)

    assert (queue.enqueued_tasks, queue.enqueued_rows, queue.capacity_rows) == (0, 0, 30)


def test_a_queue_of_no_batches_holds_one(bench: Bench) -> None:
    """`max_enqueued_batches=0` still lets a batch wait."""
    queue = bench.queue(max_batch_rows=4, max_enqueued_batches=0)

    assert queue.capacity_rows == 4
    queue.schedule(Rows("a", 4))
    bench.settle()
    assert bench.contents() == [[("a", 4)]]


def test_closing_a_queue_drains_it(bench: Bench) -> None:
    """`close` returns when each task has been processed, without waiting for a time-out."""
    queue = bench.queue(max_batch_rows=2, batch_timeout_seconds=TIMEOUT_SECONDS)
    queue.schedule(Rows("a", 5, cut=1))

    assert queue.close() == ()

    assert bench.row_counts() == [[1], [2], [2]]
    assert (queue.closed, queue.capacity_rows) == (True, 0)
    assert {batch.close_reason for batch in bench.batches} == {CloseReason.FULL, CloseReason.DRAIN}
    with pytest.raises(errors.QueueClosed):
        queue.schedule(Rows("b", 1))


def test_closing_a_queue_leaves_others_alone(bench: Bench) -> None:
    """Draining one queue neither processes nor closes the others before their time."""
    closing = bench.queue("closing", batch_timeout_seconds=TIMEOUT_SECONDS)
    other = bench.queue("other", batch_timeout_seconds=TIMEOUT_SECONDS)
    closing.schedule(Rows("closing", 1))
    other.schedule(Rows("other", 1))

    closing.close()
    assert bench.contents() == [[("closing", 1)]]

    bench.advance(TIMEOUT_SECONDS)
    assert bench.contents() == [[("closing", 1)], [("other", 1)]]
    assert [queue.name for queue in bench.scheduler.statistics().queues] == ["other"]


def test_a_queue_can_be_closed_without_waiting(bench: Bench) -> None:
    """A thread that must not wait closes the queue, and asks later whether it is done."""
    queue = bench.queue(batch_timeout_seconds=TIMEOUT_SECONDS)
    with bench.all_threads_busy():
        queue.schedule(Rows("a", 1))
        assert queue.close(wait=False) == ()
        if bench.threads:
            assert not queue.join(timeout_seconds=0)

    assert queue.join(timeout_seconds=0)
    assert bench.contents() == [[("a", 1)]]


def test_closing_without_draining_gives_the_tasks_back(bench: Bench) -> None:
    """What will not be processed belongs to the caller again, in order; nothing is lost on the way."""
    queue = bench.queue(max_batch_rows=2)
    with bench.all_threads_busy():
        for name in "abc":
            queue.schedule(Rows(name, 1))
        given_back = queue.close(drain=False)
    assert given_back == (Rows("a", 1), Rows("b", 1), Rows("c", 1))
    assert bench.batches == []


def test_closing_waits_for_a_batch_that_is_running(bench: Bench) -> None:
    """A queue is closed only when its callback has returned, also when nothing waits any more."""
    running, release, closed = threading.Semaphore(0), threading.Event(), threading.Event()

    def process(batch: Batch[Rows]) -> None:
        running.release()
        assert release.wait(PATIENCE_SECONDS)
        assert not closed.is_set()

    queue = bench.scheduler.add_queue("q", QueueOptions(), process)
    queue.schedule(Rows("a", 1))
    if not bench.threads:
        release.set()

    def close() -> None:
        queue.close()
        closed.set()

    closer = threading.Thread(target=close)
    closer.start()
    assert running.acquire(timeout=PATIENCE_SECONDS)
    release.set()
    closer.join(PATIENCE_SECONDS)

    assert closed.is_set()
    assert bench.observer.failed == []


def test_repr_shows_the_state(bench: Bench) -> None:
    """A debugger sees how full a queue is, and whether it is closed."""
    queue = bench.queue("m/1", max_batch_rows=4, batch_timeout_seconds=TIMEOUT_SECONDS)
    queue.schedule(Rows("a", 3))
    bench.settle()
    assert repr(queue) == "<BatchQueue 'm/1' open: 1 tasks, 3 rows in 1/8 batches, 0 running>"

    queue.close()
    assert repr(queue) == "<BatchQueue 'm/1' closed: 0 tasks, 0 rows in 0/8 batches, 0 running>"


def test_a_queue_knows_its_name_and_options(bench: Bench) -> None:
    """What it was made with can be read back."""
    queue = bench.queue("m/1", max_batch_rows=4)

    assert (queue.name, queue.options) == ("m/1", QueueOptions(max_batch_rows=4))


@pytest.mark.parametrize(("rows", "error"), [(5, errors.TaskTooLarge), (0, errors.InvalidTask)])
def test_bad_sizes_are_refused_before_anything_is_counted(
    bench: Bench, rows: int, error: type[errors.BatchingError]
) -> None:
    """A task that can never be a part of a batch leaves queue, counts and observer as they were."""
    queue = bench.queue(max_batch_rows=4)
    before = queue.statistics()

    with pytest.raises(error):
        queue.schedule(Rows("a", rows))
    bench.settle()

    assert queue.statistics() == before
    assert bench.observer.formed == []


def test_a_queue_keeps_its_scheduler_going(bench: Bench) -> None:
    """Who holds the queue needs not hold the scheduler: the queue takes tasks and drains."""
    queue = SharedScheduler(
        bench.threads, clock=bench.clock, make_condition=bench.clock.condition, name="unheld"
    ).add_queue("q", QueueOptions(), bench.batches.append)
    gc.collect()

    queue.schedule(Rows("a", 1))
    queue.close()
    queue._join.__self__.close()  # type: ignore[attr-defined]

    assert bench.contents() == [[("a", 1)]]


def test_tasks_of_a_forgotten_queue_are_processed(bench: Bench) -> None:
    """A queue that its owner lets go of before it is empty still processes what it has taken."""
    queue = bench.queue(batch_timeout_seconds=TIMEOUT_SECONDS)
    queue.schedule(Rows("a", 1))
    bench.settle()
    del queue
    gc.collect()

    bench.advance(TIMEOUT_SECONDS)

    assert bench.contents() == [[("a", 1)]]
