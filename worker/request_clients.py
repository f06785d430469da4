"""The Kafka clients of the request path, as the settings want them."""

import logging

from worker.kafka import clients
from worker.kafka.client_config import Connection
from worker.kafka.consumer import Consumer, ConsumerEvents
from worker.kafka.errors import KafkaProblem
from worker.kafka.producer import Producer
from worker.kafka.share import ShareMember
from worker.kafka.transactional import TransactionalProducer
from worker.log import Occasionally
from worker.metrics import Metrics
from worker.path_clients import Clients
from worker.producer_pool import ProducerKind
from worker.settings import Settings
from worker.share_group import ShareGroup

log = logging.getLogger(__name__)

PREFETCH_SHARE = 4  # the client prefetches at most a fourth of the budget: it is memory beside the budget
QUEUE_HEADROOM = 4


def request_clients(settings: Settings, where: Connection, metrics: Metrics, queue: ShareGroup) -> Clients:
    """What makes them; the terms of a queue are those that *queue* has been told by then."""
    kafka, delivery = settings.kafka, settings.delivery
    occasionally = Occasionally(log, seconds=10.0)

    def consumer(events: ConsumerEvents) -> Consumer:
        return clients.group_consumer(
            where,
            kafka.group,
            events,
            kafka.consumer_properties,
            prefetch_bytes=delivery.budget_bytes // PREFETCH_SHARE,
        )

    def share_member(events: ConsumerEvents) -> ShareMember:
        return clients.share_member(
            where, kafka.group, events, kafka.consumer_properties, max_records=delivery.queue_records
        )

    def on_problem(problem: KafkaProblem) -> None:
        kind = type(problem).__name__
        metrics.kafka_problem("producer", kind)
        occasionally.warning("the producer has a problem", key=kind, problem=str(problem))

    def producer(kind: ProducerKind) -> Producer:
        own = dict(kafka.producer_properties)
        if kind.batch_records:
            own["batch.num.messages"] = kind.batch_records
        return clients.producer(
            where,
            on_problem,
            own,
            # Every record read has one reply, so a queue as large as the budget is never full by number.
            queue_records=max(100_000, QUEUE_HEADROOM * delivery.budget_rows),
            queue_bytes=delivery.budget_bytes,
            batch_bytes=kind.batch_bytes,
            only_failures=kind.only_failures,
            prompt=kind.prompt,
        )

    def transactional(batch_bytes: int) -> TransactionalProducer:
        return clients.transactional_producer(
            where,
            on_problem,
            kafka.producer_properties,
            queue_records=max(100_000, QUEUE_HEADROOM * delivery.budget_rows),
            queue_bytes=delivery.budget_bytes,
            batch_bytes=batch_bytes,
            # What a killed worker has left open is given up when one of its id starts, else after ten seconds.
            transactional_id=f"{kafka.group}-{settings.worker_id}",
        )

    return Clients(consumer, producer, transactional, share_member, lambda: queue.terms, where.user)
