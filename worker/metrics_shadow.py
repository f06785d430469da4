"""The metrics of shadows: nothing of what is done for them counts as a request, a reply or a batch elsewhere."""

from worker import metrics_list as names
from worker.metrics_making import MadeMetrics


class ShadowMetrics:
    """Counts; thread-safe. It is the `worker.batch_run.RunObserver` of shadows."""

    def __init__(self, make: MadeMetrics) -> None:
        self._requests = make.block_counter(names.SHADOW_REQUESTS)
        self._dropped = make.counter(names.SHADOW_DROPPED)
        self._failures = make.counter(names.SHADOW_REPLY_FAILURES)
        self._run_seconds = make.histogram(names.SHADOW_RUN_SECONDS)

    def answered(self, model: str, version: int | None, code: str, count: int) -> None:
        """Count requests that a shadow has answered; *code* is the name of the code."""
        self._requests.labels(model, version, code).add(count)

    def dropped(self, model: str, reason: str, count: int) -> None:
        """Count requests that a shadow was to be given and was not."""
        self._dropped.labels(model, reason).inc(count)

    def reply_failed(self, model: str, reason: str, count: int) -> None:
        """Count replies that were not written to the shadow's topic; *reason* is the name of an error class."""
        self._failures.labels(model, reason).inc(count)

    def batch_ran(self, model: str, version: int, signature: str, seconds: float) -> None:  # noqa: ARG002 - the observer's
        """Count the time that one call of a shadow took."""
        self._run_seconds.labels(model, str(version)).observe(seconds)

    def batch_tried_again(self, model: str, version: int) -> None:
        """Nothing: a shadow's batch is run once."""

    def batch_bisected(self, model: str, version: int, runs: int) -> None:
        """Nothing: what a shadow fails for is counted by code."""

    def out_of_memory(self, model: str, version: int) -> None:
        """Nothing: nobody waits for it, and the log says so."""
