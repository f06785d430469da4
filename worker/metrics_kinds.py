"""What a metric is described by, and the bounds that histograms share."""

import enum
from dataclasses import dataclass

PREFIX = "headrace_"

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Bounds for what should take milliseconds and may take a minute."""
BATCH_SECONDS = (0.0001, 0.00025, 0.0005, *SECONDS[:13])
"""Bounds for one call of a model: a small one takes a tenth of a millisecond."""
LOAD_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Bounds for loading a version."""
ROWS = tuple(float(2**power) for power in range(14))
"""Bounds for rows of a batch: powers of two, as batch sizes usually are."""


class Kind(enum.Enum):
    """Prometheus' types of metrics."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"


@dataclass(frozen=True)
class Metric:
    """One metric as it is documented and made.

    Attributes:
        name: what Prometheus stores, with prefix, unit and, for a counter, `_total`.
        unit: of one value; empty for what has none.
        meaning: one sentence for an operator.
        labels: names of the labels, in the order in which values are given.
        bounds: upper bounds of a histogram's buckets.
    """

    kind: Kind
    name: str
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()

    @property
    def series(self) -> tuple[str, ...]:
        """The names that a query may use for this metric."""
        if self.kind is Kind.HISTOGRAM:
            return tuple(self.name + suffix for suffix in ("_bucket", "_sum", "_count"))
        return (self.name,)


def counter(name: str, unit: str, meaning: str, *labels: str) -> Metric:
    """Describe a counter; its name gets the prefix and `_total`."""
    return Metric(Kind.COUNTER, f"{PREFIX}{name}_total", unit, meaning, labels)


def gauge(name: str, unit: str, meaning: str, *labels: str) -> Metric:
    """Describe a gauge; its name gets the prefix."""
    return Metric(Kind.GAUGE, PREFIX + name, unit, meaning, labels)


def histogram(name: str, unit: str, meaning: str, bounds: tuple[float, ...], *labels: str) -> Metric:
    """Describe a histogram; its name gets the prefix."""
    return Metric(Kind.HISTOGRAM, PREFIX + name, unit, meaning, labels, bounds)
