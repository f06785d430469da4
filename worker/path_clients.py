"""What makes the Kafka clients of the request path: the real ones, or a test's."""

from collections.abc import Callable
from dataclasses import dataclass

from worker.committing import MakeTransactional
from worker.kafka.consumer import Consumer, ConsumerEvents
from worker.kafka.rights import SOMEBODY
from worker.kafka.share import ShareMember
from worker.producer_pool import MakeProducer
from worker.share_group import QueueTerms


@dataclass(frozen=True, slots=True)
class Clients:
    """Makes the Kafka clients of the request path.

    Attributes:
        consumer: makes the member of the group, given who hears of its problems.
        producer: makes a producer.
        transactional: makes a producer of transactions.
        share_member: makes the member of the share group, given who hears of its problems.
        queue_terms: what the share group promises.
        user: whom the broker takes them for.
    """

    consumer: Callable[[ConsumerEvents], Consumer]
    producer: MakeProducer
    transactional: MakeTransactional
    share_member: Callable[[ConsumerEvents], ShareMember]
    queue_terms: Callable[[], QueueTerms] = QueueTerms
    user: str = SOMEBODY
