"""Promises of `batching.shared_scheduler`, with 0, 1 and 3 batch threads (fixture `bench`)."""

import gc
import threading
import weakref

import pytest

from batching import errors
from batching.batch import Batch, CloseReason
from batching.options import QueueOptions
from batching.shared_scheduler import SharedScheduler
from tests.batching.bench import Bench, Rows
from tests.kit.waiting import PATIENCE_SECONDS

TIMEOUT_SECONDS = 0.25


def test_each_queue_has_its_own_batches_in_order(bench: Bench) -> None:
    """Tasks of two queues never meet in a batch, and leave each queue first in, first out."""
    one = bench.queue("one", max_batch_rows=4, batch_timeout_seconds=TIMEOUT_SECONDS)
    other = bench.queue("other", max_batch_rows=4, batch_timeout_seconds=TIMEOUT_SECONDS)
    for name, queue in (("a", one), ("x", other), ("b", one), ("y", other)):
        queue.schedule(Rows(name, 1))
    bench.settle()
    assert bench.batches == []

    bench.advance(TIMEOUT_SECONDS)

    assert sorted(bench.contents()) == [[("a", 1), ("b", 1)], [("x", 1), ("y", 1)]]


@pytest.mark.parametrize(
    ("cut", "expected"),
    [(0, [[3, 1, 6], [3, 5]]), (1, [[1, 1, 6, 1], [3, 5, 2]])],
    ids=["indivisible", "divisible"],
)
def test_no_batch_is_larger_than_allowed(bench: Bench, cut: int, expected: list[list[int]]) -> None:
    """Tasks that cannot be split close a batch early; others fill it exactly."""
    queue = bench.queue(max_batch_rows=10, batch_timeout_seconds=TIMEOUT_SECONDS)
    for rows in (3, 5, 3, 1, 6) if not cut else (3, 5, 3, 1, 6, 1):
        queue.schedule(Rows("t", rows, cut))
    bench.advance(TIMEOUT_SECONDS)

    assert bench.row_counts() == expected


def test_a_batch_waits_for_its_timeout_and_no_longer(bench: Bench) -> None:
    """At 9 µs of 10 nothing happens, at 10 the batch is processed."""
    queue = bench.queue(batch_timeout_seconds=10e-6)
    queue.schedule(Rows("a", 1))
    bench.settle()
    bench.advance(9e-6)
    assert bench.batches == []

    bench.advance(1e-6)

    assert bench.contents() == [[("a", 1)]]
    assert bench.batches[0].close_reason is CloseReason.TIMEOUT


def test_a_task_that_does_not_fit_sends_the_batch_off_at_once(bench: Bench) -> None:
    """The batch before it does not wait for its time-out; the task itself does."""
    queue = bench.queue(max_batch_rows=10, batch_timeout_seconds=TIMEOUT_SECONDS)
    queue.schedule(Rows("a", 6))
    queue.schedule(Rows("b", 5))
    bench.settle()
    assert bench.contents() == [[("a", 6)]]

    bench.advance(TIMEOUT_SECONDS)

    assert bench.contents() == [[("a", 6)], [("b", 5)]]


def test_without_a_timeout_a_free_thread_takes_what_is_there(bench: Bench) -> None:
    """A time-out of 0 waits for a thread, and for nothing else."""
    queue = bench.queue(batch_timeout_seconds=0.0)

    queue.schedule(Rows("a", 1))
    bench.settle()
    with bench.all_threads_busy():
        for name in "bcd":
            queue.schedule(Rows(name, 1))

    assert bench.contents() == [[("a", 1)], [("b", 1), ("c", 1), ("d", 1)]]
    assert {batch.close_reason for batch in bench.batches} == {CloseReason.IDLE}


def test_a_busy_queue_does_not_starve_another(bench: Bench) -> None:
    """A queue's second batch comes after the other queue's first, however many it had before."""
    with bench.all_threads_busy():
        busy = bench.queue("busy", max_batch_rows=1, max_enqueued_batches=50)
        for _ in range(50):
            busy.schedule(Rows("busy", 1))
        quiet = bench.queue("quiet", max_batch_rows=1)
        quiet.schedule(Rows("quiet", 1))

    position = [name for name, _ in bench.observer.formed if name != "blocker"].index("quiet")
    assert position <= 1 + bench.threads
    assert len(bench.batches) == 51


