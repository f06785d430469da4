"""Notices a partition in which there is something to do, and which does not move.

Neither a slow model nor a broker that is away makes a worker leave its group, so from outside a partition that nobody
serves looks like one that is served slowly. Here it is told: which one, since when, and what it waits for as far as
that is known. What is told elsewhere is left out: partitions that stopped, and bindings that are not read because they
fail. Nothing is asked of the cluster.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from worker.flow_control import FlowControl
from worker.kafka.consumer import Consumer
from worker.kafka.records import TopicPartition
from worker.metrics import Metrics
from worker.path_parts import PathParts

log = logging.getLogger(__name__)

LONG_SECONDS = 1.0
"""A model that has been with a batch for so long may be what a partition waits for."""

State = tuple[object, ...]


@dataclass(slots=True)
class _Watched:
    """One partition.

    Attributes:
        state: what changes when it moves.
        since: when that last changed, or there began to be something to do.
        first_end: its end when that was first known.
        told: whether it has been logged that it does not move.
    """

    state: State
    since: float
    first_end: int | None = None
    told: bool = False


class PartitionWatch:
    """Looks at the assigned partitions; owned by the poll thread, which calls it about once a second.

    A partition moves when what its next commit waits for becomes less, or, where nothing of it is in hand, when
    something is read. There is something to do in it when some of it is in hand, or when its end is known to be ahead.

    Args:
        after_seconds: for so long it may stand still before it is told.
    """

    def __init__(
        self,
        metrics: Metrics,
        parts: PathParts,
        consumer: Consumer,
        flow: FlowControl,
        *,
        after_seconds: float,
    ) -> None:
        self._metrics = metrics
        self._parts = parts
        self._consumer = consumer
        self._flow = flow
        self._after_seconds = after_seconds
        self._watched: dict[TopicPartition, _Watched] = {}
        self._topics: set[str] = set()

    def step(self, now: float) -> None:
        """Look at each partition, and tell of those that do not move and those that do again."""
        tracker, positions = self._parts.tracker, self._consumer.positions()
        before, self._watched = self._watched, {}
        longest = dict.fromkeys(self._topics, 0.0)
        for partition in tracker.partitions:
            end, position = self._consumer.cached_high(partition), positions.get(partition)
            in_hand = tracker.uncommitted(partition)
            state: State = tracker.head(partition) if in_hand else (position,)
            watched = self._watched[partition] = before.get(partition) or _Watched(state, now)
            if watched.first_end is None:
                watched.first_end = end
            seconds = 0.0
            if self._told_elsewhere(partition):
                watched.since, watched.told = now, False
            elif state != watched.state or not (
                in_hand or self._is_behind(partition, watched, end, position)
            ):
                self._moves(partition, watched, now)
            else:
                seconds = now - watched.since
            watched.state = state
            if seconds < self._after_seconds:
                seconds = 0.0
            elif not watched.told:
                watched.told = True
                self._tell(partition, seconds, end, position)
            longest[partition.topic] = max(seconds, longest.get(partition.topic, 0.0))
        self._topics = set(longest)
        for topic, seconds in longest.items():
            self._metrics.unmoved(topic, seconds)

    def _told_elsewhere(self, partition: TopicPartition) -> bool:
        failing = self._parts.binding_of[partition.topic] in self._parts.failing.paused
        return failing or partition in self._flow.stopped

    def _is_behind(
        self, partition: TopicPartition, watched: _Watched, end: int | None, position: int | None
    ) -> bool:
        """Whether there is something to read."""
        if end is None:  # it was never fetched; one that is paused need not be
            return not self._flow.holds(partition)
        # Where nothing has been read yet, what came since the first look is surely to be read.
        read = watched.first_end if position is None else position
        return read is not None and end > read

    def _moves(self, partition: TopicPartition, watched: _Watched, now: float) -> None:
        if watched.told:
            log.info(
                "the partition moves again",
                extra={"partition": str(partition), "after_seconds": round(now - watched.since)},
            )
        watched.since, watched.told = now, False

    def _tell(self, partition: TopicPartition, seconds: float, end: int | None, position: int | None) -> None:
        tracker = self._parts.tracker
        log.warning(
            "a partition does not move: its requests are not answered, or not even read",
            extra={
                "partition": str(partition),
                "seconds": round(seconds),
                "waits_for": self._waits_for(partition, end),
                "oldest_unanswered": tracker.head(partition)[0],
                "unanswered": tracker.unsettled([partition]),
                "read_to": position,
                "end": end,
            },
        )

    def _waits_for(self, partition: TopicPartition, end: int | None) -> str:
        """What keeps it, and what to do; where several things do, all of them."""
        tracker = self._parts.tracker
        if tracker.unsettled([partition]):
            return "; ".join(self._unanswered(partition)) or (
                "the broker's word on what its requests came to; see what the log says of the producer, of refused "
                "replies and of transactions"
            )
        if tracker.uncommitted(partition):
            return (
                "a commit that the group keeps; all that was read is answered. The log says why commits fail"
            )
        if self._flow.holds(partition):
            binding = self._parts.binding_of[partition.topic]
            waits = "; ".join(self._models(binding)) or "what the binding has in hand"
            return (
                f"room in the budget of binding {binding!r}, which is used up: {waits}. A model that must not wait "
                "for another's requests needs a binding of its own"
            )
        if end is None:
            return (
                "its first fetch; is there a leader for it, may this user read it, "
                "and does a transaction hold its committed offset open?"
            )
        return (
            "records that do not come although its end is ahead: a transaction that a producer left open holds them "
            "back (kafka-transactions.sh find-hanging), or its leader does not answer"
        )

    def _unanswered(self, partition: TopicPartition) -> Iterator[str]:
        intake, binding = self._parts.intake, self._parts.binding_of[partition.topic]
        for model in sorted(intake.held_for_models.models_in(partition)):
            yield f"model {model!r}, which is loading"
        if intake.held_for_topics.models_in(partition):
            yield "a reply topic that does not exist (yet)"
        yield from self._models(binding)
        if self._parts.refusals.waiting:
            yield "replies or dead letters that the broker refused and that are tried again; the log says why"

    def _models(self, binding: str) -> Iterator[str]:
        """The models that have something to do for a binding."""
        own = {model for owner, model in self._parts.budget.models if owner == binding}
        busy = self._parts.queues.stuck(LONG_SECONDS)
        queued = self._parts.queues.enqueued_rows()
        for model in sorted(own & (busy.keys() | queued.keys())):
            if model in busy:
                yield (
                    f"model {model!r}, which has been with one batch for {busy[model]:.0f} s; where it never returns, "
                    "set another version and end this worker"
                )
            elif queued[model]:
                yield f"model {model!r}, for which {queued[model]:,} rows wait"
