"""Requests read as a member of a consumer group: partitions are this worker's for as long as the group says so."""

from collections.abc import Callable, Mapping, Sequence

from worker import committing
from worker.consumer_reports import ConsumerReports
from worker.flow_control import FlowControl
from worker.gauges import Gauges
from worker.kafka.consumer import Consumer
from worker.kafka.records import TopicPartition
from worker.kafka.transactional import TransactionalProducer
from worker.metrics import Metrics
from worker.partition_watch import PartitionWatch
from worker.path_parts import PathParts
from worker.poll_loop import PollLoop
from worker.polled_records import PolledRecords
from worker.rebalancing import Rebalancing
from worker.replacements import Replacements
from worker.reply_order import ReplyOrder
from worker.settings import Settings


class GroupReading:
    """A `worker.reading.Reading`: consumer, flow control, whoever commits, and the loop.

    Args:
        consumer: the member of the group.
        events: hears of the consumer's problems; it is told whose flow control they concern.
        make_transactional: makes the producer of transactions, where delivery is exactly once.
        order: keeps replies in the order of their requests, where they are to be.
        on_idle: called when nothing was read and nothing is on its way.
    """

    def __init__(  # noqa: PLR0913 - what a member of a group is built of
        self,
        settings: Settings,
        consumer: Consumer,
        metrics: Metrics,
        parts: PathParts,
        *,
        events: ConsumerReports,
        make_transactional: Callable[[], TransactionalProducer],
        order: ReplyOrder | None,
        on_idle: Callable[[], None],
    ) -> None:
        delivery = settings.delivery
        self._consumer = consumer
        self._parts = parts
        self.flow = FlowControl(
            self._consumer,
            parts.budget,
            parts.binding_of,
            parts.failing,
            on_out_of_range=delivery.on_offset_out_of_range,
        )
        events.flow = self.flow
        self.committer = committing.new_committer(
            settings,
            consumer=self._consumer,
            tracker=parts.tracker,
            settlement=parts.settlement,
            order=order,
            make=make_transactional,
            replacements=Replacements(
                parts.publisher,
                own_topics=parts.own_topics,
                directory=parts.directory,
                on_stuck=self.stick,
                on_dead_letter=metrics.dead_lettered,
                on_refused=metrics.replies_refused,
            ),
            clock=parts.clock,
        )
        watch = PartitionWatch(
            metrics, parts, self._consumer, self.flow, after_seconds=delivery.unmoved_seconds
        )
        gauges = Gauges(metrics, parts, consumer=self._consumer, flow=self.flow, watch=watch)
        self.loop = PollLoop(
            consumer=self._consumer,
            parts=parts,
            committer=self.committer,
            flow=self.flow,
            poll_records=delivery.poll_records,
            on_step=gauges.step,
            on_idle=on_idle,
        )
        self._listener = Rebalancing(
            tracker=parts.tracker,
            committer=self.committer,
            flow=self.flow,
            pump=self.loop.pump,
            drain_seconds=delivery.revoke_drain_seconds,
            on_forgotten=parts.settlement.forgotten,
            on_gone=parts.publisher.forget,
            observer=metrics,
            clock=parts.clock,
        )

    @property
    def stopped(self) -> Mapping[TopicPartition, str]:
        """See `Reading.stopped`."""
        return self.flow.stopped

    def join(self, topics: Sequence[str]) -> None:
        """See `Reading.join`."""
        self._consumer.subscribe(topics, self._listener)

    def follow(self, records: PolledRecords) -> None:
        """See `Reading.follow`."""
        self._parts.publisher.follow(records)

    def stick(self, records: PolledRecords, positions: Sequence[int], reason: str) -> None:
        """See `Reading.stick`: their partitions stand still, and what was read of them would hold budget for ever."""
        parts = self._parts
        ours = zip(positions, records.ours_at(positions), strict=True)
        for number in {records.partitions[position] for position, is_ours in ours if is_ours}:
            partition = TopicPartition(records.topic, number)
            self.flow.stop(partition, reason)
            parts.settlement.forgotten(parts.tracker.drop(partition))
            parts.publisher.forget([partition])

    def lose(self, topic: str) -> None:
        """See `Reading.lose`."""
        self._listener.lost([place for place in self._parts.tracker.partitions if place.topic == topic])

    def end_by(self, deadline: float) -> None:
        """See `Reading.end_by`."""
        self._listener.end_by(deadline)

    def close_commits(self) -> None:
        """See `Reading.close_commits`."""
        self.committer.close()

    def leave(self) -> None:
        """See `Reading.leave`."""
        self._consumer.close()
