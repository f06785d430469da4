"""Gauges that are read off the parts of the worker about once a second, by the poll thread."""

from collections.abc import Mapping

from worker.batch_queues import BatchQueues
from worker.budget import Budget
from worker.flow_control import FlowControl
from worker.intake import Intake
from worker.kafka.consumer import Consumer
from worker.metrics import Metrics
from worker.offset_tracker import OffsetTracker

EVERY_SECONDS = 1.0


class Gauges:
    """Copies what stands still into the metrics; owned by the poll thread."""

    def __init__(  # noqa: PLR0913 - it looks at every part
        self,
        metrics: Metrics,
        *,
        consumer: Consumer,
        tracker: OffsetTracker,
        budget: Budget,
        flow: FlowControl,
        queues: BatchQueues,
        intake: Intake,
    ) -> None:
        self._metrics = metrics
        self._consumer = consumer
        self._tracker = tracker
        self._budget = budget
        self._flow = flow
        self._queues = queues
        self._intake = intake
        self._next = 0.0
        self._queued: dict[str, int] = {}

    def step(self, now: float) -> None:
        """Look around, when a second has passed."""
        if now < self._next:
            return
        self._next = now + EVERY_SECONDS
        for binding, use in self._budget.bindings.items():
            self._metrics.in_flight(binding, use.rows, use.size_bytes)
        self._metrics.held("loading", self._intake.held_for_models.rows)
        self._metrics.held("topic", self._intake.held_for_topics.rows)
        partitions = self._tracker.partitions
        self._metrics.partitions(len(partitions), self._flow.paused, len(self._flow.stopped))
        for partition in partitions:
            end, done = self._consumer.cached_high(partition), self._tracker.position(partition)
            if end is not None and done is not None:
                self._metrics.lag(partition.topic, partition.partition, max(0, end - done))
        self._tell_queues(self._queues.enqueued_rows())

    def _tell_queues(self, rows: Mapping[tuple[str, int, str], int]) -> None:
        by_model = dict.fromkeys(self._queued, 0)
        for (model, _, _), count in rows.items():
            by_model[model] = by_model.get(model, 0) + count
        for model, count in by_model.items():
            self._metrics.queued(model, count)
        self._queued = {model: count for model, count in by_model.items() if count}
