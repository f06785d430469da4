"""A device is given its next batch while it works on one: by a second batch thread, or by the one that works ahead."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from batching.batch import Batch
from batching.options import QueueOptions
from batching.shared_scheduler import SharedScheduler
from tests.batching.bench import Rows
from tests.fakes.clock import FakeClock
from tests.kit.waiting import PATIENCE_SECONDS

BATCH_SECONDS = 1.0
IDLE_SECONDS = 0.125  # a batch counts for a fourth: less than one batch of a second


class Device:
    """The callback of a queue: works on one batch at a time, and until it is told that one is done."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._turn = threading.Lock()
        self._arrived = threading.Semaphore(0)
        self._done = threading.Semaphore(0)
        self.given: list[str] = []
        self.given_by_thread: dict[int, list[str]] = {}
        self.ran: list[str] = []
        self.busy = False

    def __call__(self, batch: Batch[Rows]) -> None:
        """Wait for the device, then for its work."""
        name = batch.tasks[0].name
        self.given.append(name)
        self.given_by_thread.setdefault(threading.get_ident(), []).append(name)
        self._arrived.release()
        with self._turn:
            self.busy = True
            assert self._done.acquire(timeout=PATIENCE_SECONDS)
            self.ran.append(name)
            self.busy = False

    def wait_until_given(self, batches: int = 1) -> None:
        """Wait until it has been given so many batches more."""
        for _ in range(batches):
            assert self._arrived.acquire(timeout=PATIENCE_SECONDS)

    def finish(self, batches: int = 1) -> None:
        """Let so many batches be done, after the time that each takes."""
        self._clock.advance(BATCH_SECONDS)
        self._done.release(batches)


class Line:
    """A scheduler whose only queue, with batches of two rows, leads to a device."""

    def __init__(self, threads: int, *, ahead: bool, thread_clock: Callable[[], float] | None = None) -> None:
        self.clock = FakeClock()
        self.device = Device(self.clock)
        self.sleepers = threads + ahead
        self.scheduler = SharedScheduler(
            threads,
            clock=self.clock,
            overlap_seconds=IDLE_SECONDS if ahead else float("inf"),
            make_condition=self.clock.condition,
            thread_clock=thread_clock or (lambda: 0.0),
        )
        options = QueueOptions(max_batch_rows=2, max_enqueued_batches=8)
        self.queue = self.scheduler.add_queue("q", options, self.device)

    def learn(self) -> None:
        """One batch alone, by which the scheduler sees what batches of this queue are like."""
        self.queue.schedule(Rows("first", 2))
        self.device.wait_until_given()
        self.device.finish()
        self.rest()

    def rest(self, busy: int = 0) -> None:
        """Wait until every thread but so many sleeps."""
        self.clock.wait_for_sleepers(self.sleepers - busy)


@contextmanager
def line(
    threads: int, *, ahead: bool = False, thread_clock: Callable[[], float] | None = None
) -> Iterator[Line]:
    """A line, at rest at first; ended, with whatever is on it, afterwards."""
    made = Line(threads, ahead=ahead, thread_clock=thread_clock)
    made.rest()
    try:
        yield made
    finally:
        made.device.finish(100)
        made.scheduler.close()


def test_one_batch_thread_leaves_the_next_batch_in_the_queue() -> None:
    """The device waits between two batches for the time that Python needs."""
    with line(1) as one:
        one.queue.schedule(Rows("a", 2))
        one.device.wait_until_given()
        one.queue.schedule(Rows("b", 2))
        one.rest(busy=1)

        assert one.device.given == ["a"]
        assert one.queue.statistics().enqueued_batches == 1


