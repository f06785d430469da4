"""The gauges of what waits in batch queues, read when somebody asks."""

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from batching.options import QueueOptions
from batching.shared_scheduler import SharedScheduler
from tests.fakes.clock import FakeClock
from worker.metrics import Metrics
from worker.queue_depths import Depth, QueueName, depths

if TYPE_CHECKING:
    from batching.batch_queue import BatchQueue

QUEUE = QueueName("m", "1", "serving_default")


class Rows:
    """A task that cannot be split."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def split(self, rows: int) -> None:
        """Never."""


class Bench:
    """Metrics that watch a scheduler without threads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry)
        self.clock = FakeClock()
        self.scheduler = SharedScheduler(0, clock=self.clock)
        self.metrics.queues.watch(lambda: depths(self.scheduler.statistics()))

    def queue(self, name: str, *rows: int) -> None:
        """A queue in which tasks of so many rows wait."""
        queue: BatchQueue[Rows] = self.scheduler.add_queue(name, QueueOptions(8, 10.0, 4), lambda _: None)
        for each in rows:
            queue.schedule(Rows(each))

    def shown(self, name: QueueName = QUEUE) -> tuple[float | None, ...]:
        """Rows, tasks and the age of the oldest, as a scrape has them."""
        metrics = ("rows", "tasks", "oldest_seconds")
        return tuple(
            self.registry.get_sample_value(f"headrace_queue_{metric}", name._asdict()) for metric in metrics
        )


def test_the_name_of_a_queue_leads_to_its_labels() -> None:
    """A signature may have colons and slashes, as names in a SavedModel may."""
    assert QueueName.of("m/1:serving_default") == QUEUE
    assert QueueName.of("m/12:a:b/c") == ("m", "12", "a:b/c")


def test_queues_of_a_signature_are_summed_and_the_oldest_task_counts() -> None:
    """They differ in layout, outputs or options only; and what is shown is never older than the question."""
    bench = Bench()
    bench.queue("m/1:serving_default", 3)
    bench.clock.advance(2.0)
    bench.queue("m/1:serving_default", 1, 2)
    bench.queue("m/2:serving_default")
    bench.clock.advance(0.5)

    assert bench.shown() == (6, 3, 2.5)
    assert bench.shown(QueueName("m", "2", "serving_default")) == (0, 0, 0)
    bench.clock.advance(1.0)
    assert bench.shown() == (6, 3, 3.5)
    bench.scheduler.close(wait=False)
    while bench.scheduler.step():
        pass
    assert bench.shown() == (None, None, None)


def test_rows_that_wait_for_room_in_a_full_queue_are_added() -> None:
    """Also where there is no queue at the moment."""
    bench = Bench()
    bench.queue("m/1:serving_default", 3)
    other = QueueName("m", "1", "other")
    bench.metrics.queues.waiting_for_room({QUEUE: 7, other: 5})

    assert bench.shown() == (10, 1, 0)
    assert bench.metrics.queues.waiting()[other] == Depth(rows=5)
    bench.metrics.queues.waiting_for_room({})
    assert bench.shown() == (3, 1, 0)


def test_empty_queues_of_a_version_that_is_gone_are_not_shown_until_it_is_back() -> None:
    """Queues are kept for their next batch; those in which something waits are shown in any case."""
    bench = Bench()
    for name in ("m/1:serving_default", "m/2:serving_default", "other/1:serving_default"):
        bench.queue(name)
    second, other = (QueueName(*each, "serving_default") for each in (("m", "2"), ("other", "1")))
    bench.metrics.forget("m", "1")
    assert (bench.shown(), bench.shown(second)) == ((None, None, None), (0, 0, 0))

    bench.metrics.model_state("m", 1, "LOADING")
    assert bench.shown() == (0, 0, 0)
    bench.metrics.forget("m")
    assert (bench.shown(), bench.shown(second), bench.shown(other)) == (
        (None, None, None),
        (None, None, None),
        (0, 0, 0),
    )
    bench.metrics.queues.waiting_for_room({QUEUE: 1})
    assert bench.shown() == (1, 0, 0)


def test_batches_are_counted_anew_after_a_version_was_forgotten() -> None:
    """The counts of its other versions stay."""
    bench = Bench()
    second = QueueName("m", "2", "serving_default")
    for name in (QUEUE, second):
        bench.metrics.queues.batch_formed(name, 6, 8, 0.5, "timeout")
    bench.metrics.forget("m", "1")
    assert bench.registry.get_sample_value("headrace_batch_rows_sum", QUEUE._asdict()) is None

    bench.metrics.queues.batch_formed(QUEUE, 2, 2, 0.5, "full")

    sums = [
        bench.registry.get_sample_value("headrace_batch_rows_sum", name._asdict()) for name in (QUEUE, second)
    ]
    assert sums == [2, 6]
    closed = {**QUEUE._asdict(), "reason": "timeout"}
    assert bench.registry.get_sample_value("headrace_batches_closed_total", closed) is None
