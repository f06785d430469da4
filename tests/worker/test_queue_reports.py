"""What the batch queues have done since it was last said."""

from prometheus_client import CollectorRegistry

from schemas.queue_report import QueueReport
from worker.metrics import Metrics
from worker.queue_depths import Depth, QueueName
from worker.queue_reports import QueueReports

QUEUE = QueueName("m", "1", "serving_default")
OTHER = QueueName("m", "1", "other")


def test_a_report_is_the_difference_to_the_one_before() -> None:
    """What waits is that of the moment; a queue that never had anything is not told of."""
    every = Metrics(CollectorRegistry())
    metrics, runs = every.queues, every.runs
    waiting = {QUEUE: Depth(2, 40, 0.25), OTHER: Depth()}
    metrics.watch(lambda: waiting)
    reports = QueueReports(metrics.counts)
    metrics.batch_formed(QUEUE, 96, 128, 0.5, "timeout")
    runs.batch_ran("m", 1, "serving_default", 0.125)

    assert reports() == {("m", 1): (QueueReport("serving_default", 2, 40, 0.25, 1, 96, 32, 0.5, 1, 0.125),)}

    waiting[QUEUE] = Depth()
    metrics.batch_formed(QUEUE, 64, 64, 0.25, "full")
    runs.batch_ran("m", 1, "serving_default", 0.5)
    assert reports() == {("m", 1): (QueueReport("serving_default", 0, 0, 0.0, 1, 64, 0, 0.25, 1, 0.5),)}
    idle = {("m", 1): (QueueReport("serving_default"),)}
    assert reports() == idle
    assert reports() == idle


def test_signatures_of_a_version_are_told_together() -> None:
    """In the order of their names; versions apart."""
    metrics = Metrics(CollectorRegistry()).queues
    for name in (QUEUE, OTHER, QueueName("m", "2", "other")):
        metrics.batch_formed(name, 1, 1, 0.0, "idle")

    told = QueueReports(metrics.counts)()

    assert {key: [each.signature for each in said] for key, said in told.items()} == {
        ("m", 1): ["other", "serving_default"],
        ("m", 2): ["other"],
    }


def test_counts_that_began_anew_are_told_from_their_beginning() -> None:
    """As those of a version that was gone for a while, and is back."""
    everything = Metrics(CollectorRegistry())
    reports = QueueReports(everything.queues.counts)
    for _ in range(3):
        everything.queues.batch_formed(QUEUE, 8, 8, 0.5, "full")
    reports()
    everything.forget("m", "1")
    everything.queues.batch_formed(QUEUE, 5, 5, 0.25, "full")

    assert reports() == {("m", 1): (QueueReport("serving_default", batches=1, rows=5, wait_seconds=0.25),)}
