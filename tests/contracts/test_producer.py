"""What every producer promises: the fake one and the real one."""

import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes.murmur2 import murmur2
from tests.kit.kafka_worlds import Witness, World, take
from tests.kit.waiting import PATIENCE_SECONDS, wait_until
from worker.kafka import errors
from worker.kafka.producer import Producer
from worker.kafka.records import Message, TopicPartition

JAVA = [
    ("", 275646681, 9),
    ("a", -1563381124, 4),
    ("ab", 316155434, 2),
    ("abc", 479470107, 3),
    ("abcd", -1323649548, 8),
    ("21", -973932308, 0),
    ("foobar", -790332482, 6),
    ("a-little-bit-longer-string", -1486304829, 11),
    ("correlation-0001", 105373963, 7),
    ("3f2504e0-4f89-11d3-9a0c-0305e82c3301", 149263511, 11),
    ("äöü", -2070914556, 8),
    ("12345678901234567", -319808450, 6),
]
"""Key, org.apache.kafka.common.utils.Utils.murmur2 of it, and the partition of 12, printed by kafka-clients 4.3.0."""


class Reports:
    """Delivery reports, as (name of the error or None, value)."""

    def __init__(self) -> None:
        self.seen: list[tuple[str | None, bytes | None]] = []
        self.messages: list[Message] = []
        self.problems: list[errors.KafkaProblem] = []

    def __call__(self, error: Any, message: Message) -> None:
        """Keep a report."""
        if error is not None:
            self.problems.append(errors.translate(error, topic=message.topic()))
        self.seen.append((None if error is None else error.name(), message.value()))
        self.messages.append(message)

    def failed(self) -> list[bytes | None]:
        """The values that were not written."""
        return [value for name, value in self.seen if name is not None]


@pytest.fixture
def producer(world: World) -> Producer:
    """A producer with room."""
    return world.producer(Witness())


@pytest.fixture
def read(world: World) -> Callable[[str, int], list[Message]]:
    """Reads this many records of a topic from its beginning."""

    def read(topic: str, count: int, partitions: int = 1) -> list[Message]:
        consumer = world.consumer(Witness(), f"reader-{uuid.uuid4().hex[:8]}")
        consumer.assign({TopicPartition(topic, n): 0 for n in range(partitions)})
        return take(consumer, count)

    return read


def test_each_record_is_reported_once(world: World, producer: Producer) -> None:
    """After a flush nothing is left, and each record has had its report, with its place."""
    topic = world.topic()
    reports = Reports()

    assert producer.send(topic, [b"%d" % n for n in range(100)], on_delivery=reports) == 100
    assert producer.flush(PATIENCE_SECONDS) == 0

    assert reports.seen == [(None, b"%d" % n) for n in range(100)]
    assert [m.offset() for m in reports.messages] == list(range(100))
    assert {(m.topic(), m.partition()) for m in reports.messages} == {(topic, 0)}
    assert len(producer) == 0


def test_an_empty_producer_is_still_true(producer: Producer) -> None:
    """Its length is what it holds, its truth is not."""
    assert len(producer) == 0
    assert producer


def test_headers_are_not_dropped(
    world: World, producer: Producer, read: Callable[[str, int], list[Message]]
) -> None:
    """Records with and without headers go in one call; each arrives with its own, tuples or lists."""
    topic = world.topic()
    many = [[("n", b"%d" % n), ("none", None)] for n in range(50)]

    producer.send(topic, [b"%d" % n for n in range(50)], headers=many)
    producer.send(topic, [b"x", b"y"], keys=[b"k", None], headers=[(("a", b"1"),), None])
    assert producer.flush(PATIENCE_SECONDS) == 0

    found = read(topic, 52)
    assert [list(m.headers() or ()) for m in found[:50]] == many
    assert list(found[50].headers() or ()) == [("a", b"1")]
    assert not found[51].headers()
    assert [m.key() for m in found[50:]] == [b"k", None]


def test_one_report_for_all_or_one_each(world: World, producer: Producer) -> None:
    """A sequence of callables reports each record to its own."""
    topic = world.topic()
    each = [Reports(), Reports()]

    producer.send(topic, [b"a", b"b"], on_delivery=each)
    producer.send(topic, [b"c", b"d"], headers=[[("h", b"1")], None], on_delivery=each)
    assert producer.flush(PATIENCE_SECONDS) == 0

    assert [r.seen for r in each] == [[(None, b"a"), (None, b"c")], [(None, b"b"), (None, b"d")]]


def test_an_empty_producer_that_reports_failures_only_has_reported_them_all(
    world: World, read: Callable[[str, int], list[Message]]
) -> None:
    """Without a report of its own a record is known to be written once nothing is left, and not before."""
    small, other = world.topic(1, {"max.message.bytes": "20000"}), world.topic()
    producer = world.producer(Witness(), only_failures=True)
    reports = Reports()
    values: list[bytes | None] = [b"%d" % n for n in range(500)]

    producer.send(other, values, on_delivery=reports)
    producer.send(small, [b"x" * 30_000], on_delivery=reports)
    wait_until(lambda: producer.poll(0.05) >= 0 and not len(producer), "all written", every_seconds=0.0)

    assert reports.seen == [("MSG_SIZE_TOO_LARGE", b"x" * 30_000)]
    assert [m.value() for m in read(other, 500)] == values


