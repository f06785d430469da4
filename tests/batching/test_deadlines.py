"""Promises about deadlines, with 0, 1 and 3 batch threads (fixture `bench`)."""

import gc
import logging
import threading
import weakref

import pytest

from batching import errors
from batching.batch import Batch
from batching.options import QueueOptions
from batching.run_costs import START_SECONDS
from batching.shared_scheduler import SharedScheduler
from tests.batching.bench import Bench, Rows
from tests.kit.waiting import PATIENCE_SECONDS

TIMEOUT_SECONDS = 64.0
SECONDS = 0.25


def test_a_task_leaves_at_its_deadline_while_all_threads_are_busy(bench: Bench) -> None:
    """Not before it, and not only when the function next frees; it never runs, and the others do."""
    queue = bench.queue(max_batch_rows=4)
    with bench.all_threads_busy():
        bench.schedule(queue, Rows("late", 1), SECONDS)
        bench.schedule(queue, Rows("patient", 1))
        bench.clock.advance(SECONDS / 2)
        assert queue.enqueued_tasks == 2
        bench.clock.advance(SECONDS / 2)
        if bench.threads:
            bench.clock.wait_for_sleepers(1)  # who keeps deadlines; the others are with their callbacks
            assert bench.expired == [(SECONDS, Rows("late", 1))]
            assert (queue.enqueued_tasks, queue.enqueued_rows) == (1, 1)

    assert bench.expired == [(SECONDS, Rows("late", 1))]
    assert bench.contents() == [[("patient", 1)]]
    assert queue.statistics().expired_tasks == 1


@pytest.mark.parametrize("threads", [1, 3])
def test_the_earliest_deadline_comes_first(threads: int) -> None:
    """Whatever the order in which tasks came, and of however many queues."""
    bench = Bench(threads)
    queues = [bench.queue(name, max_batch_rows=8) for name in "ab"]
    with bench.all_threads_busy():
        for seconds in (0.5, 0.25, 1.0, 0.75):
            for queue in queues:
                bench.schedule(queue, Rows(queue.name, 1), seconds)
        for _ in range(4):
            bench.clock.advance(SECONDS)
            bench.clock.wait_for_sleepers(1)
    bench.scheduler.close()

    expected = [(seconds, name) for seconds in (0.25, 0.5, 0.75, 1.0) for name in "ab"]
    assert [(at, task.name) for at, task in bench.expired] == expected
    assert bench.batches == []


def test_a_task_that_runs_in_time_does_not_expire(bench: Bench) -> None:
    """Its deadline passes later, and nobody hears of it."""
    queue = bench.queue()
    bench.schedule(queue, Rows("a", 1), SECONDS)
    bench.settle()
    bench.advance(2 * SECONDS)

    assert bench.contents() == [[("a", 1)]]
    assert bench.expired == []


def test_room_of_expired_tasks_is_free_again(bench: Bench) -> None:
    """A full queue takes as many rows as have gone, in batches of the largest size."""
    queue = bench.queue(max_batch_rows=4, max_enqueued_batches=2)
    with bench.all_threads_busy():
        for name, seconds in (("a", SECONDS), ("b", None), ("c", SECONDS), ("d", None)):
            bench.schedule(queue, Rows(name, 2), seconds)
        with pytest.raises(errors.QueueFull):
            queue.schedule(Rows("e", 1))
        bench.clock.advance(SECONDS)
        queue.schedule(Rows("e", 4))
        assert (queue.enqueued_rows, queue.capacity_rows) == (8, 0)

    assert sorted(bench.contents()) == [[("b", 2), ("d", 2)], [("e", 4)]]
    assert [task.name for _, task in bench.expired] == ["a", "c"]


