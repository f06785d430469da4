"""Topics and groups asked and changed on a real broker."""

import uuid

import pytest

from tests.conftest import TopicFactory
from tests.kit.broker import Broker, free_port
from tests.kit.kafka_worlds import Witness
from tests.kit.waiting import PATIENCE_SECONDS
from worker.kafka import client_config, clients, errors
from worker.kafka.admin import Admin
from worker.kafka.records import TopicPartition
from worker.kafka.topic_facts import Lag, TopicSpec

pytestmark = pytest.mark.kafka


@pytest.fixture
def where(kafka_broker: Broker) -> client_config.Connection:
    """The broker of this run."""
    return client_config.connection(kafka_broker.bootstrap_servers)


@pytest.fixture
def admin(where: client_config.Connection) -> Admin:
    """An admin client."""
    return clients.admin(where)


def test_topics_are_listed_with_their_partitions(admin: Admin, topic: TopicFactory) -> None:
    """Every topic with its partitions and replicas."""
    name = topic("listed", 3)

    found = admin.topics()[name]

    assert (found.name, found.partitions, found.replication, found.problem) == (name, 3, 1, None)
    assert len(admin.brokers()) == 1


def test_each_topic_has_its_own_outcome(admin: Admin, topic: TopicFactory) -> None:
    """One that exists and one that cannot be do not keep another from being created."""
    there = topic("there")
    new, odd = f"new-{uuid.uuid4().hex}", f"odd-{uuid.uuid4().hex}"
    spec = TopicSpec(new, 2, config={"cleanup.policy": "compact", "max.message.bytes": "20000"})

    outcome = admin.create_topics([TopicSpec(there), spec, TopicSpec(odd, config={"no.such": "1"})])

    assert isinstance(outcome[there], errors.TopicExists)
    assert outcome[new] is None
    assert outcome[odd] is not None
    assert "no.such" in str(outcome[odd])
    config = admin.topic_config([new])[new]
    assert config["cleanup.policy"] == "compact"
    assert config["max.message.bytes"] == "20000"
    assert config["min.insync.replicas"] == "1"
    assert admin.topics()[new].partitions == 2
    assert admin.delete_topics([new]) == {new: None}
    assert new not in admin.topics()
    assert admin.create_topics([]) == {}
    assert admin.delete_topics([]) == {}


def test_asking_for_a_topic_makes_none(admin: Admin) -> None:
    """A topic that is not there is an error by name, and still not there."""
    name = f"missing-{uuid.uuid4().hex}"

    with pytest.raises(errors.TopicMissing, match=name):
        admin.topic_config([name])

    assert name not in admin.topics()
    assert isinstance(admin.delete_topics([name])[name], errors.TopicMissing)


def test_lag_counts_from_the_commit(
    admin: Admin, where: client_config.Connection, topic: TopicFactory
) -> None:
    """Per partition: committed offset and end; None for a partition without a commit."""
    name, group = topic("lag", 2), f"group-{uuid.uuid4().hex}"
    producer = clients.producer(where, Witness().on_problem)
    producer.send(name, [b"x"] * 10, partition=0)
    assert producer.flush(PATIENCE_SECONDS) == 0
    producer.close()
    first, second = TopicPartition(name, 0), TopicPartition(name, 1)

    assert admin.committed(group) == {}
    consumer = clients.group_consumer(where, group, Witness())
    consumer.commit({first: 4})
    consumer.close()

    assert admin.committed(group) == {first: 4}
    lag = admin.lag(group, [name, "not-there"])
    assert lag == {first: Lag(4, 10), second: Lag(None, 0)}
    assert lag[first].records == 6
    assert lag[second].records is None


def test_a_broker_that_is_not_there_is_named() -> None:
    """The message says the address and what to check."""
    address = f"127.0.0.1:{free_port()}"
    config = client_config.admin_config(client_config.connection(address))
    admin = Admin({**config, "log_level": "0"}, timeout_seconds=0.5)

    with pytest.raises(errors.BrokerUnreachable, match=address) as caught:
        admin.topics()
    assert "check the address" in str(caught.value)
    with pytest.raises(errors.BrokerUnreachable, match=address):
        admin.create_topics([TopicSpec("x")])


def test_a_topic_that_is_made_again_has_another_id(admin: Admin, topic: TopicFactory) -> None:
    """Several are asked about at once; one that is not there says so, and keeps no other from being told."""
    stays, goes, never = topic("stays"), topic("goes"), f"never-{uuid.uuid4().hex}"
    before = admin.topic_ids([stays, goes, never])
    assert admin.delete_topics([goes]) == {goes: None}
    assert admin.create_topics([TopicSpec(goes, 1, 1)]) == {goes: None}

    after = admin.topic_ids([stays, goes, never])

    assert isinstance(before[stays], str)
    assert before[stays] == after[stays] == admin.find([stays])[stays].id
    assert isinstance(after[goes], str)
    assert after[goes] != before[goes]
    assert isinstance(after[never], errors.TopicMissing)
    assert admin.topic_ids([]) == {}
