"""The way of a request, put together: from the request topics to the reply topics.

Built once the worker may join its group, because the producers' batch sizes follow from the reply topics' limits.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from schemas.catalog import Catalog
from schemas.request_decoder import RequestDecoder
from schemas.wire_limits import WireLimits
from worker import committing
from worker.admission_settings import admission_of
from worker.answering import Answering, Enqueuing
from worker.attempts import Attempts
from worker.batch_queues import BatchQueues
from worker.batch_scheduler import batch_scheduler
from worker.budget import Budget, Limits
from worker.claims import Claims
from worker.consumer_reports import ConsumerReports
from worker.dead_letters import DeadLetters
from worker.failing import Failing
from worker.giving_way import GivingWay
from worker.group_reading import GroupReading
from worker.inference import Inference
from worker.intake import Intake
from worker.kafka.errors import KafkaProblem
from worker.lazy_demand import LazyDemand
from worker.metrics import Metrics
from worker.model_queue_options import ModelQueueOptions
from worker.model_table import ModelTable
from worker.offset_tracker import OffsetTracker
from worker.path_clients import Clients
from worker.path_parts import PathParts
from worker.polled_records import PolledRecords
from worker.producer_pool import ProducerPool
from worker.publisher import Publisher
from worker.queue_control import QueueControls
from worker.queue_reading import QueueReading
from worker.read_ahead import ReadAhead
from worker.refusals import Refusals
from worker.reply_order import ReplyOrder
from worker.router import Manager, Router
from worker.routing import Routing
from worker.run_sizes import RunSizes
from worker.settings import Settings
from worker.settlement import Settlement
from worker.shadowing import Shadowing, Surroundings
from worker.stop_flag import StopFlag
from worker.topic_directory import TopicDirectory

if TYPE_CHECKING:
    from worker.reading import Reading

log = logging.getLogger(__name__)


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
        demand: LazyDemand | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        on_idle: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        delivery, bindings, wire = settings.delivery, settings.bindings, settings.limits
        binding_of = {topic: b.name for b in bindings for topic in b.request_topics}
        dead_letter_topics = {t: b.dead_letter_topic_of(t) for b in bindings for t in b.request_topics}
        self._tracker = OffsetTracker()
        self._claims = Claims(settings, metrics, clock=clock, wall=wall)
        limits = Limits(delivery.budget_rows, delivery.budget_bytes, delivery.model_share)
        self._budget = Budget(limits, {b.name: b.share for b in bindings}, ReadAhead(clock))
        for binding in bindings:
            metrics.budget(
                binding.name, int(limits.rows * binding.share), int(limits.size_bytes * binding.share)
            )
        self.failing = Failing(
            [b.name for b in bindings],
            ratio=delivery.failing_ratio,
            least_requests=delivery.failing_requests,
            pause_seconds=delivery.failing_pause_seconds,
            clock=clock,
            on_change=metrics.failing,
        )
        settlement = Settlement(self._budget, metrics, binding_of, self.failing)

        own_topics = frozenset({b.reply_topic for b in bindings} | set(dead_letter_topics.values()))
        self._refusals = Refusals(
            own_topics=own_topics,
            directory=directory,
            on_stuck=self._stick,
            on_dead_letter=metrics.dead_lettered,
            on_refused=metrics.replies_refused,
            on_reproduced=metrics.replies_reproduced,
            claims=self._claims.replies,
            user=clients.user,
            clock=clock,
        )
        batch_bytes = min(map(directory.max_message_bytes, own_topics))
        order = ReplyOrder(metrics.requests_left, wall) if committing.in_order(delivery) else None
        events = ConsumerReports(metrics, directory)
        in_queue = delivery.mode == "queue"
        new_reading: Callable[[PathParts], Reading]
        if in_queue:
            new_reading = partial(
                QueueReading, clients.queue_terms(), clients.share_member(events), metrics, on_idle=on_idle
            )
        else:
            new_reading = partial(
                GroupReading,
                settings,
                clients.consumer(events),
                metrics,
                events=events,
                make_transactional=lambda: clients.transactional(batch_bytes),
                order=order,
                on_idle=on_idle,
            )
        self._publisher = Publisher(
            ProducerPool(
                clients.producer,
                directory,
                batch_bytes=batch_bytes,
                quiet_topics=[b.reply_topic for b in bindings] if order is None and not in_queue else (),
                quiet_records=delivery.budget_rows // 4,
                clock=clock,
            ),
            directory,
            topics={b.name: b.reply_topic for b in bindings},
            dead_letters=DeadLetters(dead_letter_topics, settings.kafka.group, settings.worker_id),
            on_settled=settlement.settled,
            on_failure=self._refusals.note,
            order=order,
            transactional=committing.transactional(delivery),
            claims=self._claims.replies,
            wall=wall,
        )

        self._demand = demand or LazyDemand(clock)
        router = Router(table, manager, {b.name: b.models for b in bindings}, self._demand)
        options = ModelQueueOptions(settings.batching, table)
        self.scheduler = batch_scheduler(settings.batching, metrics.queues, clock)
        sizes = RunSizes(settings.batching.out_of_memory_seconds, clock)
        self._queues = BatchQueues(
            self.scheduler,
            Inference(
                self._publisher,
                metrics.runs,
                wall=wall,
                giving_way=GivingWay(settings.batching.overlap_seconds),
                attempts=Attempts(settings.batching.attempts, settings.batching.attempts_seconds),
                sizes=sizes,
            ),
            options.of,
            max_batch_bytes=settings.batching.max_batch_bytes,
            max_request_rows_of=options.max_request_rows,
            wall=wall,
            ragged_of=options.ragged_of,
            controls=QueueControls(options.p99_seconds, metrics.objectives, clock),
        )
        self._shadowing = Shadowing(
            Surroundings(
                settings.batching,
                table,
                router,
                options,
                directory,
                clients,
                metrics.shadow,
                busy=lambda: self.scheduler.seconds_until_due() == 0.0,
            ),
            clock=clock,
            wall=wall,
        )
        answering = Answering(self._publisher, router, metrics)
        self._intake = Intake(
            binding_of=binding_of,
            decoder=RequestDecoder(
                catalog, WireLimits(wire.record_bytes, wire.tensors, wire.rows, wire.dims)
            ),
            admission=admission_of(settings, directory, own_topics),
            router=router,
            answering=answering,
            routing=Routing(router, Enqueuing(self._queues, answering), self._publisher, self._shadowing),
            claims=self._claims.requests(answering, self._budget),
            publisher=self._publisher,
            tracker=self._tracker,
            budget=self._budget,
            observer=metrics,
            hold_seconds=settings.holding.loading_seconds,
            hold_topic_seconds=settings.holding.topic_seconds,
            on_read=self._follow,
            clock=clock,
            wall=wall,
        )
        self.reading = new_reading(
            PathParts(
                intake=self._intake,
                queues=self._queues,
                sizes=sizes,
                shadowing=self._shadowing,
                publisher=self._publisher,
                refusals=self._refusals,
                tracker=self._tracker,
                budget=self._budget,
                settlement=settlement,
                failing=self.failing,
                directory=directory,
                binding_of=binding_of,
                own_topics=own_topics,
                step_batches=self.scheduler.step if settings.batching.threads == 0 else None,
                clock=clock,
            )
        )

    def run(self, stop: StopFlag) -> None:
        """Join the group and serve until told to stop.

        Raises:
            Fatal: a Kafka client is of no use any more.
        """
        topics = [topic for binding in self._settings.bindings for topic in binding.request_topics]
        self.reading.join(topics)
        log.info(
            "joining the group", extra={"group": self._settings.kafka.group, "topics": ", ".join(topics)}
        )
        while not stop.is_set():
            self.reading.loop.step()

    def finish(self, deadline: float) -> bool:
        """Read nothing more, answer and commit what was read until *deadline*, leave the group; whether all was."""
        self.reading.end_by(deadline)
        done = self.reading.loop.finish(deadline)
        if not done:
            log.warning(
                "the time to end is over; what is not answered is repeated by another worker",
                extra={"unanswered": self._tracker.unsettled()},
            )
        self.reading.leave()
        return done

    def standing_still(self) -> list[str]:
        """What is not read, and why; any thread."""
        stopped = list(self.reading.stopped.items())
        return [f"{place} stands still: {why}" for place, why in stopped] + self.failing.reasons()

    def lose(self, topic: str) -> None:
        """Forget what was read of a request topic: nothing is committed for it, and what is answered is answered."""
        self.reading.lose(topic)

    def close(self) -> None:
        """Let go of threads and clients, whatever state they are in; what is not committed is repeated."""
        self.reading.end_by(-math.inf)
        self._demand.give_up()
        self._publisher.close()
        self._claims.close()
        self._shadowing.close()
        self._queues.drop_waiting()
        for block in self.scheduler.close(drain=False, wait=False):
            block.handle.release()
        self.scheduler.join(5.0)
        for close in (self.reading.close_commits, self._publisher.close_producers, self.reading.leave):
            try:
                close()
            except KafkaProblem as problem:
                log.warning("a Kafka client ended badly", extra={"problem": str(problem)})

    def _follow(self, records: PolledRecords) -> None:
        self.failing.read(records.binding, len(records))
        self.reading.follow(records)

    def _stick(self, records: PolledRecords, positions: Sequence[int], reason: str) -> None:
        self.reading.stick(records, positions, reason)
