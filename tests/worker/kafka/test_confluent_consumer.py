"""What only the consumer on librdkafka can get wrong: brokers that stand still, properties, listeners' errors."""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence

import confluent_kafka
import pytest

from tests.conftest import TopicFactory
from tests.kit.broker import Broker, KafkaBroker
from tests.kit.kafka_worlds import Witness, poll_until, take
from tests.kit.waiting import PATIENCE_SECONDS
from worker.kafka import client_config, clients, errors
from worker.kafka.client_config import Connection
from worker.kafka.consumer import Consumer
from worker.kafka.records import TopicPartition
from worker.kafka.topic_facts import TopicSpec

MakeConsumer = Callable[[Witness], Consumer]


@pytest.fixture
def where(kafka_broker: Broker) -> Connection:
    """The broker of this run."""
    return client_config.connection(kafka_broker.bootstrap_servers)


@pytest.fixture
def frozen(kafka_broker: Broker) -> Iterator[KafkaBroker]:
    """The broker, if it is ours to freeze; it goes on after the test."""
    if not isinstance(kafka_broker, KafkaBroker):
        pytest.skip("freezes the broker, so it must be one of this run")
    yield kafka_broker
    kafka_broker.thaw()


@pytest.fixture
def make(where: Connection) -> Iterator[MakeConsumer]:
    """Makes members of one group."""
    group = f"group-{uuid.uuid4().hex[:8]}"
    made: list[Consumer] = []

    def make(witness: Witness) -> Consumer:
        own = {"topic.metadata.refresh.interval.ms": 300, "fetch.wait.max.ms": 20}
        made.append(clients.group_consumer(where, group, witness, own))
        return made[-1]

    yield make
    for consumer in made:
        consumer.close()


def fill(where: Connection, topic: str, count: int, partition: int = -1) -> None:
    """Put some records into a topic."""
    producer = clients.producer(where, Witness().on_problem)
    producer.send(topic, [b"%d" % n for n in range(count)], partition=partition)
    assert producer.flush(PATIENCE_SECONDS) == 0
    producer.close()


def having_read_five(
    where: Connection, topic: str, make: MakeConsumer
) -> tuple[Consumer, TopicPartition, Witness]:
    """A member that has read the five records of a partition, and who hears of it."""
    witness = Witness()
    fill(where, topic, 5)
    consumer = make(witness)
    consumer.subscribe([topic], witness)
    take(consumer, 5)
    return consumer, TopicPartition(topic, 0), witness


@pytest.mark.kafka
def test_a_commit_does_not_wait_longer_than_told(
    where: Connection, topic: TopicFactory, make: MakeConsumer, frozen: KafkaBroker
) -> None:
    """A broker that stands still makes a commit a problem, and not a stop; afterwards all goes on."""
    consumer, partition, _ = having_read_five(where, topic(), make)
    consumer.commit({partition: 1})

    frozen.freeze()
    with pytest.raises(errors.TimedOut):
        consumer.commit({partition: 2}, timeout_seconds=0.3)
    with pytest.raises(errors.TimedOut):
        consumer.committed([partition], timeout_seconds=0.3)
    with pytest.raises(errors.TimedOut):
        consumer.watermarks(partition, timeout_seconds=0.3)
    assert consumer.poll(10, 0.1) == ()
    frozen.thaw()
    outcomes: list[object] = []
    consumer.commit_async({partition: 3}, lambda _, problem: outcomes.append(problem))
    poll_until(lambda: bool(outcomes), consumer)

    assert outcomes == [None]
    assert consumer.committed([partition]) == {partition: 3}


@pytest.mark.kafka
def test_leaving_does_not_wait_for_a_broker_that_stands_still(
    where: Connection, topic: TopicFactory, make: MakeConsumer, frozen: KafkaBroker
) -> None:
    """With a commit on the way, the client is left alone after the time, and that is told."""
    name, witness = topic(), Witness()
    fill(where, name, 1)
    consumer = make(witness)
    consumer.subscribe([name], witness)
    take(consumer, 1)
    consumer.commit({TopicPartition(name, 0): 1})
    poll_until(lambda: True, consumer)

    frozen.freeze()
    consumer.commit_async({TopicPartition(name, 0): 0})
    consumer.close(0.5)

    assert witness.names() == ["assigned", "revoked"]
    assert isinstance(witness.problems[-1], errors.TimedOut)
    assert consumer.assignment() == frozenset()


