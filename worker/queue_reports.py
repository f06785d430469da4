"""What a worker's batch queues have done since it last said so: the differences of what the metrics count."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace

from schemas.queue_report import QueueReport
from worker.metrics_objectives import Steering
from worker.queue_depths import QueueName

Key = tuple[str, int]
"""A model's name, and a version."""


class QueueReports:
    """For one thread, which calls it once in a while.

    Args:
        counts: what waits for each signature, and what it has counted since its series began.
        steering: what is chosen for those with a latency objective.
    """

    def __init__(
        self,
        counts: Callable[[], Mapping[QueueName, QueueReport]],
        steering: Callable[[], Mapping[QueueName, Steering]] = dict,
    ) -> None:
        self._counts = counts
        self._steering = steering
        self._before: Mapping[QueueName, QueueReport] = {}

    def __call__(self) -> Mapping[Key, tuple[QueueReport, ...]]:
        """What to say of each version, by signature; nothing of one whose queues have never had a batch or a task."""
        counts, steering = self._counts(), self._steering()
        found: dict[Key, tuple[QueueReport, ...]] = {}
        for name, now in sorted(counts.items()):
            if not (now.batches or now.waiting_rows):
                continue
            key = name.model, int(name.version)
            report = _since(self._before.get(name), now)
            if name in steering:
                report = replace(report, **asdict(steering[name]))
            found[key] = (*found.get(key, ()), report)
        self._before = counts
        return found


def _since(before: QueueReport | None, now: QueueReport) -> QueueReport:
    if before is None or now.batches < before.batches or now.runs < before.runs:
        return now  # its series were removed in between, and began again at 0
    return replace(
        now,
        batches=now.batches - before.batches,
        rows=now.rows - before.rows,
        padding_rows=max(0, now.padding_rows - before.padding_rows),
        wait_seconds=max(0.0, now.wait_seconds - before.wait_seconds),
        runs=now.runs - before.runs,
        run_seconds=max(0.0, now.run_seconds - before.run_seconds),
    )
