"""The metrics of latency objectives: what is chosen for a signature's batches, and whether that keeps them."""

from collections.abc import Mapping
from dataclasses import dataclass

from batching.latency_control import LatencyControl, Verdict
from worker import metrics_chosen_list as names
from worker.metrics_making import MadeMetrics
from worker.queue_depths import QueueName


@dataclass(frozen=True, slots=True)
class Steering:
    """What is chosen for a signature, and what it has led to.

    Attributes:
        objective_seconds: the p99 that is to be kept.
        p99_seconds: what was measured of late; 0 where too little was seen.
        max_batch_rows: rows of a full batch.
        batch_timeout_seconds: how long a batch waits for more.
    """

    objective_seconds: float = 0.0
    p99_seconds: float = 0.0
    max_batch_rows: int = 0
    batch_timeout_seconds: float = 0.0


class ObjectiveMetrics:
    """A `worker.queue_control.ControlObserver`: for the poll thread, but for `now`."""

    def __init__(self, make: MadeMetrics) -> None:
        self._now: Mapping[QueueName, Steering] = {}  # replaced whole
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
        steering = Steering(
            control.bounds.p99_seconds,
            control.p99_seconds,
            control.choice.rows,
            control.choice.timeout_seconds,
        )
        self._now = {**self._now, queue: steering}
        if control.verdict is not Verdict.UNKNOWN:
            self._p99.labels(*queue).set(control.p99_seconds)
            self._kept.labels(*queue).set(control.verdict is Verdict.KEPT)

    def forgotten(self, queue: QueueName) -> None:
        """Show nothing of it."""
        self._now = {name: each for name, each in self._now.items() if name != queue}
        for gauge in (self._objective, self._p99, self._kept, self._max_rows, self._timeout):
            gauge.remove_by_labels(queue._asdict())

    def now(self) -> Mapping[QueueName, Steering]:
        """What is chosen at this moment; any thread. The mapping never changes."""
        return self._now
