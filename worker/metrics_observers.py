"""Turns what the batch scheduler and the manager report into metrics: those packages know no Prometheus."""

import threading
from typing import Any

from batching.batch import Batch
from lifecycle.servable_state import ServableEvent, ServableState
from worker.metrics import Metrics
from worker.metrics_queues import QueueMetrics
from worker.queue_depths import QueueName


class BatchMetrics:
    """A `batching.observer.BatchObserver`: counts each batch of each queue under its signature. Thread-safe."""

    def __init__(self, metrics: QueueMetrics) -> None:
        self._metrics = metrics

    def batch_formed(self, queue_name: str, batch: Batch[Any]) -> None:
        """Count a batch that leaves its queue."""
        name, reason = QueueName.of(queue_name), batch.close_reason
        self._metrics.batch_formed(
            name, batch.rows, batch.padded_rows, batch.waited_seconds, reason.value if reason else "unknown"
        )

    def process_failed(
        self,
        queue_name: str,
        batch: Batch[Any],  # noqa: ARG002 - the signature is the observer's
        error: BaseException,  # noqa: ARG002 - likewise
    ) -> None:
        """Count a batch whose processing raised."""
        name = QueueName.of(queue_name)
        self._metrics.batch_failed(name.model, name.version)


class ModelMetrics:
    """A subscriber of `lifecycle.event_bus.EventBus`: states of versions and how long they took to load.

    Thread-safe; does not block. Times are the events' own.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._lock = threading.Lock()  # guards _loading_since
        self._loading_since: dict[tuple[str, int], float] = {}

    def __call__(self, event: ServableEvent) -> None:
        """Count one change of state."""
        name, version, failed = event.id.name, event.id.version, event.error is not None
        self._metrics.model_state(name, version, event.state.name, failed=failed)
        with self._lock:
            if event.state is ServableState.LOADING:
                self._loading_since.setdefault((name, version), event.time)
                return
            since = self._loading_since.pop((name, version), None)
        if since is None:
            return
        if event.available:
            self._metrics.model_loaded(name, max(0.0, event.time - since))
        elif failed:
            self._metrics.model_loaded(name, None)
