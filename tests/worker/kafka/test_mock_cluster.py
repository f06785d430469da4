"""The embedded broker of the demonstration."""

import pytest

from tests.kit.kafka_worlds import Witness, poll_until, take
from tests.kit.waiting import PATIENCE_SECONDS
from worker.kafka import client_config, clients, errors
from worker.kafka.admin import Admin
from worker.kafka.mock_cluster import MockCluster
from worker.kafka.records import TopicPartition


def test_requests_and_replies_go_through_it() -> None:
    """Topics come on first use; groups, first starts, commits and headers work."""
    with MockCluster() as cluster:
        where = client_config.connection(cluster.bootstrap_servers)
        cluster.create_topic("requests")
        assert clients.admin(where).topics()["requests"].partitions == 4
        producer = clients.producer(where, Witness().on_problem)
        producer.send("requests", [b"1", b"2"], headers=[[("a", b"b")], None], partition=0)
        assert producer.flush(PATIENCE_SECONDS) == 0
        witness = Witness()
        consumer = clients.group_consumer(where, "group", witness)
        consumer.subscribe(["requests"], witness)

        found = take(consumer, 2)
        partition = TopicPartition("requests", 0)
        poll_until(lambda: consumer.committed([partition])[partition] == 0, consumer)
        consumer.commit({partition: 2})
        consumer.close()
        producer.close()

    assert [m.value() for m in found] == [b"1", b"2"]
    assert list(found[0].headers() or ()) == [("a", b"b")]
    assert witness.names() == ["assigned", "revoked"]


def test_it_is_gone_afterwards() -> None:
    """Closing ends it, also twice."""
    cluster = MockCluster()
    where = client_config.connection(cluster.bootstrap_servers)
    cluster.close()
    cluster.close()
    config = client_config.admin_config(where)

    with pytest.raises(errors.BrokerUnreachable):
        Admin({**config, "log_level": "0"}, timeout_seconds=0.5).topics()