def test_a_full_queue_does_not_block_others(bench: Bench) -> None:
    """What one queue refuses, another takes and processes."""
    full = bench.queue("full", max_batch_rows=1, max_enqueued_batches=1)
    other = bench.queue("other", max_batch_rows=1, max_enqueued_batches=1)
    with bench.all_threads_busy():
        full.schedule(Rows("full", 1))
        with pytest.raises(errors.QueueFull):
            full.schedule(Rows("full", 1))
        other.schedule(Rows("other", 1))

    assert sorted(bench.contents()) == [[("full", 1)], [("other", 1)]]


def test_closing_the_scheduler_drains_every_queue_and_ends_the_threads(bench: Bench) -> None:
    """Afterwards no task waits, no thread is left, and nothing new is taken."""
    queues = [bench.queue(name, batch_timeout_seconds=TIMEOUT_SECONDS) for name in "ab"]
    for queue in queues:
        queue.schedule(Rows(queue.name, 1))

    assert bench.scheduler.close() == ()

    assert sorted(bench.contents()) == [[("a", 1)], [("b", 1)]]
    assert not any(thread.is_alive() for thread in bench.scheduler._threads)
    assert bench.scheduler.join()
    with pytest.raises(errors.QueueClosed):
        queues[0].schedule(Rows("a", 1))
    with pytest.raises(errors.QueueClosed):
        bench.queue("late")


def test_closing_the_scheduler_without_draining_gives_every_task_back(bench: Bench) -> None:
    """The tasks of all queues come back to the caller, and the threads end."""
    queues = [bench.queue(name, batch_timeout_seconds=TIMEOUT_SECONDS) for name in "ab"]
    for queue in queues:
        queue.schedule(Rows(queue.name, 1))

    assert bench.scheduler.close(drain=False) == (Rows("a", 1), Rows("b", 1))
    assert bench.batches == []


@pytest.mark.parametrize("threads", [1, 3])
def test_waiting_for_the_end_has_a_time_limit(threads: int) -> None:
    """A callback that does not come back keeps `join` no longer than it was told."""
    bench = Bench(threads)
    answers = []
    with bench.all_threads_busy():
        bench.scheduler.close(wait=False)
        waiter = threading.Thread(target=lambda: answers.append(bench.scheduler.join(TIMEOUT_SECONDS)))
        waiter.start()
        bench.clock.wait_for_sleepers(1)
        bench.clock.advance(TIMEOUT_SECONDS)
        waiter.join(PATIENCE_SECONDS)
        bench.threads = 0  # they end as soon as they are released
    assert answers == [False]
    assert bench.scheduler.join()


def test_queues_come_and_go_while_others_work(bench: Bench) -> None:
    """A thousand queues are added, used and removed, and leave nothing behind."""
    stays = bench.queue("stays", max_batch_rows=1, max_enqueued_batches=2000)
    for number in range(1000):
        queue = bench.queue(f"goes{number}")
        queue.schedule(Rows("goes", 1))
        stays.schedule(Rows("stays", 1))
        queue.close(wait=False)
    bench.settle()

    assert len(bench.batches) == 2000
    assert [queue.name for queue in bench.scheduler.statistics().queues] == ["stays"]


def test_a_callback_that_ends_its_thread_does_not_end_it(bench: Bench) -> None:
    """`SystemExit` in a batch thread is one more error; without threads it is the caller's."""

    def process(batch: Batch[Rows]) -> None:
        raise SystemExit

    queue = bench.scheduler.add_queue("q", QueueOptions(), process)
    queue.schedule(Rows("a", 1))
    if bench.threads:
        bench.settle()
    else:
        with pytest.raises(SystemExit):
            bench.scheduler.step()

    assert len(bench.observer.failed) == 1
    assert queue.statistics().running_batches == 0


def test_a_callback_may_schedule_and_close(bench: Bench) -> None:
    """No lock is held while a callback runs, so it may use the scheduler, but not wait for itself."""
    errors_seen: list[str] = []

    def process(batch: Batch[Rows]) -> None:
        following.schedule(Rows("next", 1))
        repr(following)
        bench.scheduler.statistics()
        try:
            first.close()
        except RuntimeError as error:
            errors_seen.append(str(error))

    following = bench.queue("following")
    first = bench.scheduler.add_queue("first", QueueOptions(), process)
    first.schedule(Rows("a", 1))
    bench.settle()

    assert first.closed
    assert bench.contents() == [[("next", 1)]]
    assert len(errors_seen) == (1 if bench.threads else 0)


