"""Where a partition is read that the client has no place in, when the broker does not make it easy."""

from tests.fakes.clock import FakeClock
from tests.fakes.kafka import FakeBroker, FakeConsumer
from tests.kit.kafka_worlds import Witness
from worker.kafka.places import AGAIN_AFTER_SECONDS, Places
from worker.kafka.records import TopicPartition

PARTITION = TopicPartition("t", 0)


def make(partitions: int = 1) -> tuple[FakeBroker, FakeConsumer, Places, Witness, FakeClock]:
    """Partitions whose first record is number 3, and that have been read to their end."""
    broker = FakeBroker()
    broker.create_topic("t", partitions)
    for number in range(partitions):
        for _ in range(5):
            broker.append("t", b"x", partition=number)
        broker.delete_records(TopicPartition("t", number), 3)
    witness, clock = Witness(), FakeClock()
    consumer = FakeConsumer(broker, witness)
    consumer.assign({TopicPartition("t", number): 5 for number in range(partitions)})
    return broker, consumer, Places(consumer, witness, clock), witness, clock


def offsets(consumer: FakeConsumer) -> list[int | None]:
    """Of the records that come."""
    return [message.offset() for message in consumer.poll(10, 0.0)]


def test_the_first_record_there_is_the_start() -> None:
    """Reading starts at the first record that has not expired, once that is committed."""
    broker, consumer, places, _, _ = make()

    places.lost(PARTITION, None, "why")
    places.serve()

    assert broker.committed("group") == {PARTITION: 3}
    assert offsets(consumer) == []  # and hears that the commit is kept
    places.serve()
    assert offsets(consumer) == [3, 4]
    places.serve()
    assert len(broker.commits) == 1


def test_what_the_group_has_committed_is_the_place() -> None:
    """Who lost a place that the group has goes on there, and commits nothing."""
    broker, consumer, places, _, _ = make()
    consumer.commit({PARTITION: 4})
    made = len(broker.commits)

    places.lost(PARTITION, None, "why")
    places.serve()

    assert offsets(consumer) == [4]
    assert len(broker.commits) == made


def test_a_known_place_is_gone_to() -> None:
    """Nobody is asked where it is."""
    broker, consumer, places, _, _ = make()

    places.lost(PARTITION, 4, "why")
    places.serve()

    assert offsets(consumer) == [4]
    assert broker.commits == []


def test_where_a_partition_was_told_to_go_on_it_goes_on() -> None:
    """The client says no position before the first record from there; what was read is not read again."""
    _, consumer, places, witness, _ = make()
    consumer.commit({PARTITION: 3})
    places.given(PARTITION, 4)

    places.lost(PARTITION, None, "why")
    places.serve()

    assert offsets(consumer) == [4]
    assert "goes on at offset 4" in str(witness.problems[0])


def test_a_broker_that_does_not_say_is_asked_again() -> None:
    """The partition waits, the problem is told, and some time later it is tried again."""
    broker, _, places, witness, clock = make()
    broker.unreachable = True
    places.lost(PARTITION, None, "why")

    places.serve()
    places.serve()
    assert [p.retriable for p in witness.problems] == [True]
    assert broker.committed("group") == {}
    broker.unreachable = False
    clock.advance(AGAIN_AFTER_SECONDS)
    places.serve()

    assert broker.committed("group") == {PARTITION: 3}
    assert len(witness.problems) == 1


def test_one_that_is_held_open_keeps_no_other_waiting() -> None:
    """Those that somebody knows a place for are read at once, the others a question later, and it in the end."""
    broker, consumer, places, witness, clock = make(partitions=3)
    held, told, known = (TopicPartition("t", number) for number in range(3))
    consumer.commit({held: 4, told: 4})
    broker.held_open.add(held)
    for partition in (held, told):
        places.lost(partition, None, "why")
    places.lost(known, 4, "why")
    del witness.problems[:]

    places.serve()
    assert [message.partition() for message in consumer.poll(10, 0.0)] == [known.partition]
    assert f"{held}, {told}" in str(witness.problems[0])
    assert "a transaction holds" in str(witness.problems[0])
    clock.advance(AGAIN_AFTER_SECONDS)
    places.serve()
    assert [message.partition() for message in consumer.poll(10, 0.0)] == [told.partition]
    broker.held_open.clear()
    places.serve()

    assert [message.partition() for message in consumer.poll(10, 0.0)] == [held.partition]
    assert len(witness.problems) == 1


def test_a_commit_that_failed_is_repeated() -> None:
    """Nothing is read before the start is kept."""
    broker, consumer, places, witness, clock = make()
    places.lost(PARTITION, None, "why")
    consumer.evicted = True
    places.serve()
    assert offsets(consumer) == []
    assert len(witness.problems) == 1

    consumer.evicted = False
    clock.advance(AGAIN_AFTER_SECONDS)
    places.serve()

    assert broker.committed("group") == {PARTITION: 3}
    assert offsets(consumer) == []
    places.serve()
    assert offsets(consumer) == [3, 4]


def test_what_is_gone_is_left_alone() -> None:
    """A partition that went away while its start was being committed is not read."""
    _, consumer, places, _, _ = make()
    places.lost(PARTITION, None, "why")
    places.serve()

    places.forget([PARTITION])
    consumer.poll(0, 0.0)
    places.serve()

    assert offsets(consumer) == []
