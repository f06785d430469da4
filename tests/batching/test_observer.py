"""Promises of `batching.observer`: what is heard, and that hearing changes nothing."""

import pytest

from batching.batch import Batch, CloseReason
from batching.observer import SilentObserver
from batching.options import QueueOptions
from tests.batching.bench import Bench, Rows

TIMEOUT_SECONDS = 0.25


class BrokenObserver:
    """Raises whatever it hears."""

    def batch_formed(self, queue_name: str, batch: Batch[Rows]) -> None:
        """Raise."""
        raise ZeroDivisionError

    def process_failed(self, queue_name: str, batch: Batch[Rows], error: BaseException) -> None:
        """Raise."""
        raise ZeroDivisionError


def test_the_observer_hears_of_each_batch(bench: Bench) -> None:
    """Rows, padded rows, waiting time and reason are known when a batch is formed."""
    queue = bench.queue(
        "seen", max_batch_rows=8, batch_timeout_seconds=TIMEOUT_SECONDS, allowed_batch_rows=(2, 4, 8)
    )
    queue.schedule(Rows("a", 2))
    bench.settle()
    bench.advance(0.125)
    queue.schedule(Rows("b", 1))
    bench.settle()
    bench.advance(0.125)
    queue.schedule(Rows("c", 8))
    bench.settle()
    queue.schedule(Rows("d", 1))
    queue.close()

    assert [
        (name, batch.rows, batch.padded_rows, batch.waited_seconds, batch.close_reason)
        for name, batch in bench.observer.formed
    ] == [
        ("seen", 3, 4, 0.25, CloseReason.TIMEOUT),
        ("seen", 8, 8, 0.0, CloseReason.FULL),
        ("seen", 1, 2, 0.0, CloseReason.DRAIN),
    ]


def test_a_callback_that_raises_is_reported_and_the_scheduler_goes_on(bench: Bench) -> None:
    """The observer gets queue, batch and error; later batches of any queue are processed."""

    def process(batch: Batch[Rows]) -> None:
        raise ZeroDivisionError(batch.tasks[0].name)

    broken = bench.scheduler.add_queue("broken", QueueOptions(), process)
    fine = bench.queue("fine")
    for number in range(2 * bench.threads + 1):
        broken.schedule(Rows(f"t{number}", 1))
        bench.settle()
    fine.schedule(Rows("a", 1))
    bench.settle()

    assert len(bench.observer.failed) == 2 * bench.threads + 1
    name, batch, error = bench.observer.failed[0]
    assert (name, batch.tasks, repr(error)) == ("broken", [Rows("t0", 1)], "ZeroDivisionError('t0')")
    assert bench.contents() == [[("a", 1)]]
    assert broken.statistics().running_batches == 0


def test_an_observer_that_raises_strands_no_task(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """A broken observer is logged; the batch of which it heard is processed all the same."""
    bench.scheduler._observer = BrokenObserver()
    queue = bench.queue()
    for name in "ab":
        queue.schedule(Rows(name, 1))
        bench.settle()

    assert bench.contents() == [[("a", 1)], [("b", 1)]]
    assert "observer" in caplog.text


def test_the_default_observer_ignores_everything() -> None:
    """Nobody has to listen."""
    batch: Batch[Rows] = Batch()
    silent = SilentObserver()
    silent.batch_formed("q", batch)
    silent.process_failed("q", batch, ZeroDivisionError())

    assert batch.tasks == []
