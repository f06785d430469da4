"""Requests taken from a queue: a share group deals out each record to one of its members, whoever is free."""

import logging
from collections.abc import Callable, Mapping, Sequence

from worker.gauges import Gauges
from worker.kafka.records import TopicPartition
from worker.kafka.share import ShareMember
from worker.metrics import Metrics
from worker.path_parts import PathParts
from worker.polled_records import PolledRecords
from worker.queue_loop import QueueLoop
from worker.share_group import QueueTerms

log = logging.getLogger(__name__)


class QueueReading:
    """A `worker.reading.Reading`: the member of the share group, and its loop."""

    def __init__(
        self,
        terms: QueueTerms,
        member: ShareMember,
        metrics: Metrics,
        parts: PathParts,
        *,
        on_idle: Callable[[], None],
    ) -> None:
        self._member = member
        self.loop = QueueLoop(
            member=member,
            parts=parts,
            work_seconds=terms.work_seconds,
            deliveries=terms.deliveries,
            on_step=Gauges(metrics, parts).step,
            on_idle=on_idle,
            on_released=metrics.requests_released,
            on_acknowledged=lambda ok: metrics.committed(ok=ok),
        )

    @property
    def stopped(self) -> Mapping[TopicPartition, str]:
        """See `Reading.stopped`: a queue has no partition that could stop."""
        return {}

    def join(self, topics: Sequence[str]) -> None:
        """See `Reading.join`."""
        self.loop.join(topics)

    def follow(self, records: PolledRecords) -> None:
        """See `Reading.follow`."""
        self.loop.follow(records)

    def stick(self, records: PolledRecords, positions: Sequence[int], reason: str) -> None:
        """See `Reading.stick`: they come again, to the limit of deliveries."""
        log.error(
            "requests can neither be answered nor become dead letters; they go back to the queue, which drops them "
            "at the limit of deliveries; raise max.message.bytes of the reply and the dead-letter topic",
            extra={
                "reason": reason,
                "topic": records.topic,
                "offsets": [records.messages[p].offset() for p in positions],
            },
        )

    def lose(self, topic: str) -> None:
        """See `Reading.lose`: the broker knows which records are whose, and commits nothing."""

    def end_by(self, deadline: float) -> None:
        """See `Reading.end_by`: nothing here waits for longer than it is told."""

    def close_commits(self) -> None:
        """See `Reading.close_commits`: there is nobody."""

    def leave(self) -> None:
        """See `Reading.leave`."""
        self._member.close()
