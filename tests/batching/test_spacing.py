"""Several threads and one queue: while all are busy its batches start evenly, and a free one waits for nothing."""

import itertools

import pytest

from batching.batch import Batch, CloseReason
from batching.batch_queue import BatchQueue
from batching.dispatcher import Dispatcher
from batching.lane import Lane
from batching.options import QueueOptions
from batching.run_line import RunLine
from batching.task_queue import TaskQueue
from tests.batching.bench import Rows
from tests.fakes.clock import FakeClock

RUN_SECONDS = 1.0


class Devices:
    """A dispatcher with threads that are told what to do, and one queue whose batches run for a second, of late."""

    def __init__(self, threads: int = 2, **options: object) -> None:
        self.clock = FakeClock()
        self._thread = 0
        self._dispatcher = Dispatcher(
            self.clock, self.clock.condition, threads=threads, thread=lambda: self._thread
        )
        self._running: dict[int, Lane[Rows]] = {}
        self.lane = self.add(**options)
        self._numbers = itertools.count()

    def add(self, **options: object) -> Lane[Rows]:
        """One queue more."""
        queue: TaskQueue[Rows] = TaskQueue("q", QueueOptions(**{"max_batch_rows": 4, **options}))  # type: ignore[arg-type]
        lane = Lane(queue, lambda batch: None, expired=lambda task: None)
        lane.runs.note(4, RUN_SECONDS)
        queue.costs.note(1, 0.0)
        self._dispatcher.add(lane)
        return lane

    def schedule(self, rows: int = 1, lane: Lane[Rows] | None = None, deadline: float | None = None) -> None:
        """Schedule a task."""
        self._dispatcher.schedule(lane or self.lane, Rows(f"{next(self._numbers)}", rows), deadline)

    def take(self, thread: int) -> Batch[Rows] | None:
        """Let a free thread look for a batch."""
        assert thread not in self._running
        self._thread = thread
        taken = self._dispatcher.poll_batch()
        if taken is None:
            return None
        self._running[thread], batch = taken
        return batch

    def finish(self, thread: int, seconds: float = RUN_SECONDS) -> None:
        """Let a thread be done."""
        self._thread = thread
        self._dispatcher.finish(self._running.pop(thread), 0.0, 4, seconds)

    def due_in(self) -> float | None:
        """How long a free thread would wait."""
        return self._dispatcher.seconds_until_due()

    def both_busy(self) -> None:
        """The first two batches: each has its thread at once."""
        for thread in range(2):
            self.schedule()
            assert self.take(thread) is not None


def test_the_next_batch_waits_for_its_share_of_a_run() -> None:
    """Half of one after the second began, for there are two threads; those that come meanwhile are in it."""
    devices = Devices()
    devices.both_busy()
    devices.clock.advance(0.125)
    devices.finish(0)
    devices.schedule()

    assert devices.take(0) is None
    assert devices.due_in() == 0.375
    devices.clock.advance(0.25)
    devices.schedule()
    assert devices.take(0) is None
    devices.clock.advance(0.125)
    batch = devices.take(0)
    assert batch is not None
    assert (batch.rows, batch.close_reason) == (2, CloseReason.IDLE)


def test_nobody_waits_while_a_thread_has_been_free() -> None:
    """The first batch started with a thread to spare: the second one starts at once."""
    devices = Devices()
    devices.schedule()
    assert devices.take(0) is not None
    devices.clock.advance(0.125)
    devices.schedule()
    assert devices.take(1) is not None


def test_a_full_batch_waits_for_nothing() -> None:
    """More would not fit."""
    devices = Devices()
    devices.both_busy()
    devices.finish(0)
    devices.schedule(4)

    assert devices.take(0) is not None


def test_a_batch_goes_once_nothing_of_its_queue_runs() -> None:
    """Were the run shorter than those before it, a device would stand still for nothing."""
    devices = Devices()
    devices.both_busy()
    devices.finish(0)
    devices.schedule()
    assert devices.take(0) is None
    devices.finish(1)

    assert devices.due_in() == 0.0
    assert devices.take(0) is not None


def test_a_deadline_comes_before_an_even_start() -> None:
    """When it would be missed otherwise; here it is a quarter of a second away, and a run takes next to nothing."""
    devices = Devices()
    devices.both_busy()
    devices.finish(0)
    devices.schedule(deadline=devices.clock() + 0.25)

    assert devices.take(0) is None
    wait = devices.due_in()
    assert wait is not None
    assert wait < 0.25
    devices.clock.advance(wait)
    assert devices.take(0) is not None


def test_another_queue_has_the_thread_meanwhile() -> None:
    """What waits is a batch, not a thread."""
    devices = Devices()
    other = devices.add()
    devices.both_busy()
    devices.finish(0)
    devices.schedule()
    devices.schedule(lane=other)

    assert devices.take(0) is not None
    assert devices.lane.queue.enqueued_tasks == 1


def test_a_closed_queue_waits_for_nothing() -> None:
    """Its end is waited for."""
    devices = Devices()
    devices.both_busy()
    devices.finish(0)
    devices.schedule()
    queue: BatchQueue[Rows] = BatchQueue(devices.lane, devices._dispatcher, lambda *_: True, lambda: None)
    queue.close(wait=False)

    assert devices.take(0) is not None


@pytest.mark.parametrize("threads", [0, 1])
def test_one_thread_never_waits(threads: int) -> None:
    """While it is busy nothing is taken anyway, and the batch grows."""
    devices = Devices(threads)
    for _ in range(3):
        devices.schedule()
        assert devices.take(0) is not None
        devices.finish(0)


def test_the_share_is_that_of_the_batch_that_runs() -> None:
    """By its rows: here a call takes a second, and each row a quarter of one."""
    devices = Devices()
    devices.lane.runs = RunLine()
    for rows in (1, 2, 3, 4) * 10:
        devices.lane.runs.note(rows, 1.0 + 0.25 * rows)
    devices.schedule(4)
    assert devices.take(0) is not None
    devices.schedule(3)
    assert devices.take(1) is not None
    devices.finish(0)
    devices.schedule()

    assert devices.take(0) is None
    assert devices.due_in() == pytest.approx((1.0 + 0.25 * 3) / 2)


def test_a_batch_that_failed_says_nothing_of_how_long_they_run() -> None:
    """It may have failed at once, or waited for something."""
    devices = Devices()
    devices.both_busy()
    devices._thread = 1
    devices._dispatcher.finish(devices._running.pop(1), 0.0, 0, 100.0)

    assert devices.lane.runs.seconds(4) == RUN_SECONDS
