"""A client of each kind in one call: configuration, log and adapter put together."""

from collections.abc import Callable, Mapping
from typing import Any

from worker.kafka import client_config
from worker.kafka.admin import Admin
from worker.kafka.client_config import Connection, PropertyValue
from worker.kafka.client_log import client_logger
from worker.kafka.confluent_consumer import ConfluentConsumer
from worker.kafka.confluent_producer import ConfluentProducer
from worker.kafka.confluent_share import ConfluentShareMember
from worker.kafka.confluent_transactional import ConfluentTransactionalProducer
from worker.kafka.consumer import Consumer, ConsumerEvents
from worker.kafka.errors import KafkaProblem
from worker.kafka.producer import Producer
from worker.kafka.share import ShareMember
from worker.kafka.transactional import TransactionalProducer


def group_consumer(
    where: Connection,
    group: str,
    events: ConsumerEvents,
    own: Mapping[str, PropertyValue] | None = None,
    *,
    prefetch_bytes: int = 64 << 20,
) -> Consumer:
    """A member of the group *group*; it joins with `subscribe`.

    Raises:
        InvalidProperty: a property is unknown, impossible, or headrace's own.
    """
    config = client_config.group_consumer_config(where, group, own, prefetch_bytes=prefetch_bytes)
    return ConfluentConsumer(config, events, log=client_logger())


def share_member(
    where: Connection,
    group: str,
    events: ConsumerEvents,
    own: Mapping[str, PropertyValue] | None = None,
    *,
    max_records: int = 500,
) -> ShareMember:
    """A member of the share group *group*; it joins with `subscribe`. A poll brings about *max_records*.

    Raises:
        InvalidProperty: a property is unknown, impossible, or headrace's own.
    """
    config = client_config.share_member_config(where, group, max_records, own)
    return ConfluentShareMember(config, events, log=client_logger())


def reader(where: Connection, events: ConsumerEvents) -> Consumer:
    """A consumer for `assign`, that belongs to no group.

    Raises:
        InvalidProperty: a property is unknown or impossible.
    """
    return ConfluentConsumer(client_config.reader_config(where), events, log=client_logger())


def producer(
    where: Connection,
    on_problem: Callable[[KafkaProblem], None],
    own: Mapping[str, PropertyValue] | None = None,
    **limits: Any,
) -> Producer:
    """A producer; *limits* are the keyword arguments of `client_config.producer_config`.

    Raises:
        InvalidProperty: a property is unknown, impossible, or headrace's own.
    """
    return ConfluentProducer(
        client_config.producer_config(where, own, **limits), on_problem, log=client_logger()
    )


def transactional_producer(
    where: Connection,
    on_problem: Callable[[KafkaProblem], None],
    own: Mapping[str, PropertyValue] | None = None,
    **limits: Any,
) -> TransactionalProducer:
    """A producer of transactions; *limits* as for `producer`, with a `transactional_id`.

    Raises:
        InvalidProperty: a property is unknown, impossible, or headrace's own.
    """
    config = client_config.producer_config(where, own, only_failures=True, **limits)
    return ConfluentTransactionalProducer(config, on_problem, log=client_logger())


def admin(where: Connection) -> Admin:
    """An admin client.

    Raises:
        InvalidProperty: a property is unknown or impossible.
    """
    return Admin(client_config.admin_config(where), log=client_logger())