@pytest.mark.kafka
def test_a_topic_that_comes_later_is_found(where: Connection, make: MakeConsumer) -> None:
    """A missing topic is a problem that names it; once it is there it is read from its beginning."""
    name, witness = f"later-{uuid.uuid4().hex[:8]}", Witness()
    consumer = make(witness)
    consumer.subscribe([name], witness)
    poll_until(lambda: bool(witness.problems), consumer)
    problem = witness.problems[0]

    assert clients.admin(where).create_topics([TopicSpec(name, 1, 1)]) == {name: None}
    fill(where, name, 3)

    assert [m.value() for m in take(consumer, 3)] == [b"0", b"1", b"2"]
    assert isinstance(problem, errors.TopicMissing)
    assert problem.resource == name


@pytest.mark.kafka
def test_an_error_of_a_listener_loses_no_record(
    where: Connection, topic: TopicFactory, make: MakeConsumer
) -> None:
    """It leaves `poll`, and the next polls return every record."""

    class Failing(Witness):
        def assigned(self, partitions: Sequence[TopicPartition]) -> None:
            super().assigned(partitions)
            raise ZeroDivisionError

    name, witness = topic(), Failing()
    fill(where, name, 5)
    consumer = make(witness)
    consumer.subscribe([name], witness)

    with pytest.raises(ZeroDivisionError):
        poll_until(lambda: False, consumer)

    assert [m.offset() for m in take(consumer, 5)] == list(range(5))


def test_a_property_that_the_client_does_not_know_is_refused() -> None:
    """The message names it, and says whose names these are."""
    where = client_config.connection("127.0.0.1:1", {"sasl.passwort": "x"})

    with pytest.raises(errors.InvalidProperty, match=r"sasl\.passwort.*librdkafka") as caught:
        clients.group_consumer(where, "group", Witness())
    assert caught.value.resource == "sasl.passwort"
    with pytest.raises(errors.InvalidProperty):
        clients.producer(where, Witness().on_problem)
    with pytest.raises(errors.InvalidProperty):
        clients.admin(where)


def test_a_property_that_does_not_fit_the_protocol_is_refused() -> None:
    """The client's own sentence is passed on."""
    where = client_config.connection("127.0.0.1:1")

    with pytest.raises(errors.InvalidProperty, match=r"session\.timeout\.ms"):
        clients.group_consumer(
            where, "group", Witness(), {"group.protocol": "consumer", "session.timeout.ms": 6000}
        )


def test_a_property_that_does_not_fit_a_queue_is_refused() -> None:
    """A member of a share group has no place to keep: a static id is no use to it."""
    where = client_config.connection("localhost:1")

    with pytest.raises(errors.InvalidProperty, match=r"does not fit a queue.*group\.instance\.id"):
        clients.share_member(where, "g", Witness(), {"group.instance.id": "one"})


def test_a_broker_that_is_not_there_is_a_problem_and_no_stop() -> None:
    """The consumer goes on polling, says what is wrong, and can be closed."""
    witness = Witness()
    consumer = clients.group_consumer(client_config.connection("127.0.0.1:1"), "group", witness)
    consumer.subscribe(["topic"], witness)

    poll_until(lambda: bool(witness.problems), consumer)
    consumer.close()

    assert {type(p) for p in witness.problems} == {errors.BrokerUnreachable}


