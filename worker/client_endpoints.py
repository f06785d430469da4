"""What the client needs of Kafka: a producer, and a consumer that stands at the end of the reply topic."""

import dataclasses
import logging
from collections.abc import Mapping

from worker.kafka import client_config, clients
from worker.kafka.client_config import PropertyValue
from worker.kafka.consumer import Consumer
from worker.kafka.errors import KafkaProblem, TopicMissing
from worker.kafka.producer import Producer
from worker.kafka.records import OFFSET_BEGINNING, TopicPartition
from worker.kafka.rights import SOMEBODY
from worker.kafka.topic_rights import require

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Endpoints:
    """A producer of requests, and a consumer assigned to the end of each partition of the reply topic.

    Attributes:
        user: whom the broker takes both for.
    """

    producer: Producer
    consumer: Consumer
    user: str = SOMEBODY


def connect(bootstrap_servers: str, reply_topic: str, properties: Mapping[str, PropertyValue]) -> Endpoints:
    """Open both. Partitions that the reply topic gets later are not read: make a new client.

    Raises:
        NotAuthorized: this user may not read the reply topic.
        KafkaProblem: no broker answers, or the reply topic does not exist.
    """
    where = client_config.connection(bootstrap_servers, properties)
    found = require(clients.admin(where), reply_topic, "READ")
    if found is None:
        raise TopicMissing(
            f"the reply topic {reply_topic!r} does not exist; create it first, for example with "
            "Kafka's kafka-topics.sh, with the partitions that the replies need",
            resource=reply_topic,
        )
    events = ReaderEvents()
    consumer = events.consumer = clients.reader(where, events)
    try:
        listen(consumer, reply_topic, found.partitions)
        # A request that is written twice is answered twice, and the second reply finds nobody waiting.
        producer = clients.producer(where, events.on_problem, only_failures=True, idempotent=False)
        return Endpoints(producer, consumer, where.user)
    except KafkaProblem:
        consumer.close()
        raise


def listen(consumer: Consumer, reply_topic: str, partitions: int) -> None:
    """Assign every partition at its present end, asked of the broker: a reply written after this is seen.

    The logical end (OFFSET_END) would be looked up later, when the reply to a quick request may already lie
    before it.
    """
    every = [TopicPartition(reply_topic, number) for number in range(partitions)]
    consumer.assign({partition: consumer.watermarks(partition)[1] for partition in every})


class ReaderEvents:
    """What the reader of replies reports: logged; what went out of range goes on with what there is."""

    def __init__(self) -> None:
        self.consumer: Consumer | None = None

    def on_problem(self, problem: KafkaProblem) -> None:
        """Replies may come late; the calls' deadlines say when that is too late."""
        logger.warning("Kafka: %s", problem)

    def on_out_of_range(self, partition: TopicPartition, offset: int) -> None:
        """The topic was made anew, or its replies expired unread: everything that is there may be ours."""
        logger.warning(
            "replies before offset %d of %s are lost to this client; it goes on", offset, partition
        )
        if self.consumer is not None:
            self.consumer.seek(partition, OFFSET_BEGINNING)
