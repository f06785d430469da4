"""Promises of `batching.batcher` to callers whose tasks have deadlines."""

import asyncio
import threading
from typing import Any

import numpy as np
import pytest

from batching import errors
from batching.array_task import ArrayTask
from batching.arrays import Array
from batching.batcher import Batcher
from batching.options import QueueOptions
from tests.batching.bench import Bench
from tests.kit.waiting import PATIENCE_SECONDS

SECONDS = 0.25
TIMEOUT_SECONDS = 64.0


class Tripling:
    """A function of one array that remembers what it was given."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    def __call__(self, x: Array) -> Array:
        """Triple."""
        self.calls.append(x.tolist())
        return 3 * x


def batcher_on(bench: Bench, function: Any, **options: Any) -> Batcher[Any, Any]:
    """A batcher on the bench's threads and clock."""
    bench.keeper = 1 if bench.threads else 0  # with the first deadline, which each test here has
    return Batcher(function, QueueOptions(**options), scheduler=bench.scheduler)


def pass_time(bench: Bench, seconds: float) -> None:
    """Let time pass while every batch thread is busy."""
    bench.clock.advance(seconds)
    if bench.threads:
        bench.clock.wait_for_sleepers(1)  # who keeps deadlines


def test_a_task_fails_when_its_time_is_up(bench: Bench) -> None:
    """While the function is busy, at that moment; its neighbours in the queue run."""
    function = Tripling()
    batcher = batcher_on(bench, function)
    with bench.all_threads_busy():
        late = batcher.submit(np.array([1, 2]), timeout_seconds=SECONDS)
        patient = batcher.submit(np.array([3]), timeout_seconds=2 * SECONDS)
        pass_time(bench, SECONDS)
        assert late.done() or not bench.threads

    with pytest.raises(errors.DeadlineExceeded, match="'Tripling' had not begun a task of 2 rows") as raised:
        late.result(0)
    assert isinstance(raised.value, TimeoutError)
    assert patient.result(0).tolist() == [9]
    assert function.calls == [[3]]


def test_time_that_suffices_changes_nothing(bench: Bench) -> None:
    """A task that has begun gives its result."""
    batcher = batcher_on(bench, Tripling())
    pending = batcher.submit(np.array([1]), timeout_seconds=SECONDS)
    bench.settle()
    bench.advance(2 * SECONDS)

    assert pending.result(0).tolist() == [3]


def test_no_time_is_refused(bench: Bench) -> None:
    """Nothing is queued that could not run."""
    batcher = batcher_on(bench, Tripling())

    with pytest.raises(errors.DeadlineExceeded):
        batcher.submit(np.array([1]), timeout_seconds=0.0)


def test_a_batch_does_not_wait_beyond_a_tasks_time(bench: Bench) -> None:
    """A time-out of the queue that is longer than the task's own does not fail it."""
    function = Tripling()
    batcher = batcher_on(bench, function, batch_timeout_seconds=TIMEOUT_SECONDS)
    pending = batcher.submit(np.array([1]), timeout_seconds=SECONDS)
    bench.settle()

    assert pending.result(0).tolist() == [3]


def test_a_task_in_pieces_fails_as_a_whole(bench: Bench) -> None:
    """Where pieces expire the others do not run, and those that come after are as ever."""
    function = Tripling()
    batcher = batcher_on(bench, function, max_batch_rows=2, batch_timeout_seconds=TIMEOUT_SECONDS)
    with bench.all_threads_busy():
        large = batcher.submit(np.arange(5), timeout_seconds=SECONDS)
        other = batcher.submit(np.array([7]))
        pass_time(bench, SECONDS)
    bench.advance(TIMEOUT_SECONDS)

    with pytest.raises(errors.DeadlineExceeded, match="had not begun 2 rows of a task"):
        large.result(0)
    assert other.result(0).tolist() == [21]
    assert function.calls == [[7]]


def test_a_piece_that_was_taken_is_left_out_when_another_expires() -> None:
    """Between the two its batch has left the queue, and its function has not been called yet."""
    head, tail = ArrayTask(np.arange(4)).split(2)
    tail.fail(errors.DeadlineExceeded("no time"))

    assert not head.start()
    assert isinstance(head.pending.exception(0), errors.DeadlineExceeded)


def test_a_cancelled_task_stays_cancelled(bench: Bench) -> None:
    """Its deadline is of no interest any more, but its room is given back then."""
    batcher = batcher_on(bench, Tripling(), max_batch_rows=1, max_enqueued_batches=1)
    with bench.all_threads_busy():
        pending = batcher.submit(np.array([1]), timeout_seconds=SECONDS)
        assert pending.cancel()
        with pytest.raises(errors.QueueFull):
            batcher.submit(np.array([2]))
        pass_time(bench, SECONDS)
        again = batcher.submit(np.array([2]))

    assert pending.cancelled()
    assert again.result(0).tolist() == [6]


def test_who_waits_for_room_is_let_in_when_a_task_expires() -> None:
    """In asyncio too, and the future that is awaited fails there."""
    busy, let_go = threading.Event(), threading.Event()

    def slow(x: Array) -> Array:
        busy.set()
        assert let_go.wait(PATIENCE_SECONDS)
        return 3 * x

    async def main() -> list[int]:
        options = QueueOptions(max_batch_rows=1, max_enqueued_batches=1)
        async with Batcher(slow, options) as batcher:
            first = batcher.submit(np.array([1]))
            await asyncio.to_thread(busy.wait, PATIENCE_SECONDS)
            late = batcher.submit(np.array([2]), timeout_seconds=0.01)
            third = await batcher.put(np.array([3]))
            with pytest.raises(TimeoutError):
                await late
            assert not first.done()
            let_go.set()
            return [int((await first)[0]), int((await third)[0])]

    assert asyncio.run(main()) == [3, 9]
