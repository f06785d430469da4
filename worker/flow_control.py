"""Applies back-pressure to the consumer, and keeps still the partitions that an operator must see to."""

import logging
from collections.abc import Iterable, Mapping
from typing import Literal

from worker import backpressure
from worker.budget import Budget
from worker.failing import Failing
from worker.kafka.consumer import Consumer
from worker.kafka.records import OFFSET_BEGINNING, OFFSET_END, TopicPartition

log = logging.getLogger(__name__)

OutOfRange = Literal["stop", "earliest", "latest"]


class FlowControl:
    """What is paused at the client and why; owned by the poll thread.

    Args:
        consumer: the member of the group.
        budget: what may still be read.
        binding_of: request topic to binding name.
        failing: which bindings are not read, because their requests fail.
        on_out_of_range: what to do with a partition whose offset no longer exists.
    """

    def __init__(
        self,
        consumer: Consumer,
        budget: Budget,
        binding_of: Mapping[str, str],
        failing: Failing,
        *,
        on_out_of_range: OutOfRange,
    ) -> None:
        self._consumer = consumer
        self._budget = budget
        self._binding_of = binding_of
        self._failing = failing
        self._on_out_of_range = on_out_of_range
        self._paused: set[TopicPartition] = set()
        self._paused_bindings: frozenset[str] = frozenset()
        self.fullest = 0.0
        """How much of its budget the binding that is fullest has used, at the last step; 1.0 is all."""
        self.stopped: dict[TopicPartition, str] = {}
        """Partitions that stand still until an operator acts, with the reason."""

    def step(self, assigned: Iterable[TopicPartition]) -> None:
        """Pause and resume as the budget asks."""
        fullness = {name: self._budget.fullness(name) for name in self._budget.bindings}
        self.fullest = max(fullness.values(), default=0.0)
        bindings = backpressure.bindings_to_pause(
            fullness, self._budget.limits.low_watermark, self._paused_bindings
        )
        for name in bindings - self._paused_bindings:
            log.debug("a binding pauses: its budget is used up", extra={"binding": name})
        self._paused_bindings = bindings
        failing = self._failing.paused
        if not (bindings or failing or self._paused or self.stopped):
            return
        change = backpressure.change(
            assigned,
            self._binding_of,
            paused_bindings=bindings | failing,
            stopped=self.stopped.keys(),
            paused=self._paused,
        )
        if change.pause:
            self._consumer.pause(change.pause)
            self._paused.update(change.pause)
        if change.resume:
            self._consumer.resume(change.resume)
            self._paused.difference_update(change.resume)

    def stop_all(self, assigned: Iterable[TopicPartition]) -> None:
        """Read nothing more; for the end of the worker."""
        standing = [p for p in assigned if p not in self._paused]
        if standing:
            self._consumer.pause(standing)
            self._paused.update(standing)

    def stop(self, partition: TopicPartition, reason: str) -> None:
        """Keep a partition still from now on."""
        self.stopped[partition] = reason

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """Partitions that are not this worker's any more."""
        for partition in partitions:
            self._paused.discard(partition)
            self.stopped.pop(partition, None)

    def out_of_range(self, partition: TopicPartition, offset: int) -> None:
        """A partition has lost the offset to read next: stop it, or go on where the setting says."""
        if self._on_out_of_range == "stop":
            reason = f"offset {offset} no longer exists"
            log.error(
                "a partition stops: the offset to read next no longer exists, so requests have expired unread; "
                "set delivery.on_offset_out_of_range to earliest or latest, or reset the group's offset",
                extra={"partition": str(partition), "offset": offset},
            )
            self.stop(partition, reason)
            return
        log.error(
            "the offset to read next no longer exists, so requests have expired unread; reading goes on elsewhere",
            extra={"partition": str(partition), "offset": offset, "at": self._on_out_of_range},
        )
        self._consumer.seek(
            partition, OFFSET_BEGINNING if self._on_out_of_range == "earliest" else OFFSET_END
        )

    @property
    def reading(self) -> list[str]:
        """The bindings that are read at present: only their room bounds a poll."""
        still = self._paused_bindings | self._failing.paused
        return [name for name in self._budget.bindings if name not in still]

    def holds(self, partition: TopicPartition) -> bool:
        """Whether a partition stands still at the client."""
        return partition in self._paused

    @property
    def holds_back(self) -> bool:
        """Whether a binding is paused because its budget is used up."""
        return bool(self._paused_bindings)

    @property
    def paused(self) -> int:
        """How many partitions stand still."""
        return len(self._paused)
