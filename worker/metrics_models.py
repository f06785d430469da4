"""The metrics of models and versions that are gone go too, once their last counts have been read."""

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

    So it does with those of a version that is gone while another of its model is there. Where none is, the model may be
    a lazy one that nobody asks for at present, and keeps its counts.

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
        self._gone_since: dict[tuple[str, str], float] = {}  # by model and version, or by model and nothing

    def step(self) -> None:
        """Look, when it is time."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + LOOK_SECONDS
        there = {(status.id.name, str(status.id.version)) for status in self._states()}
        models = {model for model, _ in there}
        gone = set()
        for model, version in self._metrics.versions():
            if model in models:
                if version and (model, version) not in there:
                    gone.add((model, version))
            elif model and self._table.lookup(model) is None:
                gone.add((model, ""))
        self._gone_since = {each: self._gone_since.get(each, now) for each in gone}
        for (model, version), since in self._gone_since.items():
            if now - since >= GONE_SECONDS:
                self._metrics.forget(model, version)
