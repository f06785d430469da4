"""What the consumer on librdkafka does when its client answers as brokers seldom do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import confluent_kafka
import pytest

from tests.kit.kafka_worlds import Witness
from worker.kafka import client_config, errors
from worker.kafka.confluent_consumer import ConfluentConsumer
from worker.kafka.records import TopicPartition

PLACE = TopicPartition("requests", 0)


class ScriptedClient:
    """Answers questions for watermarks with one error after the other, then with offsets."""

    def __init__(self, *failures: int) -> None:
        self.failures = list(failures)

    def get_watermark_offsets(self, _partition: Any, timeout: float) -> tuple[int, int]:
        """The next answer."""
        if self.failures:
            raise confluent_kafka.KafkaException(confluent_kafka.KafkaError(self.failures.pop(0)))
        return 3, 7


@contextmanager
def consumer_on(client: ScriptedClient) -> Iterator[ConfluentConsumer]:
    """A consumer that asks *client*."""
    config = client_config.reader_config(client_config.connection("127.0.0.1:1"))
    consumer = ConfluentConsumer({**config, "log_level": "0"}, Witness())
    real, consumer._client = consumer._client, client
    try:
        yield consumer
    finally:
        consumer._client = real
        consumer.close()


def test_watermarks_of_a_partition_that_gets_its_leader_just_now_are_asked_for_again() -> None:
    """A topic is shown before somebody leads it: who asks in that moment is not turned away."""
    refused = confluent_kafka.KafkaError.NOT_LEADER_FOR_PARTITION
    with consumer_on(ScriptedClient(refused, refused)) as consumer:
        assert consumer.watermarks(PLACE, 5.0) == (3, 7)


def test_watermarks_are_not_asked_for_past_the_time_out() -> None:
    """Without a leader in that time, the caller is told."""
    client = ScriptedClient(*[confluent_kafka.KafkaError.NOT_LEADER_FOR_PARTITION] * 100)
    with consumer_on(client) as consumer, pytest.raises(errors.Retriable, match="requests"):
        consumer.watermarks(PLACE, 0.1)


def test_a_question_that_nobody_answers_is_not_asked_twice() -> None:
    """A time-out has used up the time already."""
    client = ScriptedClient(confluent_kafka.KafkaError._TIMED_OUT)
    with consumer_on(client) as consumer, pytest.raises(errors.TimedOut):
        consumer.watermarks(PLACE, 5.0)
