"""The metrics of latency objectives: what is chosen for a signature's batches, and whether that keeps them."""

from batching.latency_control import LatencyControl, Verdict
from worker import metrics_objectives_list as names
from worker.metrics_making import MadeMetrics
from worker.queue_depths import QueueName


class ObjectiveMetrics:
    """A `worker.queue_control.ControlObserver`; for the poll thread."""

    def __init__(self, make: MadeMetrics) -> None:
        self._objective = make.gauge(names.OBJECTIVE_SECONDS)
        self._p99 = make.gauge(names.OBJECTIVE_P99_SECONDS)
        self._kept = make.gauge(names.OBJECTIVE_KEPT)
        self._max_rows = make.gauge(names.BATCHING_MAX_ROWS)
        self._timeout = make.gauge(names.BATCHING_TIMEOUT_SECONDS)

    def chosen(self, queue: QueueName, control: LatencyControl) -> None:
        """Say what is chosen; and whether the objective is kept, where enough has been seen to say it."""
        self._objective.labels(*queue).set(control.bounds.p99_seconds)
        self._max_rows.labels(*queue).set(control.choice.rows)
        self._timeout.labels(*queue).set(control.choice.timeout_seconds)
        if control.verdict is not Verdict.UNKNOWN:
            self._p99.labels(*queue).set(control.p99_seconds)
            self._kept.labels(*queue).set(control.verdict is Verdict.KEPT)

    def forgotten(self, queue: QueueName) -> None:
        """Show nothing of it."""
        for gauge in (self._objective, self._p99, self._kept, self._max_rows, self._timeout):
            gauge.remove_by_labels(queue._asdict())
