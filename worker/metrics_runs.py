"""The metrics of runs: how long a model takes, and what its failures cost."""

from collections.abc import Mapping

from worker import metrics_list as names
from worker.metrics_making import MadeMetrics


class RunMetrics:
    """Counts; thread-safe. It is the `worker.batch_run.RunObserver` of batches that somebody waits for."""

    def __init__(self, make: MadeMetrics) -> None:
        self.seconds = make.histogram(names.BATCH_RUN_SECONDS)
        """Of each call."""
        self._tried_again = make.counter(names.BATCHES_TRIED_AGAIN)
        self._bisected = make.counter(names.BATCHES_BISECTED)
        self._search_runs = make.counter(names.SEARCH_RUNS)
        self._out_of_memory = make.counter(names.RUNS_OUT_OF_MEMORY)
        self._lowered_rows = make.gauge(names.LOWERED_RUN_ROWS)
        self._lowered: set[tuple[str, int]] = set()

    def batch_ran(self, model: str, version: int, signature: str, seconds: float) -> None:
        """Count the time that one call of a model took."""
        self.seconds.labels(model, str(version), signature).observe(seconds)

    def batch_tried_again(self, model: str, version: int) -> None:
        """Count another run of a batch whose failure may pass."""
        self._tried_again.labels(model, str(version)).inc()

    def batch_bisected(self, model: str, version: int, runs: int) -> None:
        """Count a batch that was searched for the requests at fault, and the runs that it took."""
        self._bisected.labels(model, str(version)).inc()
        self._search_runs.labels(model, str(version)).inc(runs)

    def out_of_memory(self, model: str, version: int) -> None:
        """Count a run that found no memory."""
        self._out_of_memory.labels(model, str(version)).inc()

    def lowered(self, rows: Mapping[tuple[str, int], int]) -> None:
        """Say at which sizes versions are run that are not run with whole batches; for one thread."""
        for model, version in self._lowered - rows.keys():
            self._lowered_rows.remove_by_labels({"model": model, "version": str(version)})
        for (model, version), most_rows in rows.items():
            self._lowered_rows.labels(model, str(version)).set(most_rows)
        self._lowered = set(rows)
