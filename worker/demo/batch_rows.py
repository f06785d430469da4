"""The rows of the worker's batches as a small histogram, read from its metrics page as any scraper would.

Only the histogram that the demo shows is understood, and only what Prometheus' text format guarantees about
it.
"""

import math
import re
from dataclasses import dataclass

_SERIES = "headrace_batch_rows_bucket"
_LINE = re.compile(_SERIES + r"\{(?P<labels>[^}]*)\}\s+(?P<count>\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Bar:
    """Batches of `low` to `high` rows (`high` infinite in the last)."""

    low: int
    high: float
    batches: int

    @property
    def label(self) -> str:
        """The range as people write it."""
        if math.isinf(self.high):
            return f">= {self.low}"
        return str(self.low) if self.low == self.high else f"{self.low}-{self.high:g}"


def read_bars(page: str, model: str) -> list[Bar]:
    """The bars of one model from its smallest to its largest batch, without the empty ones at both ends."""
    cumulative: dict[float, float] = {}
    for match in _LINE.finditer(page):
        labels = dict(_LABEL.findall(match["labels"]))
        if labels.get("model") == model:
            bound = float(labels["le"])
            cumulative[bound] = cumulative.get(bound, 0.0) + float(match["count"])
    bars, below, low = [], 0.0, 1
    for bound in sorted(cumulative):
        bars.append(Bar(low, bound, round(cumulative[bound] - below)))
        below = cumulative[bound]
        low = low if math.isinf(bound) else int(bound) + 1
    filled = [i for i, bar in enumerate(bars) if bar.batches]
    return bars[filled[0] : filled[-1] + 1] if filled else []
