"""The way of a request, put together: from the request topics to the reply topics.

Built once the worker may join its group, because the producers' batch sizes follow from the reply topics' limits.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from batching.shared_scheduler import SharedScheduler
from schemas.catalog import Catalog
from schemas.request_decoder import RequestDecoder
from schemas.wire_limits import WireLimits
from worker import committing
from worker.admission import Admission
from worker.batch_queues import BatchQueues
from worker.budget import Budget, Limits
from worker.committing import MakeTransactional
from worker.consumer_reports import ConsumerReports
from worker.dead_letters import DeadLetters
from worker.flow_control import FlowControl
from worker.gauges import Gauges
from worker.giving_way import GivingWay
from worker.inference import Inference
from worker.intake import Intake
from worker.kafka.consumer import Consumer, ConsumerEvents
from worker.kafka.errors import KafkaProblem
from worker.kafka.records import TopicPartition
from worker.metrics import Metrics
from worker.metrics_observers import BatchMetrics
from worker.model_queue_options import ModelQueueOptions
from worker.model_table import ModelTable
from worker.offset_tracker import OffsetTracker
from worker.poll_loop import PollLoop
from worker.polled_records import PolledRecords
from worker.producer_pool import MakeProducer, ProducerPool
from worker.publisher import Publisher
from worker.read_ahead import ReadAhead
from worker.rebalancing import Rebalancing
from worker.refusals import Refusals
from worker.replacements import Replacements
from worker.reply_order import ReplyOrder
from worker.reply_routing import ReplyRouting
from worker.router import Manager, Router
from worker.settings import Settings
from worker.settlement import Settlement
from worker.topic_directory import TopicDirectory

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Clients:
    """Makes the Kafka clients of the request path.

    Attributes:
        consumer: makes the member of the group, given who hears of its problems.
        producer: makes a producer.
        transactional: makes a producer of transactions.
    """

    consumer: Callable[[ConsumerEvents], Consumer]
    producer: MakeProducer
    transactional: MakeTransactional


class RequestPath:
    """Everything between request and reply topics; made, run and closed by the poll thread (the main one)."""

    def __init__(  # noqa: PLR0913 - what it is built of, each by its name
        self,
        settings: Settings,
        clients: Clients,
        *,
        table: ModelTable,
        manager: Manager,
        directory: TopicDirectory,
        catalog: Catalog,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        on_idle: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        delivery, bindings = settings.delivery, settings.bindings
        binding_of = {topic: b.name for b in bindings for topic in b.request_topics}
        dead_letter_topics = {t: b.dead_letter_topic_of(t) for b in bindings for t in b.request_topics}
        self._tracker = OffsetTracker()
        limits = Limits(delivery.budget_rows, delivery.budget_bytes, delivery.model_share)
        self._budget = Budget(limits, {b.name: b.share for b in bindings}, ReadAhead(clock))
        for binding in bindings:
            metrics.budget(
                binding.name, int(limits.rows * binding.share), int(limits.size_bytes * binding.share)
            )
        settlement = Settlement(self._budget, metrics, binding_of)

        events = ConsumerReports(metrics, directory)
        self._consumer = clients.consumer(events)
        self.flow = FlowControl(
            self._consumer, self._budget, binding_of, on_out_of_range=delivery.on_offset_out_of_range
        )
        events.flow = self.flow

        own_topics = frozenset({b.reply_topic for b in bindings} | set(dead_letter_topics.values()))
        self._refusals = Refusals(
            own_topics=own_topics,
            directory=directory,
            on_stuck=self._stop_partitions,
            on_dead_letter=metrics.dead_lettered,
            on_refused=metrics.replies_refused,
            on_reproduced=metrics.replies_reproduced,
            clock=clock,
        )
        batch_bytes = min(map(directory.max_message_bytes, own_topics))
        order = ReplyOrder(metrics.requests_left, wall) if committing.in_order(delivery) else None
        self._publisher = Publisher(
            ProducerPool(
                clients.producer,
                directory,
                batch_bytes=batch_bytes,
                quiet_topics=[b.reply_topic for b in bindings] if order is None else (),
                quiet_records=delivery.budget_rows // 4,
                clock=clock,
            ),
            directory,
            topics={b.name: b.reply_topic for b in bindings},
            dead_letters=DeadLetters(dead_letter_topics, settings.kafka.group),
            on_settled=settlement.settled,
            on_failure=self._refusals.note,
            order=order,
            transactional=committing.transactional(delivery),
            wall=wall,
        )

        options = ModelQueueOptions(settings.batching, table)
        self._scheduler = SharedScheduler(
            settings.batching.threads,
            clock=clock,
            observer=BatchMetrics(metrics),
            name="batch",
            overlap_seconds=settings.batching.overlap_seconds,
        )
        self._queues = BatchQueues(
            self._scheduler,
            Inference(
                self._publisher,
                metrics,
                wall=wall,
                giving_way=GivingWay(settings.batching.overlap_seconds),
            ),
            options.of,
            max_batch_bytes=settings.batching.max_batch_bytes,
        )
        forbidden = own_topics | binding_of.keys() | {settings.topics.control, settings.topics.status}
        self._intake = Intake(
            binding_of=binding_of,
            decoder=RequestDecoder(catalog, _wire_limits(settings)),
            admission=Admission(
                {
                    b.name: ReplyRouting(
                        b.reply_topic,
                        b.allowed_reply_topics,
                        forbidden=forbidden - {b.reply_topic},
                        carried=delivery.carried_headers,
                        directory=directory,
                    )
                    for b in bindings
                },
                header_bytes=settings.limits.header_bytes,
                coordinates=delivery.request_coordinates,
            ),
            router=Router(table, manager, {b.name: b.models for b in bindings}),
            queues=self._queues,
            publisher=self._publisher,
            tracker=self._tracker,
            budget=self._budget,
            observer=metrics,
            hold_seconds=settings.holding.loading_seconds,
            hold_topic_seconds=settings.holding.topic_seconds,
            clock=clock,
            wall=wall,
        )
        self._committer = committing.new_committer(
            settings,
            consumer=self._consumer,
            tracker=self._tracker,
            settlement=settlement,
            order=order,
            make=lambda: clients.transactional(batch_bytes),
            replacements=Replacements(
                self._publisher,
                own_topics=own_topics,
                directory=directory,
                on_stuck=self._stop_partitions,
                on_dead_letter=metrics.dead_lettered,
                on_refused=metrics.replies_refused,
            ),
            clock=clock,
        )
        gauges = Gauges(
            metrics,
            consumer=self._consumer,
            tracker=self._tracker,
            budget=self._budget,
            flow=self.flow,
            queues=self._queues,
            intake=self._intake,
        )
        self.loop = PollLoop(
            consumer=self._consumer,
            intake=self._intake,
            queues=self._queues,
            publisher=self._publisher,
            refusals=self._refusals,
            tracker=self._tracker,
            budget=self._budget,
            committer=self._committer,
            flow=self.flow,
            poll_records=delivery.poll_records,
            step_batches=self._scheduler.step if settings.batching.threads == 0 else None,
            on_step=gauges.step,
            on_idle=on_idle,
            clock=clock,
        )
        self._listener = Rebalancing(
            tracker=self._tracker,
            committer=self._committer,
            flow=self.flow,
            pump=self.loop.pump,
            drain_seconds=delivery.revoke_drain_seconds,
            on_forgotten=settlement.forgotten,
            on_gone=self._publisher.forget,
            observer=metrics,
            clock=clock,
        )

    def run(self, stop: threading.Event) -> None:
        """Join the group and serve until told to stop.

        Raises:
            Fatal: a Kafka client is of no use any more.
        """
        topics = [topic for binding in self._settings.bindings for topic in binding.request_topics]
        self._consumer.subscribe(topics, self._listener)
        log.info(
            "joining the group", extra={"group": self._settings.kafka.group, "topics": ", ".join(topics)}
        )
        self.loop.run(stop)

    def finish(self, deadline: float) -> bool:
        """Read nothing more, answer and commit what was read until *deadline*, leave the group; whether all was."""
        self._listener.end_by(deadline)
        done = self.loop.finish(deadline)
        if not done:
            log.warning(
                "the time to end is over; what is not answered is repeated by another worker",
                extra={"unanswered": self._tracker.unsettled()},
            )
        self._consumer.close()
        return done

    def lose(self, topic: str) -> None:
        """Forget what was read of a request topic: nothing is committed for it, and what is answered is answered."""
        self._listener.lost([place for place in self._tracker.partitions if place.topic == topic])

    def close(self) -> None:
        """Let go of threads and clients, whatever state they are in; what is not committed is repeated."""
        self._listener.end_by(-math.inf)
        self._publisher.close()
        self._queues.drop_waiting()
        for block in self._scheduler.close(drain=False, wait=False):
            block.handle.release()
        self._scheduler.join(5.0)
        for close in (self._committer.close, self._publisher.close_producers, self._consumer.close):
            try:
                close()
            except KafkaProblem as problem:
                log.warning("a Kafka client ended badly", extra={"problem": str(problem)})

    def _stop_partitions(self, records: PolledRecords, positions: Sequence[int]) -> None:
        for number in {records.partitions[p] for p in positions}:
            self.flow.stop(
                TopicPartition(records.topic, number), "neither an answer nor a dead letter fits its topic"
            )


def _wire_limits(settings: Settings) -> WireLimits:
    limits = settings.limits
    return WireLimits(
        record_bytes=limits.record_bytes, tensors=limits.tensors, rows=limits.rows, dims=limits.dims
    )
