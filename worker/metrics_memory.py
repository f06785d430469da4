"""The metrics of the memory that is set aside for versions."""

from lifecycle.resource_tracker import ResourceTracker
from worker import metrics_list as names
from worker.metrics_making import MadeMetrics


class MemoryMetrics:
    """What a tracker knows, copied into the metrics; for one background thread."""

    def __init__(self, make: MadeMetrics) -> None:
        self._limit = make.gauge(names.MODEL_MEMORY_LIMIT)
        self._reserved = make.gauge(names.MODEL_MEMORY_RESERVED)

    def tell(self, tracker: ResourceTracker) -> None:
        """Say it as it is now; of a device without a limit, only what is set aside."""
        used = tracker.used()
        for device in tracker.devices():
            self._reserved.labels(str(device)).set(used.of(device))
        for device, limit in tracker.limits().items():
            self._limit.labels(str(device)).set(limit)
