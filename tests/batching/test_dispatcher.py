"""Promises of `batching.dispatcher`: who wakes whom. Threads are counted as they sleep on the fake clock."""

from collections.abc import Iterator

import pytest

from tests.batching.bench import Bench, Rows

TIMEOUT_SECONDS = 0.25


@pytest.fixture(params=[1, 3], ids=lambda count: f"{count}-threads")
def sleepers(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A scheduler whose threads all sleep."""
    bench = Bench(request.param)
    yield bench
    bench.scheduler.close()


def test_a_batch_wakes_exactly_one_thread(sleepers: Bench) -> None:
    """However many threads sleep, one batch disturbs one of them."""
    queue = sleepers.queue(max_batch_rows=4)
    before = sleepers.clock.wakes

    for batches in range(1, 6):
        queue.schedule(Rows("a", 4))
        sleepers.settle()

        assert sleepers.clock.wakes - before == batches == len(sleepers.batches)


def test_a_task_of_many_batches_wakes_a_thread_for_each() -> None:
    """Three batches that come at once are taken by three threads."""
    bench = Bench(3)
    queue = bench.queue(max_batch_rows=4, batch_timeout_seconds=TIMEOUT_SECONDS)
    before = bench.clock.wakes

    queue.schedule(Rows("a", 12, cut=1))
    bench.settle()

    assert bench.clock.wakes - before == 3
    assert bench.row_counts() == [[4], [4], [4]]
    bench.scheduler.close()


def test_threads_that_wait_for_work_do_not_poll(sleepers: Bench) -> None:
    """Time alone wakes nobody when nothing waits."""
    queue = sleepers.queue(batch_timeout_seconds=TIMEOUT_SECONDS)
    queue.schedule(Rows("a", 1))
    sleepers.settle()
    sleepers.advance(TIMEOUT_SECONDS)
    before = sleepers.clock.wakes

    for _ in range(10):
        sleepers.advance(1000.0)

    assert sleepers.clock.wakes == before


def test_one_thread_keeps_the_time(sleepers: Bench) -> None:
    """A batch that is to time out wakes one thread, which watches and takes it; later tasks wake nobody."""
    queue = sleepers.queue(batch_timeout_seconds=TIMEOUT_SECONDS)
    before = sleepers.clock.wakes

    for _ in range(5):
        queue.schedule(Rows("a", 1))
        sleepers.settle()
    assert sleepers.clock.wakes - before == 1

    sleepers.advance(TIMEOUT_SECONDS)
    assert sleepers.clock.wakes - before == 2
    assert sleepers.contents() == [[("a", 1)] * 5]


def test_an_earlier_time_reaches_the_timekeeper(sleepers: Bench) -> None:
    """A queue with a shorter time-out is not kept waiting for the longer one of another."""
    slow = sleepers.queue("slow", batch_timeout_seconds=8.0)
    quick = sleepers.queue("quick", batch_timeout_seconds=TIMEOUT_SECONDS)
    slow.schedule(Rows("slow", 1))
    sleepers.settle()
    quick.schedule(Rows("quick", 1))
    sleepers.settle()

    sleepers.advance(TIMEOUT_SECONDS)
    assert sleepers.contents() == [[("quick", 1)]]

    sleepers.advance(8.0)
    assert sleepers.contents() == [[("quick", 1)], [("slow", 1)]]


def test_batches_that_fall_due_together_are_shared_out() -> None:
    """The timekeeper wakes others for what it cannot take itself."""
    bench = Bench(3)
    for name in "abc":
        bench.queue(name, batch_timeout_seconds=TIMEOUT_SECONDS).schedule(Rows(name, 1))
        bench.settle()
    before = bench.clock.wakes

    bench.advance(TIMEOUT_SECONDS)

    assert bench.clock.wakes - before == 3
    assert len(bench.batches) == 3
    bench.scheduler.close()


def test_the_time_is_kept_while_others_work() -> None:
    """When the timekeeper leaves with a batch, a sleeping thread takes the watch."""
    bench = Bench(2)
    waiting = bench.queue("waiting", batch_timeout_seconds=8.0)
    waiting.schedule(Rows("waiting", 1))
    bench.settle()
    early = bench.queue("early", batch_timeout_seconds=TIMEOUT_SECONDS)
    early.schedule(Rows("early", 1))
    bench.settle()

    bench.advance(TIMEOUT_SECONDS)
    bench.advance(8.0)

    assert bench.contents() == [[("early", 1)], [("waiting", 1)]]
    bench.scheduler.close()


def test_a_full_batch_leaves_the_timekeeper_alone() -> None:
    """While another thread sleeps, work does not take the one that keeps the time."""
    bench = Bench(3)
    queue = bench.queue(max_batch_rows=4, batch_timeout_seconds=TIMEOUT_SECONDS)
    other = bench.queue("other", batch_timeout_seconds=TIMEOUT_SECONDS)
    other.schedule(Rows("other", 1))
    bench.settle()
    before = bench.clock.wakes

    queue.schedule(Rows("a", 4))
    bench.settle()

    assert bench.clock.wakes - before == 1
    bench.advance(TIMEOUT_SECONDS)
    assert bench.contents() == [[("a", 4)], [("other", 1)]]
    bench.scheduler.close()
