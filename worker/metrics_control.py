"""The metrics of the control topic: how far it has been followed, and what came of its records."""

from worker import metrics_list as names
from worker.metrics_making import MadeMetrics


class ControlMetrics:
    """A `worker.control_loop.ControlObserver`; for the control thread."""

    def __init__(self, make: MadeMetrics) -> None:
        self._offset = make.gauge(names.CONTROL_OFFSET)
        self._records = make.counter(names.CONTROL_RECORDS)
        self._offset.set(-1)

    def control_applied(self, offset: int, *, refused: bool = False) -> None:
        """Count a control record, and say how far the control topic has been followed."""
        self._offset.set(offset)
        self._records.labels("refused" if refused else "applied").inc()
