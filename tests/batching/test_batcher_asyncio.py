"""Promises of `batching.batcher` to coroutines. The batch threads are real, and so are the loops."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest

from batching import errors
from batching.arrays import Array
from batching.batcher import Batcher
from batching.options import QueueOptions
from tests.kit.waiting import PATIENCE_SECONDS

BATCH_ROWS = 4


class Gated:
    """A function that waits at a gate, and remembers what it was given."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)
        self.calls: list[list[int]] = []
        if is_open:
            self.gate.set()

    def __call__(self, x: Array) -> Array:
        """Triple; a negative number is too hard."""
        self.calls.append(x.tolist())
        self.entered.release()
        assert self.gate.wait(PATIENCE_SECONDS)
        if (x < 0).any():
            raise FloatingPointError(f"{x.min()} is too hard")
        return 3 * x

    async def busy(self) -> None:
        """Wait until a batch is at the gate."""
        assert await asyncio.to_thread(self.entered.acquire, timeout=PATIENCE_SECONDS)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run in a loop of its own, and not for ever."""
    asyncio.run(asyncio.wait_for(main(), PATIENCE_SECONDS))


def gated(function: Gated, *, threads: int = 1, max_enqueued_batches: int = 8) -> Batcher[Array, Array]:
    """A batcher whose batches never wait for more."""
    return Batcher(function, QueueOptions(BATCH_ROWS, 0.0, max_enqueued_batches), threads=threads)


@pytest.mark.parametrize("threads", [1, 3])
def test_each_coroutine_gets_its_own_rows(threads: int) -> None:
    """A thousand of them share batches of four, in the loop's own time."""

    async def main() -> None:
        async def one(number: int) -> list[int]:
            return (await (await batcher.put(np.array([number])))).tolist()  # type: ignore[no-any-return]

        async with gated(Gated(), threads=threads) as batcher:
            answers = await asyncio.gather(*map(one, range(1000)))
        assert answers == [[3 * number] for number in range(1000)]

    run(main)


def test_a_coroutine_gets_the_error_of_its_batch() -> None:
    """What the function raised is raised where the result is awaited; the next task is answered."""

    async def main() -> None:
        async with gated(Gated()) as batcher:
            with pytest.raises(FloatingPointError, match="-1 is too hard"):
                await batcher.submit(np.array([-1]))
            assert (await batcher.submit(np.array([1]))).tolist() == [3]

    run(main)


def test_a_result_that_is_there_is_awaited_at_once() -> None:
    """The same future may be awaited again, and by several."""

    async def main() -> None:
        async with gated(Gated()) as batcher:
            pending = batcher.submit(np.array([1]))
            both = await asyncio.gather(pending, pending)
            assert [each.tolist() for each in both] == [[3], [3]]
            assert (await pending).tolist() == [3]
            assert pending.result(0).tolist() == [3]

    run(main)


def test_a_cancelled_coroutine_cancels_its_task() -> None:
    """What waits does not run; what runs goes on for its neighbours."""
    function = Gated(is_open=False)

    async def main() -> None:
        async with gated(function) as batcher:
            running = asyncio.ensure_future(batcher.submit(np.array([1])))
            await function.busy()
            beside, waiting = batcher.submit(np.array([2])), batcher.submit(np.array([3]))
            waiter = asyncio.ensure_future(waiting)
            await asyncio.sleep(0)  # both have begun to wait
            for each in (running, waiter):
                each.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await each
            assert waiting.cancelled()
            function.gate.set()
            assert (await beside).tolist() == [6]

    run(main)
    assert function.calls == [[1], [2]]


def test_a_cancelled_task_cancels_who_awaits_it() -> None:
    """As with futures of the loop itself."""
    function = Gated(is_open=False)

    async def main() -> None:
        async with gated(function) as batcher:
            first = batcher.submit(np.array([1]))
            await function.busy()
            waiting = batcher.submit(np.array([2]))
            waiter = asyncio.ensure_future(waiting)
            await asyncio.sleep(0)
            assert waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiter
            function.gate.set()
            await first

    run(main)


def test_a_time_out_cancels_the_task() -> None:
    """`asyncio.timeout` and `wait_for` bound a call."""
    function = Gated(is_open=False)

    async def main() -> None:
        async with gated(function) as batcher:
            first = batcher.submit(np.array([1]))
            await function.busy()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(batcher.submit(np.array([2])), 0.001)
            function.gate.set()
            await first

    run(main)
    assert function.calls == [[1]]


def test_submit_refuses_at_once_and_put_waits_for_room() -> None:
    """A full queue is told to who asks not to wait; who waits is let in, and who waits too long is told."""
    function = Gated(is_open=False)

    async def main() -> None:
        async with gated(function, max_enqueued_batches=1) as batcher:
            first = batcher.submit(np.array([0]))
            await function.busy()
            full = batcher.submit(np.array([1, 2, 3, 4]))
            with pytest.raises(errors.QueueFull):
                batcher.submit(np.array([5]))
            with pytest.raises(errors.QueueFull):
                await batcher.put(np.array([6]), timeout_seconds=0.001)
            patient = [asyncio.ensure_future(batcher.put(np.array([x] * 3))) for x in (7, 8, 9)]
            impatient = asyncio.ensure_future(batcher.put(np.array([10])))
            await asyncio.sleep(0)
            impatient.cancel()
            function.gate.set()
            answers = [await (await each) for each in patient]
            assert [answer.tolist() for answer in answers] == [[21] * 3, [24] * 3, [27] * 3]
            assert (await first).tolist() == [0]
            assert (await full).tolist() == [3, 6, 9, 12]

    run(main)
    assert sorted(row for call in function.calls for row in call) == [
        0,
        1,
        2,
        3,
        4,
        *[7] * 3,
        *[8] * 3,
        *[9] * 3,
    ]