@pytest.mark.kafka
def test_a_position_passes_over_what_is_no_record(
    where: Connection, topic: TopicFactory, make: MakeConsumer
) -> None:
    """Behind a transaction's end it is the partition's end; before one that is open it stays, the end moves on."""
    name, witness = topic(), Witness()
    partition = TopicPartition(name, 0)
    own = {"bootstrap.servers": where.bootstrap_servers, "transactional.id": f"id-{name}"}
    producer = confluent_kafka.Producer(own)
    producer.init_transactions(30)
    consumer = make(witness)
    consumer.subscribe([name], witness)

    producer.begin_transaction()
    producer.produce(name, b"committed", partition=0)
    producer.commit_transaction(30)
    take(consumer, 1)
    poll_until(
        lambda: consumer.positions() == {partition: 2} == {partition: consumer.cached_high(partition)},
        consumer,
    )

    producer.begin_transaction()
    producer.produce(name, b"open", partition=0)
    producer.flush(30)
    poll_until(lambda: consumer.cached_high(partition) == 3, consumer)
    assert consumer.positions() == {partition: 2}

    producer.abort_transaction(30)
    poll_until(lambda: consumer.positions() == {partition: 4}, consumer)


@pytest.mark.kafka
def test_a_log_that_seems_cut_off_is_read_on_where_it_was(
    where: Connection, topic: TopicFactory, make: MakeConsumer
) -> None:
    """The client has no place then, as in a partition that the group has no offset for: nothing is read again."""
    consumer, partition, witness = having_read_five(where, topic(), make)
    consumer.seek(partition, 3)
    beyond = confluent_kafka.TopicPartition(*partition, 400, leader_epoch=0)
    consumer._client.seek(beyond)  # type: ignore[attr-defined] # where this epoch never came

    read_on = take(consumer, 2)

    assert [message.offset() for message in read_on] == [3, 4]
    assert ["lost its place" in str(problem) for problem in witness.problems] == [True]
    assert witness.out_of_range == []
    assert consumer.committed([partition]) == {partition: 0}


@pytest.mark.kafka
def test_what_the_client_reads_again_after_a_rebalance_is_left_out(
    where: Connection, topic: TopicFactory, make: MakeConsumer
) -> None:
    """It goes on too far back at times, in partitions that stay; here it is made to."""
    name, witness = topic("halved", 2), Witness()
    for partition in (0, 1):
        fill(where, name, 5, partition)
    consumer = make(witness)
    consumer.subscribe([name], witness)
    take(consumer, 10)
    other_witness = Witness()
    other = make(other_witness)
    other.subscribe([name], other_witness)
    poll_until(lambda: bool(other.assignment()), consumer, other)
    (stays,) = consumer.assignment()

    consumer._client.seek(confluent_kafka.TopicPartition(*stays, 3))  # type: ignore[attr-defined]
    fill(where, name, 2, stays.partition)

    assert [message.offset() for message in take(consumer, 2)] == [5, 6]


@pytest.mark.kafka
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_an_offset_that_a_transaction_holds_open_is_waited_for(
    where: Connection, topic: TopicFactory, protocol: str
) -> None:
    """After a rebalance the client says that there is none; who believed that would read the partition again."""
    name, group = topic("held", 4), f"group-{uuid.uuid4().hex[:8]}"
    held = TopicPartition(name, 1)
    fill(where, name, 10, held.partition)
    properties = {"heartbeat.interval.ms": 200} if protocol == "classic" else {"group.protocol": protocol}
    members: list[Consumer] = []
    seen: list[int] = []  # of the partition whose offset is held open

    def join() -> None:
        members.append(clients.group_consumer(where, group, Witness(), properties))
        members[-1].subscribe([name], Witness())
        poll_until(lambda: bool(members[-1].assignment()), *members)

    def poll_for(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not seen:
            for member in members:
                seen.extend(message.offset() for message in member.poll(100, 0.05))

    join()
    take(members[0], 10)
    members[0].commit({held: 10})
    own = {"bootstrap.servers": where.bootstrap_servers, "transactional.id": f"id-{name}"}
    producer = confluent_kafka.Producer(own)
    producer.init_transactions(30)
    producer.begin_transaction()
    further = confluent_kafka.TopicPartition(*held, 11)
    producer.send_offsets_to_transaction([further], members[0].membership(), 30)
    members.pop().close()

    for _ in range(3):
        join()
        poll_for(2.0)
    assert seen == []
    producer.abort_transaction(30)
    fill(where, name, 10, held.partition)
    poll_for(PATIENCE_SECONDS)

    for member in members:
        member.close()
    assert seen[0] == 10