def test_a_full_queue_takes_a_part(world: World) -> None:
    """What does not fit is the caller's to keep; there is room again once reports are served."""
    topic = world.topic()
    producer = world.producer(Witness(), queue_records=10)
    reports = Reports()
    values: list[bytes | None] = [b"%d" % n for n in range(25)]

    taken = producer.send(topic, values, on_delivery=reports)
    assert 10 <= taken < 25
    assert len(producer) >= 1
    rounds = 0
    while taken < 25:
        assert producer.flush(PATIENCE_SECONDS) == 0
        taken += producer.send(topic, values[taken:], on_delivery=reports)
        rounds += 1
    assert producer.flush(PATIENCE_SECONDS) == 0

    assert [value for _, value in reports.seen] == values
    assert producer.send(topic, [], on_delivery=reports) == 0


def test_a_record_that_the_client_refuses_is_a_report(world: World, producer: Producer) -> None:
    """A record larger than the client takes counts as taken; its neighbours go on."""
    topic = world.topic()
    reports = Reports()
    large = b"x" * 2_000_000

    sent = producer.send(topic, [b"a", large, b"b"], keys=[b"1", b"2", b"3"], on_delivery=reports)
    assert sent == 3
    assert producer.flush(PATIENCE_SECONDS) == 0

    assert sorted(reports.seen, key=str) == sorted(
        [(None, b"a"), (None, b"b"), ("MSG_SIZE_TOO_LARGE", large)], key=str
    )
    assert isinstance(reports.problems[0], errors.MessageTooLarge)
    assert next(m for m in reports.messages if m.value() == large).key() == b"2"


def test_a_batch_that_the_topic_refuses_fails_as_a_whole(world: World) -> None:
    """One record too large for the topic fails those that were sent with it; another topic's are unharmed."""
    small, other = world.topic(1, {"max.message.bytes": "20000"}), world.topic()
    producer = world.producer(Witness())
    reports = Reports()

    producer.send(small, [b"a", b"x" * 30_000, b"b"], on_delivery=reports)
    producer.send(other, [b"y" * 30_000], on_delivery=reports)
    assert producer.flush(PATIENCE_SECONDS) == 0

    assert b"x" * 30_000 in reports.failed()
    assert {type(problem) for problem in reports.problems} == {errors.MessageTooLarge}
    assert (None, b"y" * 30_000) in reports.seen


def test_batches_stay_within_their_size(world: World) -> None:
    """Small records that together are larger than the topic takes arrive, because no batch is."""
    topic = world.topic(1, {"max.message.bytes": "20000"})
    producer = world.producer(Witness(), batch_bytes=15_000)
    reports = Reports()

    producer.send(topic, [b"z" * 100] * 1000, on_delivery=reports)
    assert producer.flush(PATIENCE_SECONDS) == 0

    assert reports.failed() == []
    assert len(reports.seen) == 1000


def test_a_given_partition_is_kept(
    world: World, producer: Producer, read: Callable[..., list[Message]]
) -> None:
    """A partition given by the caller goes before the key's."""
    topic = world.topic(3)

    producer.send(topic, [b"v"] * 3, keys=[b"a", b"b", None], partition=2)
    assert producer.flush(PATIENCE_SECONDS) == 0

    assert {m.partition() for m in read(topic, 3, 3)} == {2}


def test_keys_go_where_java_puts_them(
    world: World, producer: Producer, read: Callable[..., list[Message]]
) -> None:
    """A key's partition is the one that Java's producer chooses."""
    topic = world.topic(12)
    keys = [key.encode() for key, _, _ in JAVA]

    producer.send(topic, keys, keys)
    assert producer.flush(PATIENCE_SECONDS) == 0

    found = {m.value(): m.partition() for m in read(topic, len(keys), 12)}
    assert found == {key.encode(): partition for key, _, partition in JAVA}


@pytest.mark.parametrize(("key", "expected"), [(key, number) for key, number, _ in JAVA])
def test_the_fake_hashes_as_java_does(key: str, expected: int) -> None:
    """The fake's hash is Kafka's."""
    assert murmur2(key.encode()) == expected & 0xFFFFFFFF


def test_purge_reports_what_it_gives_up(world: World, producer: Producer) -> None:
    """Each record has a report even if it is given up."""
    topic = world.topic()
    reports = Reports()
    producer.send(topic, [b"x"] * 20, on_delivery=reports)

    producer.purge()
    while len(producer):
        producer.poll(0.1)

    assert len(reports.seen) == 20
    assert {type(problem) for problem in reports.problems} <= {errors.Purged}


def test_a_closed_producer_has_reported_everything(world: World, producer: Producer) -> None:
    """Closing gives up what is left and reports it; closing again does nothing."""
    topic = world.topic()
    reports = Reports()
    producer.send(topic, [b"x"] * 20, on_delivery=reports)

    producer.close()
    producer.close()

    assert len(reports.seen) == 20


def test_threads_may_send_together(world: World, producer: Producer) -> None:
    """Records of several threads all arrive, each thread's in its order."""
    topic = world.topic()
    reports = Reports()

    def work(letter: bytes) -> None:
        for start in range(0, 100, 10):
            producer.send(topic, [b"%s%03d" % (letter, start + n) for n in range(10)], on_delivery=reports)

    threads = [threading.Thread(target=work, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert producer.flush(PATIENCE_SECONDS) == 0

    values = [value or b"" for _, value in reports.seen]
    for letter in (b"a", b"b", b"c"):
        own = [value for value in values if value.startswith(letter)]
        assert own == sorted(own)
        assert len(own) == 100
