"""Who commits: offsets by themselves (at least once), or with the replies (exactly once)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from lifecycle.threads import new_executor
from worker.committer import Committer
from worker.kafka.consumer import Consumer
from worker.kafka.transactional import TransactionalProducer
from worker.offset_tracker import OffsetTracker
from worker.replacements import Replacements
from worker.reply_order import ReplyOrder
from worker.settings import Settings
from worker.settlement import Settlement
from worker.transactions import Transactions

if TYPE_CHECKING:
    from worker.settings_serving import DeliverySettings

MakeTransactional = Callable[[int], TransactionalProducer]
"""Makes a transactional producer whose batches have at most so many bytes."""


def in_order(delivery: "DeliverySettings") -> bool:
    """Whether replies keep the order of their requests: where they are asked to, and in transactions always."""
    return transactional(delivery) or delivery.reply_order == "partition"


def transactional(delivery: "DeliverySettings") -> bool:
    """Whether replies and offsets are written in transactions."""
    return delivery.mode == "exactly_once"


def new_committer(  # noqa: PLR0913 - what it stands between, each by its name
    settings: Settings,
    *,
    consumer: Consumer,
    tracker: OffsetTracker,
    settlement: Settlement,
    order: ReplyOrder | None,
    make: Callable[[], TransactionalProducer],
    replacements: Replacements,
    clock: Callable[[], float],
) -> Committer | Transactions:
    """The one that the settings ask for."""
    delivery = settings.delivery
    if not transactional(delivery):
        return Committer(
            consumer,
            tracker,
            interval_seconds=delivery.commit_interval_seconds,
            on_committed=settlement.committed,
            clock=clock,
        )
    assert order is not None, "transactions take replies in order"
    return Transactions(
        order,
        make=make,
        member=consumer,
        tracker=tracker,
        executor=new_executor(1 if settings.batching.threads else 0, "transactions"),
        on_committed=settlement.committed,
        refused=replacements.of,
        interval_seconds=delivery.transaction_seconds,
        clock=clock,
    )
