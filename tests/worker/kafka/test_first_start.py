"""Where a group starts without a committed offset, when the broker does not make it easy."""

from tests.fakes.kafka import FakeBroker, FakeConsumer
from tests.kit.kafka_worlds import Witness
from worker.kafka.first_start import FirstStart
from worker.kafka.records import TopicPartition

PARTITION = TopicPartition("t", 0)


def make() -> tuple[FakeBroker, FakeConsumer, FirstStart, Witness]:
    """A partition whose first record is number 3."""
    broker = FakeBroker()
    broker.create_topic("t")
    for _ in range(5):
        broker.append("t", b"x")
    broker.delete_records(PARTITION, 3)
    witness = Witness()
    consumer = FakeConsumer(broker, witness)
    consumer.assign({PARTITION: 0})
    return broker, consumer, FirstStart(consumer, witness), witness


def test_the_first_record_there_is_the_start() -> None:
    """Reading starts at the first record that has not expired, and that is committed."""
    broker, consumer, first_start, _ = make()

    first_start.needed(PARTITION)
    first_start.serve()

    assert broker.committed("group") == {PARTITION: 3}
    assert [m.offset() for m in consumer.poll(10, 0.0)] == [3, 4]


def test_a_broker_that_does_not_say_is_asked_again() -> None:
    """The partition waits, the problem is told, and the next call tries again."""
    broker, _, first_start, witness = make()
    broker.unreachable = True
    first_start.needed(PARTITION)

    first_start.serve()
    assert [p.retriable for p in witness.problems] == [True]
    assert broker.committed("group") == {}
    broker.unreachable = False
    first_start.serve()

    assert broker.committed("group") == {PARTITION: 3}


def test_a_commit_that_failed_is_repeated() -> None:
    """The start is committed until it is kept."""
    broker, consumer, first_start, witness = make()
    first_start.needed(PARTITION)
    consumer.evicted = True
    first_start.serve()
    consumer.poll(0, 0.0)
    assert len(witness.problems) == 1

    consumer.evicted = False
    first_start.serve()

    assert broker.committed("group") == {PARTITION: 3}
    consumer.poll(0, 0.0)
    first_start.serve()
    assert len(broker.commits) == 1


def test_what_is_gone_is_not_committed() -> None:
    """A partition that went away, or that a later commit has spoken for, is left alone."""
    broker, consumer, first_start, _ = make()
    first_start.needed(PARTITION)
    consumer.evicted = True
    first_start.serve()
    consumer.poll(0, 0.0)

    first_start.forget([PARTITION])
    consumer.evicted = False
    first_start.serve()

    assert broker.committed("group") == {}
