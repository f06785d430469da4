"""A histogram that takes thousands of values in one call.

The client library's own takes one value a call, a lock and a search each: too dear for a block of 2,048
latencies. This one sorts a whole array into its buckets at once and shows the same thing to Prometheus.
"""

import bisect
import itertools
import operator
import threading
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.utils import floatToGoString

MOST_KEPT = 16_384
"""Values that are kept until they are sorted in, so that small blocks cost no calls of numpy's."""


class HistogramChild:
    """The counts of one combination of labels; thread-safe."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._lock = threading.Lock()  # guards the four below
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._kept: dict[int, list[npt.NDArray[np.float64]]] = {}  # by how many values each stands for
        self._kept_values = 0

    def observe(self, value: float) -> None:
        """Count one value."""
        index = bisect.bisect_left(self._bounds, value)
        with self._lock:
            self._counts[index] += 1
            self._sum += value

    def observe_many(self, values: npt.NDArray[np.float64], count: int, each: int = 1) -> None:
        """Count *count* values; a negative one counts as 0.

        Args:
            values: those that are known, in one dimension; they must not change afterwards.
            count: how many there are.
            each: for how many of these each known one stands; the last stands for what is left, which is fewer or as
                many, and at least one.
        """
        with self._lock:
            left = count - (values.size - 1) * each
            if left == each:
                self._kept.setdefault(each, []).append(values)
            else:
                self._kept.setdefault(each, []).append(values[:-1])
                self._kept.setdefault(left, []).append(values[-1:])
            self._kept_values += values.size
            if self._kept_values >= MOST_KEPT:
                self._sort_in()

    def snapshot(self) -> tuple[list[int], float]:
        """Values up to each bound (the last one without bound), cumulated, and the sum of all."""
        with self._lock:
            self._sort_in()
            counts, total = self._counts.copy(), self._sum
        return list(itertools.accumulate(counts)), total

    def _sort_in(self) -> None:
        """Count what was kept; under the lock."""
        for each, kept in self._kept.items():
            values = np.fmax(np.concatenate(kept), 0.0)
            # A comparison with each bound costs a third of a search for each value.
            up_to = [int(np.count_nonzero(values <= bound)) * each for bound in self._bounds]
            counts = map(operator.sub, [*up_to, values.size * each], [0, *up_to])
            self._counts = list(map(operator.add, self._counts, counts))
            self._sum += float(values.sum()) * each
        self._kept, self._kept_values = {}, 0


class BlockHistogram(Collector):
    """One histogram with labels; thread-safe. Its children live until they are removed."""

    def __init__(
        self,
        name: str,
        meaning: str,
        labels: Sequence[str],
        bounds: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self._name = name
        self._meaning = meaning
        self._labels = tuple(labels)
        self._bounds = [float(bound) for bound in bounds]
        self._titles = [*map(floatToGoString, bounds), "+Inf"]
        self._lock = threading.Lock()  # guards the making of children
        self._children: dict[tuple[str, ...], HistogramChild] = {}
        registry.register(self)

    def labels(self, *values: str) -> HistogramChild:
        """The child for these values of the labels, made when there is none."""
        if len(values) != len(self._labels):
            raise ValueError(f"{self._name} has the labels {self._labels}, got {values}")
        child = self._children.get(values)
        if child is None:
            with self._lock:
                child = self._children.setdefault(values, HistogramChild(self._bounds))
        return child

    def totals(self) -> dict[tuple[str, ...], tuple[int, float]]:
        """How many values there are and their sum, by their labels' values, in the labels' order."""
        with self._lock:
            children = list(self._children.items())
        snapshots = {values: child.snapshot() for values, child in children}
        return {values: (counts[-1], total) for values, (counts, total) in snapshots.items()}

    def remove_by_labels(self, labels: Mapping[str, str]) -> None:
        """Forget the children that have these values of these labels; one that somebody has kept counts unseen."""
        wanted = {self._labels.index(name): value for name, value in labels.items()}
        with self._lock:
            for values in list(self._children):
                if all(values[place] == value for place, value in wanted.items()):
                    del self._children[values]

    def describe(self) -> Iterable[Family]:
        """The family without values, for the registry's check of names."""
        return [HistogramMetricFamily(self._name, self._meaning, labels=self._labels)]

    def collect(self) -> Iterable[Family]:
        """The family with the values of now."""
        family = HistogramMetricFamily(self._name, self._meaning, labels=self._labels)
        with self._lock:
            children = list(self._children.items())
        for values, child in children:
            counts, total = child.snapshot()
            family.add_metric(values, list(zip(self._titles, map(float, counts), strict=True)), total)
        return [family]
