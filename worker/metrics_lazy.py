"""The metrics of lazy models: how many are loaded, and how often that changes."""

from worker import metrics_list as names
from worker.metrics_making import MadeMetrics


class LazyMetrics:
    """A `worker.lazy_models.LazyObserver`; for the control thread."""

    def __init__(self, make: MadeMetrics) -> None:
        self._awake = make.gauge(names.LAZY_MODELS_AWAKE)
        self._woken = make.counter(names.LAZY_WAKES)
        self._unloads = make.counter(names.LAZY_UNLOADS)

    def awake(self, models: int) -> None:
        """Say how many are loaded, or on their way."""
        self._awake.set(models)

    def woken(self) -> None:
        """Count one that is loaded because it was asked for."""
        self._woken.inc()

    def put_to_sleep(self, reason: str) -> None:
        """Count one that is unloaded: for `memory`, for its `number`, or because it was `idle`."""
        self._unloads.labels(reason).inc()
