"""What happens when outcomes are acknowledged and offsets committed: budget given back, metrics counted."""

from collections.abc import Mapping

import numpy as np

from schemas.errors import Code
from worker.budget import Budget
from worker.delivery import Answer, Delivery
from worker.failing import Failing
from worker.metrics import Metrics
from worker.offset_tracker import Run


class Settlement:
    """Keeps the books; every method is called by the poll thread."""

    def __init__(
        self, budget: Budget, metrics: Metrics, binding_of: Mapping[str, str], failing: Failing
    ) -> None:
        self._budget = budget
        self._failing = failing
        self._metrics = metrics
        self._binding_of = binding_of

    def settled(self, delivery: Delivery) -> None:
        """Every record of a delivery has been acknowledged, or there is none, because its requests are left."""
        origin = delivery.origin
        if delivery.settles:
            origin.settle()
        records = origin.records
        if origin.model is not None:
            self._budget.give_back_model(records.binding, origin.model, origin.rows, origin.size_bytes)
        answer, answered = delivery.answer, origin.own
        self._failing.settled(records.binding, None if answer is None else answer.code, len(origin.positions))
        if answer is None:
            if not delivery.is_dead_letter:
                self._metrics.requests_left(records.topic, len(answered))
            return
        if not answered:
            return
        left = len(answered)
        for code, count in (
            (Code.RESOURCE_EXHAUSTED, delivery.too_large),
            (Code.UNAVAILABLE, delivery.unstored),
        ):
            failed = min(count, left)
            if failed:
                self._count(answer, code, failed)
                left -= failed
        if left:
            self._count(answer, answer.code, left)
        # Not until now: a lane tells late, and for many at once, that replies are safe.
        written_ms, each = records.about_ms_at(answered)
        waited = np.subtract(delivery.handed_ms, written_ms, dtype=np.float64)
        waited /= 1000
        self._metrics.latencies_observed(answer.model, answer.version, waited, len(answered), each)

    def _count(self, answer: Answer, code: Code, requests: int) -> None:
        self._metrics.requests_answered(answer.model, answer.version, answer.signature, code.name, requests)

    def committed(self, runs: list[Run], ok: bool) -> None:  # noqa: FBT001 - the committer's callback
        """A commit has ended."""
        self._metrics.committed(ok=ok)
        self.forgotten(runs)

    def forgotten(self, runs: list[Run]) -> None:
        """These runs are committed, or not this worker's any more."""
        for run in runs:
            self._budget.give_back_runs(self._binding_of[run.partition.topic], [run])