def test_parts_of_a_split_task_expire_one_by_one(bench: Bench) -> None:
    """Those that have been taken run; each that waits expires, and no row does both."""
    queue = bench.queue(max_batch_rows=2, batch_timeout_seconds=TIMEOUT_SECONDS, max_enqueued_batches=4)
    with bench.all_threads_busy():
        queue.schedule(Rows("first", 1))
        bench.schedule(queue, Rows("large", 6, cut=1), SECONDS)
        if not bench.threads:
            bench.scheduler.step()  # the first batch, with one of its rows
        bench.clock.advance(SECONDS)

    ran = [(task.start, task.rows) for batch in bench.batches for task in batch.tasks if task.name == "large"]
    gone = [(task.start, task.rows) for _, task in bench.expired]
    assert sorted(ran + gone) == [(0, 1), (1, 2), (3, 2), (5, 1)]
    assert ran == ([] if bench.threads else [(0, 1)])


def test_a_task_out_of_time_is_refused(bench: Bench) -> None:
    """It stays with its caller, as whoever is told of its end is the one who is there."""
    queue = bench.queue()
    for seconds in (0.0, -1.0, float("nan")):
        with pytest.raises(errors.DeadlineExceeded, match="out of time"):
            bench.schedule(queue, Rows("a", 1), seconds)

    assert queue.enqueued_tasks == 0
    assert bench.expired == []


def test_a_queue_without_a_callback_takes_no_deadlines(bench: Bench) -> None:
    """Nobody would hear of what expires there."""
    queue = bench.scheduler.add_queue("q", QueueOptions(), bench.batches.append)

    with pytest.raises(errors.InvalidTask, match="expired"):
        queue.schedule(Rows("a", 1), deadline=100.0)


@pytest.mark.parametrize("own", [True, False], ids=["queue", "scheduler"])
def test_closing_ends_each_task_once(bench: Bench, own: bool) -> None:
    """What is out of time when it would be drained is not run; the end waits until its owner has been told."""
    queue = bench.queue(batch_timeout_seconds=TIMEOUT_SECONDS)
    bench.learn(queue)
    bench.schedule(queue, Rows("late", 1), SECONDS)
    bench.schedule(queue, Rows("patient", 1), 2 * SECONDS)
    bench.settle()
    bench.clock.advance(SECONDS)
    (queue if own else bench.scheduler).close()

    assert [task.name for _, task in bench.expired] == ["late"]
    assert bench.contents() == [[("patient", 1)]]


def test_tasks_given_back_do_not_expire(bench: Bench) -> None:
    """What `close` returns is the caller's, and its deadline is nobody else's business."""
    queue = bench.queue(batch_timeout_seconds=TIMEOUT_SECONDS)
    bench.learn(queue)
    bench.schedule(queue, Rows("a", 1), SECONDS)

    assert queue.close(drain=False) == (Rows("a", 1),)
    bench.advance(SECONDS)
    assert bench.expired == []


