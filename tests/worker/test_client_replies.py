"""The client's thread, stepped by hand on a broker in memory."""

import pytest

from schemas import headers as names
from schemas.codec import encode
from schemas.predict_reply import PredictReply
from tests.fakes.clock import FakeClock
from tests.fakes.kafka import FakeBroker, FakeConsumer, FakeProducer
from worker.client_calls import Call, CallTable
from worker.client_claims import ClientClaims
from worker.client_endpoints import Endpoints, ReaderEvents, listen
from worker.client_errors import ClientClosed, NoReply
from worker.client_replies import ReplyReader
from worker.kafka.errors import Fatal
from worker.kafka.records import TopicPartition

PARTITIONS = 3


class World:
    """A reader of replies on a topic of three partitions, with some records on it already."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.broker = FakeBroker()
        self.broker.create_topic("replies", PARTITIONS)
        self.calls = CallTable(b"client-1", "requests")
        self.before = self.calls.open("m", 0.0, 10.0)
        self.answer(self.before)
        events = ReaderEvents()
        self.consumer = events.consumer = FakeConsumer(self.broker, events)
        self.producer = FakeProducer(self.broker)
        listen(self.consumer, "replies", PARTITIONS)
        claims = ClientClaims(None, above_bytes=0, trusted_roots=(), owner="requests")
        self.reader = ReplyReader(Endpoints(self.producer, self.consumer), self.calls, claims, self.clock)

    def call(self, timeout_seconds: float = 10.0) -> Call:
        """A request under way."""
        return self.calls.open("m", self.clock(), timeout_seconds)

    def answer(self, call: Call, partition: int = 0, version: int = 1) -> None:
        """A worker's reply to it."""
        headers = [(names.TRACEPARENT, b"x"), (names.PLAIN_CORRELATION_ID, call.correlation_id)]
        self.broker.append(
            "replies", encode(PredictReply("m", version)), headers=headers, partition=partition
        )


@pytest.fixture
def world() -> World:
    """One client."""
    return World()


def test_replies_of_every_partition_find_their_calls(world: World) -> None:
    """Whatever key a request had, its reply is seen."""
    calls = [world.call() for _ in range(PARTITIONS)]
    for partition, call in enumerate(calls):
        world.answer(call, partition, version=partition)

    world.reader.step()

    assert [call.future.result(0).version for call in calls] == [0, 1, 2]


def test_replies_from_before_are_not_read(world: World) -> None:
    """The client stands at the end of the topic: it has asked nothing before."""
    world.reader.step()

    assert not world.before.future.done()


def test_a_reply_repeated_is_taken_once(world: World) -> None:
    """Workers answer at least once."""
    call = world.call()
    world.answer(call, version=1)
    world.answer(call, version=2)

    world.reader.step()

    assert call.future.result(0).version == 1


def test_a_record_whose_headers_cannot_be_read_is_somebody_elses(world: World) -> None:
    """It is no reply of a worker's, and the replies around it are found."""
    call = world.call()
    world.broker.append("replies", b"x", headers=[("\udcff", b"x")], partition=0)
    world.answer(call)

    world.reader.step()

    assert call.future.result(0).version == 1


def test_deadlines_pass_on_a_quiet_topic(world: World) -> None:
    """Each step looks at the clock, and a reply that is already there counts as in time."""
    quick, answered, slow = world.call(2.0), world.call(2.0), world.call(5.0)
    world.answer(answered)

    world.clock.advance(2.0)
    world.reader.step()

    assert isinstance(quick.future.exception(0), NoReply)
    assert answered.future.result(0).version == 1
    assert not slow.future.done()


def test_expired_replies_do_not_stop_the_reading(world: World) -> None:
    """Where retention has taken what was not read, the client goes on with what is there."""
    lost, found = world.call(), world.call()
    world.answer(lost)
    world.broker.delete_records(TopicPartition("replies", 0), 2)
    world.answer(found)

    for _ in range(3):
        world.reader.step()

    assert found.future.result(0).version == 1
    assert not lost.future.done()


def test_the_thread_ends_with_its_connections(world: World) -> None:
    """When Kafka says that it is of no use to go on, nothing is left open: no call, no connection."""
    call = world.call()
    world.consumer.inject(Fatal("fenced"))

    world.reader.run()

    assert "the client has stopped: fenced" in str(call.future.exception(0))
    assert world.consumer.closed
    with pytest.raises(ClientClosed):
        world.call()
    assert not world.reader.wait_for_room()
