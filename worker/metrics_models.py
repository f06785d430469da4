"""The metrics of models that are gone go too, once their last counts have been read."""

import time
from collections.abc import Callable, Iterable

from lifecycle.managed_servable import VersionStatus
from worker.metrics import Metrics
from worker.model_table import ModelTable

LOOK_SECONDS = 15.0
GONE_SECONDS = 300.0
"""Whatever the scrape interval is, the last counts have been read by then, and Prometheus shows no series for longer
that it does not hear of any more."""


class ModelSeries:
    """Forgets the series of models that the control topic does not name and of which no version is left.

    For one background thread. Requests for such a model are counted under the empty name, so nothing brings its series
    back but the model itself; its counters then begin at 0, as after a restart.
    """

    def __init__(
        self,
        metrics: Metrics,
        table: ModelTable,
        states: Callable[[], Iterable[VersionStatus]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """*states* tells every managed version."""
        self._metrics = metrics
        self._table = table
        self._states = states
        self._clock = clock
        self._next = 0.0
        self._gone_since: dict[str, float] = {}

    def step(self) -> None:
        """Look, when it is time."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + LOOK_SECONDS
        managed = {status.id.name for status in self._states()}
        gone = {
            model
            for model in self._metrics.models()
            if model and model not in managed and self._table.lookup(model) is None
        }
        self._gone_since = {model: self._gone_since.get(model, now) for model in gone}
        for model, since in self._gone_since.items():
            if now - since >= GONE_SECONDS:
                self._metrics.forget_model(model)
