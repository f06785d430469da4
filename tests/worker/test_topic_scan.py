"""A topic read once, to the end that it had when the reading began."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from tests.fakes.clock import FakeClock
from tests.fakes.kafka import FakeAdmin, FakeConsumer
from tests.fakes.kafka_broker import FakeBroker, FakeMessage
from worker.kafka.errors import BrokerUnreachable, Retriable, TimedOut, TopicMissing
from worker.kafka.records import Message, TopicPartition
from worker.topic_scan import TopicScan

P0, P1 = TopicPartition("t", 0), TopicPartition("t", 1)


class Marked(FakeConsumer):
    """A consumer of a topic whose partitions end with a mark of a transaction, which nobody gets to see."""

    def watermarks(self, partition: TopicPartition, timeout_seconds: float = 5.0) -> tuple[int, int]:
        """One more than there are records."""
        low, high = super().watermarks(partition)
        return low, high + 1


class Silent(FakeConsumer):
    """A consumer that nothing comes to, once it has begun; nobody else hears of the broker either, where told so."""

    away = False

    def assign(self, offsets: Mapping[TopicPartition, int]) -> None:
        """From now on there is silence."""
        super().assign(dict.fromkeys(offsets, 1_000))
        self._broker.unreachable = self.away

    def _read(self, partition: TopicPartition, most: int) -> Sequence[FakeMessage]:
        return ()


class World:
    """A topic of two partitions, and a scan of it whose time passes while it waits."""

    def __init__(self, kind: type[FakeConsumer] = FakeConsumer) -> None:
        self.clock = FakeClock()
        self.broker = FakeBroker()
        self.broker.create_topic("t", 2)
        self.made: list[FakeConsumer] = []
        self._kind = kind

    def scan(self, *topics: str) -> TopicScan:
        """A scan that has not begun."""
        return TopicScan(topics or ("t",), self._new, FakeAdmin(self.broker), clock=self.clock)

    def _new(self, events: Any) -> FakeConsumer:
        self.made.append(self._kind(self.broker, events, "", self.clock.advance))
        return self.made[-1]


def values(messages: Iterator[Message] | Sequence[Message]) -> list[bytes | None]:
    """Their values, partition by partition."""
    return [m.value() for m in sorted(messages, key=lambda m: (m.partition(), m.offset()))]


def test_everything_between_the_bounds_is_read_in_no_time() -> None:
    """The end is known, so nothing is waited for."""
    world = World()
    for n in range(1200):
        world.broker.append("t", b"%04d" % n, partition=n % 2)

    with world.scan() as scan:
        assert scan.bounds == {P0: (0, 600), P1: (0, 600)}
        found = values(scan.read(scan.bounds))

    assert found == [b"%04d" % n for n in (*range(0, 1200, 2), *range(1, 1200, 2))]
    assert world.clock() == 0.0
    assert world.made[0].closed


def test_what_is_written_meanwhile_is_not_read() -> None:
    """Not even when it comes faster than it is read; and other ranges of it may be read after that."""
    world = World()
    for n in range(3):
        world.broker.append("t", b"%d" % n, partition=0)

    with world.scan() as scan:
        found = []
        for message in scan.read(scan.bounds):
            found.append(message)
            for _ in range(10):
                world.broker.append("t", b"new", partition=0)
                world.broker.append("t", b"new", partition=1)
        again = values(scan.read({P0: (1, 2)}))

    assert values(found) == [b"0", b"1", b"2"]
    assert again == [b"1"]


def test_a_record_whose_headers_nobody_can_read_has_none() -> None:
    """The client library would end the process when it is asked for them a second time."""
    world = World()
    world.broker.append("t", b"0", partition=0, headers=[("good", b"x")])
    world.broker.append("t", b"1", partition=0, headers=[("\udcff", b"x")])

    with world.scan() as scan:
        found = list(scan.read(scan.bounds))

    assert [message.headers() for message in found] == [[("good", b"x")], []]


def test_an_end_without_a_record_is_found_by_silence() -> None:
    """A transaction's mark takes an offset and is never read."""
    world = World(Marked)
    world.broker.append("t", b"0", partition=0)

    with world.scan() as scan:
        found = values(scan.read(scan.bounds))

    assert found == [b"0"]
    assert 3.0 <= world.clock() < 4.0


def test_records_that_expire_meanwhile_are_passed_over() -> None:
    """The reading goes on at the first that is still there."""
    world = World()
    for n in range(4):
        world.broker.append("t", b"%d" % n, partition=0)

    with world.scan() as scan:
        world.broker.delete_records(P0, 2)
        found = values(scan.read(scan.bounds))

    assert found == [b"2", b"3"]


def test_an_empty_range_asks_nobody() -> None:
    """Nothing is assigned, nothing waited for."""
    world = World()

    with world.scan() as scan:
        assert list(scan.read(scan.bounds)) == []

    assert world.clock() == 0.0


def test_a_broker_that_says_what_is_wrong_is_given_time_and_then_quoted() -> None:
    """A problem may pass; silence with a problem is no end of the topic."""
    world = World(Silent)
    world.broker.append("t", b"0", partition=0)

    with world.scan() as scan:
        world.made[0].inject(BrokerUnreachable("no broker answers"))
        with pytest.raises(BrokerUnreachable, match="no broker answers"):
            list(scan.read(scan.bounds))

    assert 30.0 <= world.clock() < 31.0


def test_a_problem_that_passes_is_forgotten() -> None:
    """What comes after it is read."""
    world = World()
    world.broker.append("t", b"0", partition=0)

    with world.scan() as scan:
        world.made[0].inject(Retriable("an election"))
        assert values(scan.read(scan.bounds)) == [b"0"]


def test_a_topic_that_is_not_there_is_named() -> None:
    """Before any consumer is made."""
    world = World()

    with pytest.raises(TopicMissing, match="'other' does not exist"), world.scan("t", "other"):
        pass

    assert world.made == []


def test_a_consumer_that_learns_no_bounds_is_given_back() -> None:
    """Nothing leaks when the beginning fails."""
    world = World()

    class Mute(FakeConsumer):
        def watermarks(self, partition: TopicPartition, timeout_seconds: float = 5.0) -> tuple[int, int]:
            raise TimedOut("no answer")

    world._kind = Mute
    with pytest.raises(TimedOut), world.scan():
        pass

    assert world.made[0].closed


def test_silence_is_no_end_while_the_broker_does_not_answer() -> None:
    """Less than all must never look like all."""

    class Away(Silent):
        away = True

    world = World(Away)
    world.broker.append("t", b"0", partition=0)

    with world.scan() as scan, pytest.raises(BrokerUnreachable):
        list(scan.read(scan.bounds))
