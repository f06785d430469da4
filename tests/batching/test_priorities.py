"""Priorities of queues: who goes first while the device is busy, and that nobody waits for ever. On a fake clock."""

from batching.batch_queue import BatchQueue
from tests.batching.bench import Bench, Rows

LOW, HIGH = 0, 9


def keep_coming(bench: Bench, queue: BatchQueue[Rows], seconds: float, every_seconds: float) -> None:
    """Tasks for a queue at regular times, while every thread is busy."""
    until = bench.clock() + seconds
    while bench.clock() < until:
        queue.schedule(Rows(queue.name, 1))
        bench.clock.advance(every_seconds)


def order_of(bench: Bench) -> list[str]:
    """The names of the batches' queues, in the order in which they were taken."""
    return [name for name, _ in bench.observer.formed if name != "blocker"]


def taken_first(bench: Bench, name: str, count: int) -> bool:
    """Whether so many batches of a queue were taken before all others, as far as one can tell with several threads."""
    return order_of(bench)[: count - max(0, bench.threads - 1)].count(name) == count - max(
        0, bench.threads - 1
    )


def test_the_high_priority_goes_first(bench: Bench) -> None:
    """Batches that came later, and are of a higher priority, are taken before those that waited."""
    low = bench.queue("low", max_batch_rows=1, max_enqueued_batches=10, priority=LOW)
    high = bench.queue("high", max_batch_rows=1, max_enqueued_batches=10, priority=HIGH)
    with bench.all_threads_busy():
        for queue in (low, high):
            for _ in range(8):
                queue.schedule(Rows(queue.name, 1))

    assert taken_first(bench, "high", 8)
    assert len(bench.batches) == 16


def test_priorities_share_no_batch(bench: Bench) -> None:
    """Each priority is a queue of its own, with its own room: a full low one refuses nothing that is high."""
    low = bench.queue("low", max_batch_rows=4, max_enqueued_batches=1, priority=LOW)
    high = bench.queue("high", max_batch_rows=4, max_enqueued_batches=1, priority=HIGH)
    with bench.all_threads_busy():
        for _ in range(4):
            low.schedule(Rows("low", 1))
        assert low.capacity_rows == 0
        assert high.capacity_rows == 4
        high.schedule(Rows("high", 2))

    assert sorted(bench.contents()) == [[("high", 2)], [("low", 1)] * 4]


def test_a_low_batch_alone_needs_only_to_be_full_or_timed_out(bench: Bench) -> None:
    """Where nothing of a higher priority is due, priority costs nothing."""
    low = bench.queue("low", max_batch_rows=4, batch_timeout_seconds=1.0, priority=LOW)
    bench.queue("high", max_batch_rows=4, batch_timeout_seconds=1.0, priority=HIGH)
    low.schedule(Rows("low", 4))
    bench.settle()
    assert bench.row_counts() == [[4]]

    low.schedule(Rows("low", 1))
    bench.advance(0.5)
    assert bench.row_counts() == [[4]]
    bench.advance(0.5)
    assert bench.row_counts() == [[1], [4]]


def test_nothing_starves(bench: Bench) -> None:
    """Behind a flood of high ones a low one is taken once it has aged, and before those that came after that."""
    low = bench.queue("low", max_batch_rows=1, priority=LOW, ageing_seconds=3.0)
    high = bench.queue("high", max_batch_rows=1, max_enqueued_batches=100, priority=HIGH, ageing_seconds=9.0)
    with bench.all_threads_busy():
        low.schedule(Rows("low", 1))
        keep_coming(bench, high, 4.0, 0.125)

    assert "low" in order_of(bench)[: max(1, bench.threads)]
    assert len(bench.batches) == 33


def test_an_ageing_limit_that_has_not_come_changes_nothing(bench: Bench) -> None:
    """A low one still waits a moment before its limit."""
    low = bench.queue("low", max_batch_rows=1, priority=LOW, ageing_seconds=3.0)
    high = bench.queue("high", max_batch_rows=1, max_enqueued_batches=100, priority=HIGH)
    with bench.all_threads_busy():
        low.schedule(Rows("low", 1))
        keep_coming(bench, high, 2.875, 0.125)

    assert "low" not in order_of(bench)[: -max(1, bench.threads)]
    assert len(bench.batches) == 24


def test_without_priorities_queues_take_turns(bench: Bench) -> None:
    """Queues of one priority, whichever it is, are served as if there were none."""
    options = {"max_batch_rows": 1, "max_enqueued_batches": 10, "priority": LOW, "ageing_seconds": 0.0}
    queues = [bench.queue(name, **options) for name in "abc"]
    with bench.all_threads_busy():
        for queue in queues:
            for _ in range(4):
                queue.schedule(Rows(queue.name, 1))
        bench.clock.advance(1.0)

    if bench.threads <= 1:
        assert "".join(order_of(bench)) == "abcabcabcabc"
    else:
        assert sorted(order_of(bench)) == sorted("abcabcabcabc")
