"""What every transactional producer promises: the fake one and the real one."""

import uuid
from collections.abc import Callable

import pytest

from tests.kit.broker import Broker
from tests.kit.kafka_worlds import RealWorld, Witness, World, poll_until, take
from worker.kafka import errors
from worker.kafka.consumer import Consumer
from worker.kafka.records import Message, TopicPartition
from worker.kafka.transactional import RecordsRefused, Send


@pytest.fixture
def read(world: World) -> Callable[[str, int], list[Message]]:
    """Reads committed records of a topic from its beginning, so many."""

    def read(topic: str, count: int) -> list[Message]:
        consumer = world.consumer(Witness(), f"reader-{uuid.uuid4().hex[:8]}")
        consumer.assign({TopicPartition(topic, 0): 0})
        return take(consumer, count)

    return read


def member(
    world: World, group: str, topic: str, witness: Witness | None = None, *, missed_soon: bool = False
) -> Consumer:
    """A member of the group that holds the topic's one partition."""
    witness = witness or Witness()
    consumer = world.consumer(witness, group, missed_soon=missed_soon)
    consumer.subscribe([topic], witness)
    poll_until(lambda: len(consumer.assignment()) == 1, consumer)
    return consumer


def values(messages: list[Message]) -> list[bytes | None]:
    """Their values."""
    return [message.value() for message in messages]


def test_records_and_offsets_come_together(
    world: World, group: str, read: Callable[[str, int], list[Message]]
) -> None:
    """What was sent is there with keys and headers, and the group's offset has moved."""
    requests, replies = world.topic(), world.topic()
    producer = world.transactional(Witness(), f"{group}-t")
    producer.start()
    consumer = member(world, group, requests)
    sends = [
        Send(replies, -1, [b"a", b"b"], [b"k", None], [[("h", b"1")], None]),
        Send(replies, 0, [b"c", None]),
    ]

    producer.transact(sends, {TopicPartition(requests, 0): 7}, consumer.membership())
    producer.transact([Send(replies, 0, [b"d"])], {TopicPartition(requests, 0): 9}, consumer.membership())

    found = read(replies, 5)
    assert values(found) == [b"a", b"b", b"c", None, b"d"]
    assert [message.key() for message in found[:2]] == [b"k", None]
    assert list(found[0].headers() or ()) == [("h", b"1")]
    assert world.committed(group) == {TopicPartition(requests, 0): 9}


@pytest.mark.parametrize("alone", [False, True])
def test_a_refused_record_takes_the_transaction_with_it(
    world: World, group: str, read: Callable[[str, int], list[Message]], *, alone: bool
) -> None:
    """Nothing of it is seen; sent one by one, the record at fault is named, and the next transaction goes well."""
    requests, replies = world.topic(), world.topic(config={"max.message.bytes": "1000"})
    producer = world.transactional(Witness(), f"{group}-t")
    producer.start()
    consumer = member(world, group, requests)
    before = dict(world.committed(group))
    sends = [Send(replies, 0, [b"a", b"x" * 2000, b"b"])]

    with pytest.raises(RecordsRefused) as raised:
        producer.transact(sends, {TopicPartition(requests, 0): 3}, consumer.membership(), alone=alone)

    refused = [(number, value) for number, value, _ in raised.value.refused]
    assert (0, b"x" * 2000) in refused
    assert not alone or len(refused) == 1
    assert {type(problem) for _, _, problem in raised.value.refused} == {errors.MessageTooLarge}
    assert world.committed(group) == before
    producer.transact([Send(replies, 0, [b"c"])], {TopicPartition(requests, 0): 3}, consumer.membership())
    assert values(read(replies, 1)) == [b"c"]


def test_a_member_that_the_group_has_moved_past_is_refused(
    world: World, group: str, read: Callable[[str, int], list[Message]]
) -> None:
    """Its replies are not seen and its offsets not kept; with its new membership it goes on."""
    requests, replies = world.topic(), world.topic()
    witness = Witness()
    producer = world.transactional(Witness(), f"{group}-t")
    producer.start()
    consumer = member(world, group, requests, witness, missed_soon=True)
    stale = consumer.membership()
    before = dict(world.committed(group))
    world.evict(consumer)

    with pytest.raises(errors.StaleMember):
        producer.transact([Send(replies, 0, [b"late"])], {TopicPartition(requests, 0): 5}, stale)

    assert world.committed(group) == before

    poll_until(lambda: witness.names().count("assigned") == 2, consumer)
    producer.transact(
        [Send(replies, 0, [b"in time"])], {TopicPartition(requests, 0): 5}, consumer.membership()
    )
    assert values(read(replies, 1)) == [b"in time"]


def test_a_member_that_was_put_out_and_has_not_heard_of_it_is_refused(
    world: World, group: str, read: Callable[[str, int], list[Message]]
) -> None:
    """Its own word for its membership is of no use then: brokers would take its heir's offsets back."""
    requests, replies = world.topic(), world.topic()
    late, heirs = (world.transactional(Witness(), f"{group}-{name}") for name in ("late", "heir"))
    late.start()
    consumer = member(world, group, requests, missed_soon=True)
    world.evict(consumer)
    heir = member(world, group, requests)
    heirs.transact([Send(replies, 0, [b"the heir's"])], {TopicPartition(requests, 0): 9}, heir.membership())

    with pytest.raises(errors.StaleMember):
        late.transact([Send(replies, 0, [b"late"])], {TopicPartition(requests, 0): 5}, consumer.membership())

    assert world.committed(group) == {TopicPartition(requests, 0): 9}
    heirs.transact([Send(replies, 0, [b"more"])], {TopicPartition(requests, 0): 10}, heir.membership())
    assert values(read(replies, 2)) == [b"the heir's", b"more"]


@pytest.mark.kafka
def test_a_new_producer_of_the_same_id_takes_over(
    kafka_broker: Broker, topic: Callable[..., str], group: str
) -> None:
    """The old one is of no use any more: what a process that was taken for dead still sends is not seen."""
    world = RealWorld(kafka_broker, topic)
    requests, replies = world.topic(), world.topic()
    consumer = member(world, group, requests)
    old, new = (world.transactional(Witness(), f"{group}-t") for _ in range(2))
    old.transact([Send(replies, 0, [b"a"])], {TopicPartition(requests, 0): 1}, consumer.membership())
    new.start()

    with pytest.raises(errors.Fatal):
        old.transact([Send(replies, 0, [b"b"])], {TopicPartition(requests, 0): 2}, consumer.membership())

    new.transact([Send(replies, 0, [b"c"])], {TopicPartition(requests, 0): 2}, consumer.membership())
    reader = world.consumer(Witness(), f"reader-{uuid.uuid4().hex[:8]}")
    reader.assign({TopicPartition(replies, 0): 0})
    assert values(take(reader, 2)) == [b"a", b"c"]
    world.close()
