"""What a worker's batch queues have done since it last said so: the differences of what the metrics count."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace

from schemas.queue_report import QueueReport
from worker.metrics_objectives import Steering
from worker.metrics_queues import QueueCounts
from worker.queue_depths import QueueName

Key = tuple[str, int]
"""A model's name, and a version."""


class QueueReports:
    """For one thread, which calls it once in a while.

    Args:
        counts: what each signature has counted, and what waits.
        steering: what is chosen for those with a latency objective.
    """

    def __init__(
        self,
        counts: Callable[[], Mapping[QueueName, QueueCounts]],
        steering: Callable[[], Mapping[QueueName, Steering]] = dict,
    ) -> None:
        self._counts = counts
        self._steering = steering
        self._before: Mapping[QueueName, QueueCounts] = {}

    def __call__(self) -> Mapping[Key, tuple[QueueReport, ...]]:
        """What to say of each version, by signature; nothing of one whose queues have never had a batch or a task."""
        counts, steering = self._counts(), self._steering()
        found: dict[Key, tuple[QueueReport, ...]] = {}
        for name, now in sorted(counts.items()):
            if not (now.batches or now.now.rows):
                continue
            key = name.model, int(name.version)
            report = _report(name.signature, now, self._before.get(name))
            if name in steering:
                report = replace(report, **asdict(steering[name]))
            found[key] = (*found.get(key, ()), report)
        self._before = counts
        return found


def _report(signature: str, now: QueueCounts, before: QueueCounts | None) -> QueueReport:
    if before is None or now.batches < before.batches or now.runs < before.runs:
        before = QueueCounts()  # its series were removed in between, and begin at 0
    return QueueReport(
        signature,
        waiting_tasks=now.now.tasks,
        waiting_rows=now.now.rows,
        oldest_seconds=now.now.oldest_seconds,
        batches=now.batches - before.batches,
        rows=now.rows - before.rows,
        padding_rows=max(0, now.padding_rows - before.padding_rows),
        wait_seconds=max(0.0, now.wait_seconds - before.wait_seconds),
        runs=now.runs - before.runs,
        run_seconds=max(0.0, now.run_seconds - before.run_seconds),
    )