def test_a_sleeping_thread_keeps_no_batch_alive(bench: Bench) -> None:
    """The arrays of the last batch are freed when it is done, not when the next one comes."""

    def ignore(batch: Batch[Rows]) -> None:
        pass

    queue = bench.scheduler.add_queue("q", QueueOptions(), ignore)
    bench.observer.formed = Forgetful()
    task = Rows("a", 1)
    alive = weakref.ref(task)
    queue.schedule(task)
    bench.settle()
    del task
    gc.collect()

    assert alive() is None


class Forgetful(list[tuple[str, Batch[Rows]]]):
    """A list that keeps nothing."""

    def append(self, item: object) -> None:
        """Forget it."""


def test_repr_shows_the_state(bench: Bench) -> None:
    """A debugger sees what the threads do."""
    queue = bench.queue("q", max_batch_rows=4, batch_timeout_seconds=TIMEOUT_SECONDS)
    queue.schedule(Rows("a", 3))
    bench.settle()

    assert repr(bench.scheduler) == (
        f"<SharedScheduler 'batching': {bench.threads} threads, {bench.threads} of them asleep, "
        "1 queues, 0 batches to take>"
    )


def test_who_steps_by_hand_knows_when(bench: Bench) -> None:
    """A loop of one's own sleeps exactly until there is something to do."""
    queue = bench.queue(max_batch_rows=4, batch_timeout_seconds=TIMEOUT_SECONDS)
    assert bench.scheduler.seconds_until_due() is None
    queue.schedule(Rows("a", 1))
    bench.settle()
    bench.advance(0.125)

    assert bench.scheduler.seconds_until_due() == 0.125
    with bench.all_threads_busy():
        queue.schedule(Rows("b", 3))
        assert bench.scheduler.seconds_until_due() == 0.0
    assert bench.scheduler.seconds_until_due() is None
    assert not bench.scheduler.step()


def test_a_negative_number_of_threads_is_refused() -> None:
    """0 threads is a setting, fewer is a mistake."""
    with pytest.raises(errors.InvalidOptions, match="-1"):
        SharedScheduler(-1)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_timeout_is_kept_on_the_wall_clock(threads: int) -> None:
    """With the real clock and real waiting a batch leaves by its time-out, not before."""
    batches: list[Batch[Rows]] = []
    processed = threading.Event()

    def process(batch: Batch[Rows]) -> None:
        batches.append(batch)
        processed.set()

    with SharedScheduler(threads) as scheduler:
        queue = scheduler.add_queue("q", QueueOptions(batch_timeout_seconds=0.01), process)
        queue.schedule(Rows("a", 1))
        queue.schedule(Rows("b", 1))
        assert processed.wait(PATIENCE_SECONDS)

    (batch,) = batches
    assert batch.tasks == [Rows("a", 1), Rows("b", 1)]
    assert batch.close_reason is CloseReason.TIMEOUT
    assert batch.waited_seconds >= 0.01


@pytest.mark.parametrize("threads", [1, 3])
def test_many_threads_schedule_at_once_on_the_wall_clock(threads: int) -> None:
    """Tasks from several callers are each processed once, and those of one caller in their order."""
    batches: list[Batch[Rows]] = []
    with SharedScheduler(threads) as scheduler:
        queue = scheduler.add_queue(
            "q", QueueOptions(max_batch_rows=7, max_enqueued_batches=10**6), batches.append
        )

        def send(name: str) -> None:
            for start in range(500):
                queue.schedule(Rows(name, 1 + start % 3, cut=1, start=1000 * start))

        callers = [threading.Thread(target=send, args=(name,)) for name in "abcd"]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()

    rows = [
        (task.name, task.start + row) for batch in batches for task in batch.tasks for row in range(task.rows)
    ]
    assert sorted(rows) == sorted(
        (name, 1000 * start + row) for name in "abcd" for start in range(500) for row in range(1 + start % 3)
    )
    assert max(batch.rows for batch in batches) <= 7
    if threads == 1:
        assert all(
            [r for r in rows if r[0] == name] == sorted(r for r in rows if r[0] == name) for name in "abcd"
        )