def test_one_batch_that_leaves_makes_room_for_many() -> None:
    """Each that is let in lets in the next, so that those who wait fill the next batch together."""
    steps, calls = threading.Semaphore(0), list[int]()
    entered = threading.Semaphore(0)

    def stepped(x: Array) -> Array:
        calls.append(len(x))
        entered.release()
        assert steps.acquire(timeout=PATIENCE_SECONDS)
        return x

    async def main() -> None:
        async with Batcher(stepped, QueueOptions(BATCH_ROWS, 0.0, 1)) as batcher:
            batcher.submit(np.array([0]))
            assert await asyncio.to_thread(entered.acquire, timeout=PATIENCE_SECONDS)
            batcher.submit(np.arange(BATCH_ROWS))
            waiting = [asyncio.ensure_future(batcher.put(np.array([x]))) for x in range(BATCH_ROWS)]
            await asyncio.sleep(0)
            steps.release()  # the full batch leaves the queue, and is not done
            answers = [(await each) for each in waiting]
            steps.release(2)
            assert [(await each).tolist() for each in answers] == [[x] for x in range(BATCH_ROWS)]

    run(main)
    assert calls == [1, BATCH_ROWS, BATCH_ROWS]


def test_closing_drains_without_holding_up_the_loop() -> None:
    """Whoever still awaits is answered while the batcher closes; whoever waits for room is told."""
    function = Gated(is_open=False)

    async def main() -> None:
        batcher = gated(function, max_enqueued_batches=1)
        pending = [batcher.submit(np.array([1]))]
        await function.busy()
        pending.append(batcher.submit(np.array([2, 3, 4, 5])))
        for_room = asyncio.ensure_future(batcher.put(np.array([6])))
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(batcher.aclose())
        with pytest.raises(errors.QueueClosed):
            await for_room
        function.gate.set()
        assert [(await each).tolist() for each in pending] == [[3], [6, 9, 12, 15]]
        await closing

    run(main)


def test_closing_may_fail_who_awaits() -> None:
    """Without draining they end with the reason."""
    function = Gated(is_open=False)

    async def main() -> None:
        batcher = gated(function)
        running = batcher.submit(np.array([1]))
        await function.busy()
        waiting = batcher.submit(np.array([2]))
        closing = asyncio.ensure_future(batcher.aclose(drain=False))
        with pytest.raises(errors.QueueClosed, match="closed before this task could run"):
            await waiting
        function.gate.set()
        assert (await running).tolist() == [3]
        await closing

    run(main)


def test_many_loops_and_threads_share_a_batcher() -> None:
    """Each coroutine wakes in its own loop, each thread by itself."""
    answers: dict[int, list[int]] = {}

    async def in_loop(start: int) -> None:
        for number in range(start, start + 50):
            answers[number] = (await batcher.submit(np.array([number]))).tolist()

    def in_thread(start: int) -> None:
        for number in range(start, start + 50):
            answers[number] = batcher(np.array([number])).tolist()

    with gated(Gated()) as batcher:
        threads = [threading.Thread(target=asyncio.run, args=(in_loop(100 * n),)) for n in range(3)]
        threads += [threading.Thread(target=in_thread, args=(100 * n + 50,)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)

    assert answers == {number: [3 * number] for number in range(300)}


def test_a_loop_that_is_gone_holds_nobody_up() -> None:
    """Its coroutines were cancelled with it; a batch that ends later wakes the others."""
    function = Gated(is_open=False)

    async def leave() -> None:
        waiter = asyncio.ensure_future(batcher.submit(np.array([1])))
        await function.busy()
        assert not waiter.done()

    with gated(function) as batcher:
        asyncio.run(leave())
        beside = batcher.submit(np.array([2]))
        function.gate.set()
        assert beside.result(PATIENCE_SECONDS).tolist() == [6]


def test_a_batch_wakes_its_loop_once() -> None:
    """However many coroutines wait for it: a wake-up costs a system call and the loop a turn."""
    function = Gated(is_open=False)
    calls: list[object] = []

    async def main() -> None:
        first = batcher.submit(np.array([0]))
        assert function.entered.acquire(timeout=PATIENCE_SECONDS)
        pending = [batcher.submit(np.array([x])) for x in range(BATCH_ROWS)]
        waiting = [asyncio.ensure_future(each) for each in pending]
        await asyncio.sleep(0)  # they wait, so that this is called after each of them has been woken
        pending[-1].add_done_callback(lambda _: done.set())
        loop = asyncio.get_running_loop()
        wake = loop.call_soon_threadsafe

        def counted(callback: Callable[..., object], *args: Any) -> asyncio.Handle:
            calls.append(callback)
            return wake(callback, *args)

        loop.call_soon_threadsafe = counted  # type: ignore[method-assign, assignment]
        function.gate.set()
        assert done.wait(PATIENCE_SECONDS)  # the loop stands still, and cannot come round in between
        assert [(await each).tolist() for each in waiting] == [[3 * x] for x in range(BATCH_ROWS)]
        assert (await first).tolist() == [0]
        loop.call_soon_threadsafe = wake  # type: ignore[method-assign]

    done = threading.Event()
    options = QueueOptions(BATCH_ROWS)
    with Batcher(function, options) as batcher:
        run(main)
    assert len(calls) == 1
