"""Batches that are closed before their time-out, because a task of them would be late otherwise."""

import pytest

from batching.batch import Batch, CloseReason
from batching.options import QueueOptions
from batching.run_costs import START_SECONDS
from tests.batching.bench import Bench, Rows

TIMEOUT_SECONDS = 64.0
RUN_SECONDS = 0.5  # for each row, by the model of these tests


class Model:
    """A queue whose batches take the clock of a bench further, as long as the model runs."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.started: list[float] = []
        sizes = QueueOptions(
            max_batch_rows=4, batch_timeout_seconds=TIMEOUT_SECONDS, allowed_batch_rows=(1, 2, 4)
        )
        self.queue = bench.scheduler.add_queue("model", sizes, self.run, expired=bench.expire)

    def run(self, batch: Batch[Rows]) -> None:
        """Keep the batch, and take as long as its size does."""
        self.bench.batches.append(batch)
        self.started.append(self.bench.clock())
        self.bench.clock.advance(batch.padded_rows * RUN_SECONDS)

    def learn(self) -> None:
        """Run one batch of each size, by their time-out or because they are full."""
        for rows in (4, 2, 1):
            self.queue.schedule(Rows("known", rows))
            self.bench.settle()
            self.bench.advance(TIMEOUT_SECONDS)
        self.bench.batches.clear()
        self.started.clear()


def test_a_batch_is_closed_in_time_for_its_most_urgent_task(bench: Bench) -> None:
    """It waits as long as it can: until the time left is what a batch of its size takes."""
    model = Model(bench)
    model.learn()
    start = bench.clock()
    bench.schedule(model.queue, Rows("patient", 1))
    bench.schedule(model.queue, Rows("urgent", 1), 8.0)
    bench.settle()
    due = 8.0 - 2 * RUN_SECONDS - START_SECONDS
    bench.advance(due - 0.001)
    assert bench.batches == []

    bench.advance(0.001)

    assert bench.contents() == [[("patient", 1), ("urgent", 1)]]
    assert bench.batches[0].close_reason is CloseReason.DEADLINE
    assert model.started == [pytest.approx(start + due)]
    assert bench.expired == []


def test_a_batch_that_grows_is_closed_earlier(bench: Bench) -> None:
    """A larger batch takes longer, so that there is less time to wait for more."""
    model = Model(bench)
    model.learn()
    bench.schedule(model.queue, Rows("urgent", 1), 8.0)
    bench.settle()
    bench.advance(8.0 - 4 * RUN_SECONDS)
    assert bench.batches == []

    bench.schedule(model.queue, Rows("one more", 1))
    bench.settle()
    assert bench.batches == []
    bench.schedule(model.queue, Rows("and one", 1))
    bench.settle()

    assert bench.row_counts() == [[1, 1, 1]]
    assert bench.batches[0].close_reason is CloseReason.DEADLINE
    assert bench.expired == []


def test_deadlines_beyond_the_time_out_change_nothing(bench: Bench) -> None:
    """The time-out comes first."""
    model = Model(bench)
    model.learn()
    bench.schedule(model.queue, Rows("a", 1), 2 * TIMEOUT_SECONDS)
    bench.settle()
    bench.advance(TIMEOUT_SECONDS - 0.001)
    assert bench.batches == []

    bench.advance(0.001)
    assert [batch.close_reason for batch in bench.batches] == [CloseReason.TIMEOUT]


def test_a_first_batch_with_a_deadline_does_not_wait(bench: Bench) -> None:
    """As nobody knows how long it will take."""
    model = Model(bench)
    bench.schedule(model.queue, Rows("a", 1), TIMEOUT_SECONDS / 2)
    bench.settle()

    assert [batch.close_reason for batch in bench.batches] == [CloseReason.DEADLINE]
    assert model.started == [0.0]


def test_when_the_urgent_task_has_gone_the_batch_waits_on(bench: Bench) -> None:
    """Its time is then that of its most urgent task again, or its time-out."""
    model = Model(bench)
    model.learn()
    with bench.all_threads_busy():
        bench.schedule(model.queue, Rows("urgent", 1), 1.0)
        bench.schedule(model.queue, Rows("patient", 1))
        bench.clock.advance(1.0)
    assert bench.batches == []
    assert [task.name for _, task in bench.expired] == ["urgent"]

    bench.advance(TIMEOUT_SECONDS - 1.0)
    assert bench.contents() == [[("patient", 1)]]
    assert bench.batches[0].close_reason is CloseReason.TIMEOUT


def test_failed_batches_are_no_measure(bench: Bench) -> None:
    """They end before they have done what others have to do."""

    def fail(batch: Batch[Rows]) -> None:
        raise ValueError("no")

    options = QueueOptions(max_batch_rows=4, batch_timeout_seconds=TIMEOUT_SECONDS)
    queue = bench.scheduler.add_queue("bad", options, fail, expired=bench.expire)
    for _ in range(2):
        bench.schedule(queue, Rows("a", 1), 8.0)
        bench.settle()

    assert [batch.close_reason for _, batch in bench.observer.formed] == [CloseReason.DEADLINE] * 2
    assert bench.expired == []