def test_a_callback_that_raises_stops_nothing(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """The next task's owner is told all the same, and the queue ends."""
    told: list[Rows] = []

    def expire(task: Rows) -> None:
        told.append(task)
        raise ValueError(task.name)

    options = QueueOptions(batch_timeout_seconds=TIMEOUT_SECONDS)
    queue = bench.scheduler.add_queue("bad", options, bench.batches.append, expired=expire)
    bench.learn(queue)
    for name in "ab":
        bench.schedule(queue, Rows(name, 1), SECONDS)
    with caplog.at_level(logging.ERROR):
        bench.advance(SECONDS)
        queue.close()

    assert [task.name for task in told] == ["a", "b"]
    assert len(caplog.records) == 2
    assert "bad" in caplog.records[0].getMessage()


def test_a_callback_may_schedule_again(bench: Bench) -> None:
    """It is called outside the lock, when the room is free."""
    options = QueueOptions(max_batch_rows=1, max_enqueued_batches=1)
    queue = bench.scheduler.add_queue(
        "again", options, bench.batches.append, expired=lambda _: queue.schedule(Rows("second", 1))
    )
    with bench.all_threads_busy():
        bench.schedule(queue, Rows("first", 1), SECONDS)
        bench.clock.advance(SECONDS)
        if bench.threads:
            bench.clock.wait_for_sleepers(1)

    bench.settle()
    assert bench.contents() == [[("second", 1)]]


def test_without_threads_the_wait_for_a_deadline_is_told() -> None:
    """A loop of one's own sleeps until the next batch or the next deadline, whatever is first."""
    bench = Bench(0)
    queue = bench.queue(batch_timeout_seconds=TIMEOUT_SECONDS)
    bench.learn(queue)
    bench.schedule(queue, Rows("a", 1), SECONDS)
    assert bench.scheduler.seconds_until_due() == SECONDS - START_SECONDS

    bench.clock.advance(SECONDS)
    assert bench.scheduler.seconds_until_due() == 0.0
    assert not bench.scheduler.step()
    assert [at for at, _ in bench.expired] == [SECONDS]
    assert bench.scheduler.seconds_until_due() is None


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_no_thread_keeps_deadlines_where_there_are_none(threads: int) -> None:
    """It starts with the first one, and is one for all queues."""
    before = set(threading.enumerate())
    bench = Bench(threads)
    queues = [bench.queue(name) for name in "ab"]
    for queue in queues:
        queue.schedule(Rows("a", 1))
    assert len(set(threading.enumerate()) - before) == threads

    for queue in queues:
        bench.schedule(queue, Rows("a", 1), SECONDS)
    assert len(set(threading.enumerate()) - before) == threads + (threads > 0)
    bench.scheduler.close()
    assert set(threading.enumerate()) <= before


def test_the_keeper_ends_when_its_thread_is_all_that_is_left(bench: Bench) -> None:
    """A scheduler whose queues were all closed before ends, too."""
    queue = bench.queue()
    bench.schedule(queue, Rows("a", 1), SECONDS)
    queue.close()

    bench.scheduler.close()
    with pytest.raises(errors.QueueClosed):
        queue.schedule(Rows("b", 1), deadline=100.0)


def test_a_callback_cannot_wait_for_the_end() -> None:
    """The thread that tells it is among those that the end waits for."""
    bench = Bench(1)
    raised: list[BaseException] = []

    def expire(task: Rows) -> None:
        try:
            queue.close()
        except RuntimeError as error:
            raised.append(error)

    options = QueueOptions(batch_timeout_seconds=TIMEOUT_SECONDS)
    queue = bench.scheduler.add_queue("q", options, bench.batches.append, expired=expire)
    bench.learn(queue)
    bench.schedule(queue, Rows("a", 1), SECONDS)
    bench.settle()
    bench.clock.advance(SECONDS)
    bench.scheduler.close()

    assert len(raised) == 1


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_nothing_keeps_tasks_for_their_deadlines(threads: int) -> None:
    """A task that ran, or has expired, is freed, however far its deadline is, and so is a closed queue."""
    bench = Bench(threads)
    options = QueueOptions(max_batch_rows=1)

    def process(batch: Batch[Rows]) -> None:
        """Keep nothing."""

    queue = bench.scheduler.add_queue("q", options, process, expired=lambda task: None)
    ran = Rows("ran", 1)
    watched = weakref.ref(ran)
    bench.schedule(queue, ran, 1000.0)
    bench.settle()
    bench.observer.formed.clear()
    del ran
    gc.collect()
    assert watched() is None

    closed = weakref.ref(process)
    queue.close()
    del queue, process
    gc.collect()
    assert closed() is None
    bench.scheduler.close()


def test_a_deadline_is_kept_on_the_wall_clock() -> None:
    """A busy thread does not hold the answer up."""
    expired, release = threading.Event(), threading.Event()

    def process(batch: Batch[Rows]) -> None:
        assert release.wait(PATIENCE_SECONDS)

    with SharedScheduler(threads=1) as scheduler:
        options = QueueOptions(max_batch_rows=1)
        queue = scheduler.add_queue("q", options, process, expired=lambda _: expired.set())
        queue.schedule(Rows("busy", 1))
        queue.schedule(Rows("late", 1), deadline=scheduler.now() + 0.005)
        assert expired.wait(PATIENCE_SECONDS)
        release.set()