@pytest.mark.parametrize(("threads", "ahead"), [(2, False), (1, True)], ids=["two threads", "one and ahead"])
def test_a_second_batch_waits_at_the_device_while_the_first_runs(threads: int, ahead: bool) -> None:
    """When the first is done the device goes on with the second, whatever the first's thread does."""
    with line(threads, ahead=ahead) as one:
        one.learn()
        one.queue.schedule(Rows("a", 2))
        one.device.wait_until_given()
        one.queue.schedule(Rows("b", 2))
        one.device.wait_until_given()

        assert one.device.given == ["first", "a", "b"]
        assert one.device.ran == ["first"]
        one.device.finish(2)
        one.rest()
        assert sorted(one.device.ran) == ["a", "b", "first"]


def test_without_threads_the_caller_runs_one_batch_at_a_time() -> None:
    """And nobody works ahead."""
    before = threading.active_count()
    with line(0, ahead=False) as none:
        none.scheduler.close()
    scheduler = SharedScheduler(0, overlap_seconds=0.0)

    assert threading.active_count() == before
    scheduler.close()


def test_a_batch_that_is_not_full_is_not_worked_ahead() -> None:
    """It goes on filling until the thread is free: the device would not be done sooner with less."""
    with line(1, ahead=True) as one:
        one.learn()
        one.queue.schedule(Rows("a", 2))
        one.device.wait_until_given()
        one.queue.schedule(Rows("b", 1))
        one.rest(busy=1)
        assert one.device.given == ["first", "a"]

        one.queue.schedule(Rows("c", 1))
        one.device.wait_until_given()

        assert one.device.given == ["first", "a", "b"]


def test_full_batches_that_wait_already_are_worked_ahead_at_once() -> None:
    """A backlog needs no new task to be noticed, and at most one batch for each thread is out of the queue."""
    with line(1, ahead=True) as one:
        one.learn()
        one.queue.schedule(Rows("a", 6, cut=2))
        one.device.wait_until_given(2)
        one.rest(busy=2)

        assert one.device.given == ["first", "a", "a"]
        assert one.queue.statistics().enqueued_batches == 1


def test_a_queue_whose_callback_computes_is_not_worked_ahead() -> None:
    """A second thread would only take the processor from the first."""
    one = FakeClock()
    with line(1, ahead=True, thread_clock=one) as busy:
        busy.queue.schedule(Rows("first", 2))
        busy.device.wait_until_given()
        one.advance(BATCH_SECONDS)  # it uses the processor all the time
        busy.device.finish()
        busy.rest()

        busy.queue.schedule(Rows("a", 4, cut=2))
        busy.device.wait_until_given()
        busy.rest(busy=1)

        assert busy.device.given == ["first", "a"]


def test_a_new_queue_is_not_worked_ahead_before_it_is_known() -> None:
    """The first batch tells."""
    with line(1, ahead=True) as one:
        one.queue.schedule(Rows("a", 4, cut=2))
        one.device.wait_until_given()
        one.rest(busy=1)

        assert one.device.given == ["a"]


def test_tasks_leave_in_their_order_and_each_once() -> None:
    """Whoever takes them; which of two threads comes to the device first is the machine's."""
    with line(1, ahead=True) as one:
        one.learn()
        names = [str(number) for number in range(6)]
        for name in names:
            one.queue.schedule(Rows(name, 2))
        one.device.wait_until_given(2)
        for _ in names:
            one.device.finish()
        one.device.wait_until_given(len(names) - 2)
        one.rest()

        assert sorted(one.device.given) == [*names, "first"]
        assert len(one.device.given_by_thread) == one.sleepers
        for own in one.device.given_by_thread.values():
            taken = [name for name in own if name != "first"]
            assert taken == sorted(taken)
        assert one.queue.statistics().dispatched_batches == 7


def test_closing_drains_what_was_worked_ahead() -> None:
    """Nothing is left running when `close` returns, and no thread either."""
    before = set(threading.enumerate())
    with line(1, ahead=True) as one:
        one.learn()
        one.queue.schedule(Rows("a", 8, cut=2))
        one.device.wait_until_given(2)
        one.device.finish(100)

        one.scheduler.close()

        assert len(one.device.ran) == 5
        assert set(threading.enumerate()) <= before
