"""A counter for what happens with each block and each batch.

The client library's own checks what it is given at each call and looks its children up under a lock: a twentieth of
what a block of 64 requests costs. This one shows the same thing to Prometheus.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector, CollectorRegistry


class CounterChild:
    """The count of one combination of labels; thread-safe."""

    __slots__ = ("_lock", "value")

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards value
        self.value = 0

    def add(self, count: int) -> None:
        """Count so many more, at least 0."""
        with self._lock:
            self.value += count


class BlockCounter(Collector):
    """One counter with labels; thread-safe. Its children live until they are removed.

    A label's value may be a number; None is shown as an empty one.
    """

    def __init__(self, name: str, meaning: str, labels: Sequence[str], registry: CollectorRegistry) -> None:
        self._name = name
        self._meaning = meaning
        self._labels = tuple(labels)
        self._lock = threading.Lock()  # guards the making of children
        self._children: dict[tuple[str | int | None, ...], CounterChild] = {}
        registry.register(self)

    def labels(self, *values: str | int | None) -> CounterChild:
        """The child for these values of the labels, made when there is none.

        Raises:
            ValueError: there are more or fewer labels than that.
        """
        child = self._children.get(values)
        if child is None:
            if len(values) != len(self._labels):
                raise ValueError(f"{self._name} has the labels {self._labels}, got {values}")
            with self._lock:
                child = self._children.setdefault(values, CounterChild())
        return child

    def values(self) -> dict[tuple[str | int | None, ...], int]:
        """The counts of now by their labels' values, in the labels' order."""
        with self._lock:
            children = list(self._children.items())
        return {values: child.value for values, child in children}

    def remove_by_labels(self, labels: Mapping[str, str]) -> None:
        """Forget the children that have these values of these labels; one that somebody has kept counts unseen."""
        wanted = {self._labels.index(name): value for name, value in labels.items()}
        with self._lock:
            for values in list(self._children):
                if all(shown(values[place]) == value for place, value in wanted.items()):
                    del self._children[values]

    def describe(self) -> Iterable[Family]:
        """The family without values, for the registry's check of names."""
        return [CounterMetricFamily(self._name, self._meaning, labels=self._labels)]

    def collect(self) -> Iterable[Family]:
        """The family with the values of now."""
        family = CounterMetricFamily(self._name, self._meaning, labels=self._labels)
        for values, count in self.values().items():
            family.add_metric([shown(value) for value in values], count)
        return [family]


def shown(value: str | int | None) -> str:
    """A label's value as Prometheus has it."""
    return "" if value is None else str(value)
