"""What a worker counts, as one object with a method for each thing that can happen.

The methods take counts and arrays, one call a block or a batch: nothing here is called once a record. Which
metrics there are is said in `worker.metrics_list`.
"""

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
from prometheus_client import CollectorRegistry, Info, ProcessCollector, disable_created_metrics

from worker import metrics_list as names
from worker.metrics_control import ControlMetrics
from worker.metrics_counter import shown
from worker.metrics_lazy import LazyMetrics
from worker.metrics_making import MadeMetrics
from worker.metrics_memory import MemoryMetrics
from worker.metrics_objectives import ObjectiveMetrics
from worker.metrics_queues import QueueMetrics
from worker.metrics_runs import RunMetrics
from worker.metrics_shadow import ShadowMetrics

STATES = ("START", "LOADING", "AVAILABLE", "UNLOADING", "END")
"""The public states of a version, as `lifecycle.servable_state` names them."""


def new_registry() -> CollectorRegistry:
    """A registry that also shows the process: memory, CPU time, open files.

    Turns off the client library's `…_created` series for the whole process: they double what is stored and
    say nothing that a counter's reset does not say.
    """
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry


class Metrics:
    """Every metric of a worker on one registry.

    Thread-safe: the poll thread, batch threads and the control thread call it. What a requester writes is
    never a label: callers give an empty model, and an empty signature, for one that does not exist.
    `worker.metrics_observers` adapts it to the other packages.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        make = self._made = MadeMetrics(registry)
        self._consumed = make.block_counter(names.RECORDS_CONSUMED)
        self.requests = make.block_counter(names.REQUESTS)
        self._latency = make.histogram(names.REQUEST_LATENCY)
        self._dead_letters = make.counter(names.DEAD_LETTERS)
        self._left = make.counter(names.REQUESTS_LEFT)
        self._released = make.counter(names.REQUESTS_RELEASED)
        self._refused = make.counter(names.REPLIES_REFUSED)
        self._reproduced = make.counter(names.REPLIES_REPRODUCED)
        self.runs = RunMetrics(make)
        self.queues = QueueMetrics(make, registry, self.runs)
        self.objectives = ObjectiveMetrics(make)
        self._stuck = make.gauge(names.MODEL_STUCK)
        self._in_flight_rows = make.gauge(names.IN_FLIGHT_ROWS)
        self._in_flight_bytes = make.gauge(names.IN_FLIGHT_BYTES)
        self._budget_rows = make.gauge(names.BUDGET_ROWS)
        self._budget_bytes = make.gauge(names.BUDGET_BYTES)
        self._held_rows = make.gauge(names.HELD_ROWS)
        self._claim_seconds = make.histogram(names.CLAIM_SECONDS)
        self._claim_bytes = make.counter(names.CLAIM_BYTES)
        self._claim_failures = make.counter(names.CLAIM_FAILURES)
        self._claims_removed = make.counter(names.CLAIMS_REMOVED)
        self._failing = make.gauge(names.FAILING_BINDINGS)
        self._lag = make.gauge(names.CONSUMER_LAG)
        self._assigned = make.gauge(names.ASSIGNED_PARTITIONS)
        self._paused = make.gauge(names.PAUSED_PARTITIONS)
        self._stopped = make.gauge(names.STOPPED_PARTITIONS)
        self._unmoved = make.gauge(names.UNMOVED_PARTITION)
        self._rebalances = make.counter(names.REBALANCES)
        self._commits = make.counter(names.COMMITS)
        self._kafka_problems = make.counter(names.KAFKA_PROBLEMS)
        self._out_of_range = make.counter(names.OFFSETS_OUT_OF_RANGE)
        self._poll_age = make.gauge(names.POLL_AGE)
        self._model_state = make.gauge(names.MODEL_STATE)
        self._model_loads = make.counter(names.MODEL_LOADS)
        self._load_seconds = make.histogram(names.MODEL_LOAD_SECONDS)
        self.memory = MemoryMetrics(make)
        self.lazy = LazyMetrics(make)
        self.control = ControlMetrics(make)
        self.shadow = ShadowMetrics(make)
        self._info = Info(names.INFO.name.removesuffix("_info"), names.INFO.meaning, registry=registry)

    # Who this is

    def describe(self, release: str, worker: str, group: str) -> None:
        """Say once which worker this is."""
        self._info.info({"release": release, "worker": worker, "group": group})

    # Requests and replies

    def records_consumed(self, topic: str, count: int) -> None:
        """Count records that a poll brought from one request topic."""
        self._consumed.labels(topic).add(count)

    def requests_answered(
        self, model: str, version: int | None, signature: str, code: str, count: int = 1
    ) -> None:
        """Count requests whose replies are acknowledged.

        *signature* is one that the version has, or empty; *code* is the name of the reply's code.
        """
        self.requests.labels(model, version, signature, code).add(count)

    def latencies_observed(
        self, model: str, version: int | None, seconds: npt.NDArray[np.float64], requests: int, each: int = 1
    ) -> None:
        """Count the times from record to reply; a record from the future counts as 0.

        Each stands for *each* requests, the last for what is left of all these *requests*.
        """
        self._latency.labels(model, shown(version)).observe_many(seconds, requests, each)

    def dead_lettered(self, topic: str, reason: str, count: int = 1) -> None:
        """Count dead letters of a request topic; *reason* is the name of an error class."""
        self._dead_letters.labels(topic, reason).inc(count)

    def requests_left(self, topic: str, count: int) -> None:
        """Count requests that another worker answers, because their partition has gone there."""
        self._left.labels(topic).inc(count)

    def requests_released(self, count: int) -> None:
        """Count requests that were given back to their queue."""
        self._released.inc(count)

    def replies_refused(self, reason: str, count: int = 1) -> None:
        """Count replies that the client or the broker did not take at first."""
        self._refused.labels(reason).inc(count)

    def replies_reproduced(self, count: int = 1) -> None:
        """Count replies that were produced again one by one."""
        self._reproduced.inc(count)

    # Batches

    def stuck(self, model: str, seconds: float) -> None:
        """Say for how long a model has been with one batch; 0: not for long."""
        self._stuck.labels(model).set(seconds)

    # What is held back

    def budget(self, binding: str, rows: int, size_bytes: int) -> None:
        """Say once what a binding may hold."""
        self._budget_rows.labels(binding).set(rows)
        self._budget_bytes.labels(binding).set(size_bytes)

    def in_flight(self, binding: str, rows: int, size_bytes: int) -> None:
        """Say what a binding holds."""
        self._in_flight_rows.labels(binding).set(rows)
        self._in_flight_bytes.labels(binding).set(size_bytes)

    def held(self, reason: str, rows: int) -> None:
        """Say how many rows wait for `loading`, `topic` or `claim`."""
        self._held_rows.labels(reason).set(rows)

    def claim_done(self, action: str, seconds: float, size_bytes: int) -> None:
        """Count a `fetch` or `write` of claimed data."""
        self._claim_seconds.labels(action).observe(seconds)
        self._claim_bytes.labels(action).inc(size_bytes)

    def claim_failed(self, action: str, code: str) -> None:
        """Count one that failed; *code* is the name of the code that answers it."""
        self._claim_failures.labels(action, code).inc()

    def claims_removed(self, files: int) -> None:
        """Count files that were removed because they are too old."""
        self._claims_removed.inc(files)

    def failing(self, binding: str, stopped: bool) -> None:  # noqa: FBT001 - a callback
        """Say whether a binding is not read, because its requests fail."""
        self._failing.labels(binding).set(stopped)

    # The consumer

    def lag(self, topic: str, partition: int, records: int) -> None:
        """Say how far an assigned partition is behind."""
        self._lag.labels(topic, str(partition)).set(records)

    def partitions(self, assigned: int, paused: int, stopped: int) -> None:
        """Say how many partitions are assigned, and of those how many are paused, or stand still for good."""
        self._assigned.set(assigned)
        self._paused.set(paused)
        self._stopped.set(stopped)

    def unmoved(self, topic: str, seconds: float) -> None:
        """Say for how long a partition of a topic has not moved; 0: each does, or has nothing to do."""
        self._unmoved.labels(topic).set(seconds)

    def rebalanced(self, event: str, partitions: Iterable[tuple[str, int]]) -> None:
        """Count an `assigned`, `revoked` or `lost`; the lag of what is gone is forgotten."""
        self._rebalances.labels(event).inc()
        if event != "assigned":
            for topic, partition in partitions:
                self._lag.remove_by_labels({"topic": topic, "partition": str(partition)})

    def committed(self, *, ok: bool) -> None:
        """Count a commit."""
        self._commits.labels("ok" if ok else "failed").inc()

    def kafka_problem(self, client: str, kind: str) -> None:
        """Count what a Kafka client reports; *kind* is the name of an error class."""
        self._kafka_problems.labels(client, kind).inc()

    def offset_out_of_range(self, topic: str) -> None:
        """Count a partition that has lost the offset to read next."""
        self._out_of_range.labels(topic).inc()

    def watch_poll_age(self, age_seconds: Callable[[], float]) -> None:
        """Ask this for the age of the last poll whenever metrics are read."""
        self._poll_age.set_function(age_seconds)

    # Models

    def model_state(self, model: str, version: int, state: str, *, failed: bool = False) -> None:
        """Say the state of a version. One that has ended well is forgotten, one that failed stays."""
        self.queues.back(model, str(version))
        if state == "END" and not failed:
            self._model_state.remove_by_labels({"model": model, "version": str(version)})
            return
        for each in STATES:
            self._model_state.labels(model, str(version), each).set(each == state)

    def model_loaded(self, model: str, seconds: float | None) -> None:
        """Count a load that has ended: with its time, or None when it failed."""
        self._model_loads.labels(model, "failed" if seconds is None else "available").inc()
        if seconds is not None:
            self._load_seconds.labels(model).observe(seconds)

    def versions(self) -> set[tuple[str, str]]:
        """Every model of which anything is counted, with each of its versions, and with an empty one for no version.

        An empty name stands for models that nobody knows.
        """
        counted = (self.requests, self._model_loads, self._model_state)
        return {
            (sample.labels["model"], sample.labels.get("version", ""))
            for metric in counted
            for family in metric.collect()
            for sample in family.samples
        }

    def forget(self, model: str, version: str = "") -> None:
        """Show nothing more of a version, or of a model if none is named, until something happens to it again."""
        self._made.forget(model, version)
        self.queues.forget(model, version)
