"""The bytes of what waits for a batcher, in all its layouts' queues together."""

import asyncio
import threading
from concurrent import futures

import numpy as np
import pytest

from batching import errors
from batching.arrays import Array
from batching.batcher import Batcher
from batching.options import QueueOptions
from tests.batching.bench import Bench
from tests.kit.waiting import PATIENCE_SECONDS

OPTIONS = QueueOptions(max_batch_rows=4, max_enqueued_batches=8)
KIB = 128
"""Numbers of eight bytes."""


def same(x: Array) -> Array:
    """Whatever it is given."""
    return x


def wide(rows: int, columns: int = KIB) -> Array:
    """Rows of a KiB, or of as many numbers."""
    return np.zeros((rows, columns))


def test_what_would_be_too_much_is_refused() -> None:
    """Whichever layout the bytes are of; the message says how many wait and how many may."""
    bench = Bench(0)
    batcher = Batcher(same, OPTIONS, scheduler=bench.scheduler, max_enqueued_bytes=4096, name="same")
    first = batcher.submit(wide(3))
    with pytest.raises(
        errors.QueueFull, match=r"3,072 bytes wait for 'same', of 4,096 .* no room for 2,048 more"
    ):
        batcher.submit(wide(1, 2 * KIB))
    second = batcher.submit(wide(2, KIB // 2))
    with pytest.raises(errors.QueueFull, match="4,096 bytes wait"):
        batcher.submit(np.zeros(1))
    batcher.step()
    third = batcher.submit(wide(1, 2 * KIB))
    batcher.close()
    assert [len(each.result()) for each in (first, second, third)] == [3, 2, 1]
    bench.scheduler.close()


def test_more_than_may_ever_wait_is_told_so() -> None:
    """Not that there is no room now."""
    with Batcher(same, OPTIONS, threads=0, max_enqueued_bytes=1024) as batcher:
        with pytest.raises(
            errors.TaskTooLarge, match=r"1,032 bytes is more than 'same' holds, 1,024 \(max_enqueued_bytes"
        ):
            batcher.submit(wide(1, 129))
        assert len(batcher(wide(1))) == 1
    with pytest.raises(errors.InvalidOptions, match="max_enqueued_bytes must be at least 1, not 0"):
        Batcher(same, max_enqueued_bytes=0)


def test_bytes_are_free_again_whatever_becomes_of_a_task() -> None:
    """Refused for its rows, out of time, failed by the function, or cut into pieces."""
    bench = Bench(0)
    options = QueueOptions(max_batch_rows=2, max_enqueued_batches=2)
    batcher = Batcher(same, options, scheduler=bench.scheduler, max_enqueued_bytes=8 * 1024)
    with pytest.raises(errors.TaskTooLarge, match="rows"):
        batcher.submit(wide(5))
    late = batcher.submit(wide(4), timeout_seconds=1.0)
    with pytest.raises(errors.QueueFull, match="rows"):
        batcher.submit(wide(1))
    bench.advance(0.5)  # runs its first batch
    assert isinstance(late.result(0), np.ndarray)

    late = batcher.submit(wide(3), timeout_seconds=1.0)
    bench.advance(1.0)  # as without threads deadlines are seen by `step`
    whole = batcher.submit(wide(4, 2 * KIB))
    with pytest.raises(errors.DeadlineExceeded):
        late.result(0)
    with pytest.raises(errors.QueueFull, match="8,192 bytes wait"):
        batcher.submit(wide(1))
    batcher.close(drain=False)
    with pytest.raises(errors.QueueClosed):
        whole.result(0)
    bench.scheduler.close()


def test_coroutines_wait_for_bytes_and_for_rows() -> None:
    """Those of one layout for room in their queue, others for bytes; each gets in."""
    most, seen = 6 * 1024, 0
    lock = threading.Lock()

    def function(x: Array) -> Array:
        nonlocal seen
        with lock:
            seen += len(x)
        return x[:, :1]

    async def main() -> None:
        options = QueueOptions(max_batch_rows=2, max_enqueued_batches=1)
        async with Batcher(function, options, threads=2, max_enqueued_bytes=most) as batcher:

            async def one(number: int) -> None:
                columns = KIB * (1 + number % 3)
                rows = np.full((1 + number % 2, columns), float(number))
                result = await (await batcher.put(rows))
                assert result.tolist() == [[float(number)]] * len(rows)

            await asyncio.wait_for(asyncio.gather(*map(one, range(300))), PATIENCE_SECONDS)

    asyncio.run(main())
    assert seen == 450


def test_threads_wait_for_bytes() -> None:
    """A call stands in line until what is before it has left, and gives up after its time."""
    entered, let_go = threading.Semaphore(0), threading.Event()

    def function(x: Array) -> Array:
        entered.release()
        assert let_go.wait(PATIENCE_SECONDS)
        return x

    with (
        Batcher(function, OPTIONS, max_enqueued_bytes=1024) as batcher,
        futures.ThreadPoolExecutor(2) as pool,
    ):
        running = batcher.submit(wide(1))
        assert entered.acquire(timeout=PATIENCE_SECONDS)
        waiting = batcher.submit(wide(1))
        with pytest.raises(errors.QueueFull, match="1,024 bytes wait"):
            batcher(np.zeros(3), timeout_seconds=0.05)
        callers = [pool.submit(batcher, np.zeros(columns)) for columns in (3, 5)]
        let_go.set()
        assert [len(each.result(PATIENCE_SECONDS)) for each in (running, waiting, *callers)] == [1, 1, 3, 5]
