"""Metrics as `worker.metrics_list` describes them, on one registry."""

from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge

from worker.metrics_counter import BlockCounter
from worker.metrics_histogram import BlockHistogram
from worker.metrics_kinds import Metric

M = TypeVar("M", BlockCounter, BlockHistogram, Counter, Gauge)


class MadeMetrics:
    """Makes them, and knows which have labels for the model and its version."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._by_model: list[tuple[Metric, BlockCounter | BlockHistogram | Counter | Gauge]] = []

    def counter(self, metric: Metric) -> Counter:
        """One that is counted up now and then."""
        return self._kept(
            metric, Counter(metric.name, metric.meaning, metric.labels, registry=self._registry)
        )

    def block_counter(self, metric: Metric) -> BlockCounter:
        """One that is counted up for each block."""
        return self._kept(metric, BlockCounter(metric.name, metric.meaning, metric.labels, self._registry))

    def gauge(self, metric: Metric) -> Gauge:
        """One that is set."""
        return self._kept(metric, Gauge(metric.name, metric.meaning, metric.labels, registry=self._registry))

    def histogram(self, metric: Metric) -> BlockHistogram:
        """One that counts values, many at a time."""
        made = BlockHistogram(metric.name, metric.meaning, metric.labels, metric.bounds, self._registry)
        return self._kept(metric, made)

    def forget(self, model: str, version: str) -> None:
        """Remove every series of a version, or of a model if that is empty."""
        labels = {"model": model, "version": version} if version else {"model": model}
        for metric, made in self._by_model:
            if labels.keys() <= set(metric.labels):
                made.remove_by_labels(labels)

    def _kept(self, metric: Metric, made: M) -> M:
        if "model" in metric.labels:
            self._by_model.append((metric, made))
        return made
