"""Gauges that are read off the parts of the worker about once a second, by the poll thread."""

import logging
from collections.abc import Mapping

from worker.flow_control import FlowControl
from worker.kafka.consumer import Consumer
from worker.log import Occasionally
from worker.metrics import Metrics
from worker.partition_watch import PartitionWatch
from worker.path_parts import PathParts

log = logging.getLogger(__name__)

EVERY_SECONDS = 1.0
STUCK_SECONDS = 30.0


class Gauges:
    """Copies what stands still into the metrics; owned by the poll thread."""

    def __init__(
        self,
        metrics: Metrics,
        parts: PathParts,
        *,
        consumer: Consumer | None = None,
        flow: FlowControl | None = None,
        watch: PartitionWatch | None = None,
    ) -> None:
        """The last three are those of a member of a consumer group; a queue has no partitions of its own."""
        self._metrics = metrics
        self._parts = parts
        self._consumer = consumer
        self._flow = flow
        self._watch = watch
        self._next = 0.0
        self._stuck: dict[str, float] = {}
        self._occasionally = Occasionally(log, seconds=60.0)

    def step(self, now: float) -> None:
        """Look around, when a second has passed."""
        if now < self._next:
            return
        self._next = now + EVERY_SECONDS
        for binding, use in self._parts.budget.bindings.items():
            self._metrics.in_flight(binding, use.rows, use.size_bytes)
        self._metrics.held("loading", self._parts.intake.held_for_models.rows)
        self._metrics.held("topic", self._parts.intake.held_for_topics.rows)
        self._metrics.held("claim", self._parts.intake.held_for_claims.rows)
        if self._consumer is not None and self._flow is not None:
            self._tell_partitions(self._consumer, self._flow)
        if self._watch is not None:
            self._watch.step(now)
        self._metrics.queues.waiting_for_room(self._parts.queues.rows_outside())
        self._metrics.runs.lowered(self._parts.sizes.lowered())
        stuck = self._parts.queues.stuck(STUCK_SECONDS)
        for model, seconds in self._parts.shadowing.stuck(STUCK_SECONDS).items():
            stuck[model] = max(seconds, stuck.get(model, 0.0))
        self._tell_stuck(stuck)

    def _tell_partitions(self, consumer: Consumer, flow: FlowControl) -> None:
        partitions = self._parts.tracker.partitions
        self._metrics.partitions(len(partitions), flow.paused, len(flow.stopped))
        for partition in partitions:
            end, done = consumer.cached_high(partition), self._parts.tracker.position(partition)
            if end is not None and done is not None:
                self._metrics.lag(partition.topic, partition.partition, max(0, end - done))

    def _tell_stuck(self, seconds: Mapping[str, float]) -> None:
        for model in {*self._stuck, *seconds}:
            self._metrics.stuck(model, seconds.get(model, 0.0))
        self._stuck = dict(seconds)
        for model, longest in seconds.items():
            self._occasionally.warning(
                "a model has not returned from a batch; its requests wait for that, other models are served. Where it "
                "never returns, set another version and end this worker: its requests are repeated by another",
                key=model,
                model=model,
                seconds=round(longest),
            )
