"""The transactional producer of the client library, beside what its contract says."""

import confluent_kafka
import pytest

from tests.kit.broker import free_port
from worker.kafka import client_config, clients, errors
from worker.kafka.records import TopicPartition


def test_who_is_no_member_commits_nothing() -> None:
    """A broker would take such an offset from a worker that its group has put out, and everybody would read again."""
    where = client_config.connection(f"127.0.0.1:{free_port()}")
    consumer = confluent_kafka.Consumer({"bootstrap.servers": "127.0.0.1:1", "group.id": "g", "log_level": 0})
    producer = clients.transactional_producer(where, lambda _: None, transactional_id="t")

    with pytest.raises(errors.StaleMember, match="no member"):
        producer.transact([], {TopicPartition("t", 0): 1}, consumer.consumer_group_metadata())

    producer.close()
    consumer.close()
