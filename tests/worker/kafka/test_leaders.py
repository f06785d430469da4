"""Asking the leaders of partitions, on a client that answers as brokers seldom do."""

from typing import Any

import confluent_kafka
import pytest

from worker.kafka import errors, leaders

PLACE = confluent_kafka.TopicPartition("requests", 0)
NO_LEADER = confluent_kafka.KafkaError.NOT_LEADER_FOR_PARTITION
NOT_KNOWN_YET = confluent_kafka.KafkaError._UNKNOWN_PARTITION
TIMED_OUT = confluent_kafka.KafkaError._TIMED_OUT


class ScriptedClient:
    """Answers questions for watermarks with one error after the other, then with offsets."""

    def __init__(self, *failures: int) -> None:
        self.failures = list(failures)
        self.asked = 0

    def get_watermark_offsets(self, partition: Any, timeout: float) -> tuple[int, int]:
        """The next answer."""
        self.asked += 1
        if self.failures:
            raise confluent_kafka.KafkaException(confluent_kafka.KafkaError(self.failures.pop(0)))
        return 3, 7


def test_a_partition_that_gets_its_leader_just_now_is_asked_about_again() -> None:
    """A topic is shown before somebody leads it: who asks in that moment is not turned away."""
    client = ScriptedClient(NO_LEADER, NO_LEADER)

    assert leaders.watermarks(client, PLACE, 5.0) == (3, 7)
    assert client.asked == 3


def test_a_broker_that_does_not_know_a_new_topic_yet_is_asked_again() -> None:
    """Another one has shown it already; for as long as there is time, and then the topic is missing."""
    client = ScriptedClient(NOT_KNOWN_YET, NOT_KNOWN_YET)

    assert leaders.watermarks(client, PLACE, 5.0) == (3, 7)
    assert client.asked == 3
    with pytest.raises(errors.TopicMissing, match="requests"):
        leaders.watermarks(ScriptedClient(*[NOT_KNOWN_YET] * 100), PLACE, 0.1)


def test_nothing_is_asked_past_the_time_out() -> None:
    """Without a leader in that time, the caller is told about which topic."""
    with pytest.raises(errors.Retriable, match="requests"):
        leaders.watermarks(ScriptedClient(*[NO_LEADER] * 100), PLACE, 0.1)


def test_a_question_that_nobody_answers_is_not_asked_twice() -> None:
    """A time-out has used up the time already."""
    client = ScriptedClient(TIMED_OUT)

    with pytest.raises(errors.TimedOut):
        leaders.watermarks(client, PLACE, 5.0)
    assert client.asked == 1
