"""How many requests of one model are worth reading ahead: what it answers in two seconds.

What was read and is not answered moves with no rebalance: a replica that gives a partition up finishes it first, or
it is done twice. So a slow model must not hold as much as a fast one needs in order never to wait.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

from worker.control_record import LONGEST_NAME

SECONDS = 2.0
LEAST_ROWS = 32_768
"""For a model that is slow, or not known yet: a few polls, so that a sudden load is measured before it is held up."""
WINDOW_SECONDS = 0.5
KEPT = 0.8
"""A rate that falls is believed by and by: a pause in the load is not the model's."""
MOST_MODELS = 4096


class ReadAhead:
    """The rates of models, from what was answered; owned by the poll thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: OrderedDict[str, tuple[float, int]] = (
            OrderedDict()
        )  # since when, and rows answered since
        self._rates: dict[str, float] = {}

    def answered(self, model: str, rows: int) -> None:
        """So many rows have been answered; nothing is kept of names that no model can have."""
        if len(model) > LONGEST_NAME:
            return
        now = self._clock()
        since, before = self._windows.pop(model, (now, 0))
        seconds = now - since
        if seconds >= WINDOW_SECONDS:
            rate = (before + rows) / seconds
            self._rates[model] = max(rate, KEPT * self._rates.get(model, 0.0))
            since, before, rows = now, 0, 0
        self._windows[model] = (since, before + rows)
        if len(self._windows) > MOST_MODELS:
            forgotten, _ = self._windows.popitem(last=False)
            self._rates.pop(forgotten, None)

    def rows(self, model: str) -> float:
        """How many rows may be read ahead of it."""
        return max(LEAST_ROWS, SECONDS * self._rates.get(model, 0.0))
