"""What the scheduler and the manager report, as metrics."""

from prometheus_client import CollectorRegistry

from batching.batch import Batch, CloseReason
from batching.observer import BatchObserver
from lifecycle.errors import LifecycleError
from lifecycle.servable_id import ServableId
from lifecycle.servable_state import ServableEvent, ServableState
from worker.metrics import Metrics
from worker.metrics_observers import BatchMetrics, ModelMetrics


class Rows:
    """A task of three rows that cannot be split."""

    rows = 3

    def split(self, rows: int) -> None:
        """Never."""


def observer_on(registry: CollectorRegistry) -> BatchObserver:
    """What the scheduler is given."""
    return BatchMetrics(Metrics(registry).queues)


def test_a_batch_is_counted_under_the_signature_of_its_queue() -> None:
    """The queue's name leads to the model, the version and the signature."""
    registry = CollectorRegistry()
    observer = observer_on(registry)
    batch = Batch[Rows]()
    batch.add(Rows(), now=0.0)
    batch.close(CloseReason.IDLE, padded_rows=4)
    batch.waited_seconds = 0.25

    observer.batch_formed("digits/3:serving_default", batch)
    observer.process_failed("digits/3:serving_default", batch, ValueError())

    labels = {"model": "digits", "version": "3"}
    queue = {**labels, "signature": "serving_default"}
    assert registry.get_sample_value("headrace_batch_queue_seconds_sum", queue) == 0.25
    assert registry.get_sample_value("headrace_batches_closed_total", {**queue, "reason": "idle"}) == 1
    assert registry.get_sample_value("headrace_batch_padded_rows_total", queue) == 1
    assert registry.get_sample_value("headrace_batch_failures_total", labels) == 1


def test_a_load_is_timed_from_its_first_try() -> None:
    """Retries count into the time, as an operator waited for all of them."""
    registry = CollectorRegistry()
    hear = ModelMetrics(Metrics(registry))
    for state, time in [
        (ServableState.START, 9.0),
        (ServableState.LOADING, 10.0),
        (ServableState.LOADING, 14.0),
        (ServableState.AVAILABLE, 16.0),
    ]:
        hear(ServableEvent(ServableId("digits", 1), state, None, time))

    assert registry.get_sample_value("headrace_model_load_seconds_sum", {"model": "digits"}) == 6.0
    labels = {"model": "digits", "result": "available"}
    assert registry.get_sample_value("headrace_model_loads_total", labels) == 1


def test_a_failed_load_is_counted_and_stays_visible() -> None:
    """An error at the end of loading is a failed load; at the end of serving it is not."""
    registry = CollectorRegistry()
    hear = ModelMetrics(Metrics(registry))
    failed = LifecycleError("no such directory")
    hear(ServableEvent(ServableId("digits", 1), ServableState.LOADING, None, 1.0))
    hear(ServableEvent(ServableId("digits", 1), ServableState.END, failed, 2.0))
    hear(ServableEvent(ServableId("digits", 1), ServableState.END, failed, 3.0))

    labels = {"model": "digits", "result": "failed"}
    assert registry.get_sample_value("headrace_model_loads_total", labels) == 1
    state = {"model": "digits", "version": "1", "state": "END"}
    assert registry.get_sample_value("headrace_model_state", state) == 1
