"""The metrics of the batch queues: what each batch says when it leaves, and what waits when somebody looks.

Counts are kept for each model, version and signature, once a batch. What waits is read off the scheduler whenever
Prometheus asks: a snapshot, which costs nothing in between and is never older than the question.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector, CollectorRegistry

from schemas.queue_report import QueueReport
from worker import metrics_list as names
from worker.metrics_chosen_list import BATCHES_AT_A_TIME
from worker.metrics_kinds import Metric
from worker.metrics_making import MadeMetrics
from worker.metrics_runs import RunMetrics
from worker.queue_depths import NOTHING, Depth, QueueName

if TYPE_CHECKING:
    from worker.metrics_counter import CounterChild
    from worker.metrics_histogram import HistogramChild


class QueueMetrics:
    """Counts, and shows what waits; thread-safe. *runs* counts what becomes of batches."""

    def __init__(self, make: MadeMetrics, registry: CollectorRegistry, runs: RunMetrics) -> None:
        self._rows = make.histogram(names.BATCH_ROWS)
        self._padding = make.block_counter(names.BATCH_PADDED_ROWS)
        self._wait = make.histogram(names.BATCH_QUEUE_SECONDS)
        self._run = runs.seconds
        self._closed = make.block_counter(names.BATCHES_CLOSED)
        self._failures = make.counter(names.BATCH_FAILURES)
        self._limit = make.gauge(BATCHES_AT_A_TIME)
        self._of_batches: dict[QueueName, tuple[HistogramChild, HistogramChild, CounterChild]] = {}
        self._depths: Callable[[], Mapping[QueueName, Depth]] = dict
        self._outside: Mapping[QueueName, int] = {}  # rows that wait for room in a queue; replaced whole
        self._gone: set[tuple[str, str]] = set()  # versions whose empty queues are not shown
        registry.register(_Waiting(self))

    # Batches

    def batch_formed(
        self, queue: QueueName, rows: int, padded_rows: int, waited_seconds: float, reason: str
    ) -> None:
        """Count a batch that leaves its queue; *padded_rows* is the size that it is run at."""
        children = self._of_batches.get(queue)
        if children is None:
            children = self._rows.labels(*queue), self._wait.labels(*queue), self._padding.labels(*queue)
            self._of_batches[queue] = children
        of_rows, of_waits, of_padding = children
        of_rows.observe(rows)
        of_waits.observe(waited_seconds)
        if padded_rows > rows:
            of_padding.add(padded_rows - rows)
        self._closed.labels(*queue, reason).add(1)

    def batch_failed(self, model: str, version: str) -> None:
        """Count a batch that failed as a whole."""
        self._failures.labels(model, version).inc()

    # What waits

    def watch(self, depths: Callable[[], Mapping[QueueName, Depth]]) -> None:
        """Ask this for what waits in queues whenever metrics are read; any thread may call it."""
        self._depths = depths

    def watch_limit(self, limit: Callable[[], int]) -> None:
        """Ask this for how many batches may run at a time whenever metrics are read; any thread may call it."""
        self._limit.set_function(limit)

    def waiting_for_room(self, rows: Mapping[QueueName, int]) -> None:
        """Say how many rows wait because their queue is full; the mapping must not be changed afterwards."""
        self._outside = rows

    def waiting(self) -> dict[QueueName, Depth]:
        """What waits now; an empty queue of a version that is gone is not among them."""
        found = dict(self._depths())
        for name, rows in self._outside.items():
            inside = found.get(name, NOTHING)
            found[name] = Depth(inside.tasks, inside.rows + rows, inside.oldest_seconds)
        gone = self._gone
        return {
            name: depth
            for name, depth in found.items()
            if depth.rows or (name.model, name.version) not in gone
        }

    # For reports

    def counts(self) -> dict[QueueName, QueueReport]:
        """What waits for every signature, and what it has counted since its series began; a look at each child.

        Batch threads count on meanwhile, so that one of its numbers may be a batch ahead of another.
        """
        rows, waits, runs = self._rows.totals(), self._wait.totals(), self._run.totals()
        padding = self._padding.values()
        waiting = self.waiting()
        found: dict[QueueName, QueueReport] = {}
        for labels in {*rows, *runs, *waiting}:
            name = QueueName(*labels)
            now = waiting.get(name, NOTHING)
            batches, of_rows = rows.get(labels, (0, 0.0))
            _, wait_seconds = waits.get(labels, (0, 0.0))
            of_runs, run_seconds = runs.get(labels, (0, 0.0))
            found[name] = QueueReport(
                name.signature,
                waiting_tasks=now.tasks,
                waiting_rows=now.rows,
                oldest_seconds=now.oldest_seconds,
                batches=batches,
                rows=round(of_rows),
                padding_rows=padding.get(labels, 0),
                wait_seconds=wait_seconds,
                runs=of_runs,
                run_seconds=run_seconds,
            )
        return found

    # Versions come and go

    def back(self, model: str, version: str) -> None:
        """Show a version's queues again: something has happened to it."""
        self._gone.discard((model, version))

    def forget(self, model: str, version: str = "") -> None:
        """Show no empty queue of a version, or of any of a model's; call it after the series are removed."""
        for name in list(self._of_batches):
            if name.model == model and version in {"", name.version}:
                self._of_batches.pop(name, None)
        there = {(name.model, name.version) for name in self._depths()}
        self._gone.update(each for each in there if each[0] == model and version in {"", each[1]})
        self._gone.intersection_update(there)


class _Waiting(Collector):
    """The gauges of what waits, made whenever they are read."""

    def __init__(self, metrics: QueueMetrics) -> None:
        self._metrics = metrics

    def describe(self) -> Iterable[Family]:
        """The families without values, for the registry's check of names."""
        return [
            _family(metric) for metric in (names.QUEUE_ROWS, names.QUEUE_TASKS, names.QUEUE_OLDEST_SECONDS)
        ]

    def collect(self) -> Iterable[Family]:
        """The families with the values of now."""
        rows, tasks, oldest = (
            _family(metric) for metric in (names.QUEUE_ROWS, names.QUEUE_TASKS, names.QUEUE_OLDEST_SECONDS)
        )
        for name, depth in self._metrics.waiting().items():
            rows.add_metric(name, depth.rows)
            tasks.add_metric(name, depth.tasks)
            oldest.add_metric(name, depth.oldest_seconds)
        return [rows, tasks, oldest]


def _family(metric: Metric) -> GaugeMetricFamily:
    return GaugeMetricFamily(metric.name, metric.meaning, labels=metric.labels)
