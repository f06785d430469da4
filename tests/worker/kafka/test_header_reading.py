"""Headers of many records, one of which has a name that is no text."""

import pytest

from tests.conftest import TopicFactory
from tests.fakes.kafka_broker import FakeMessage
from tests.kit import raw_headers
from tests.kit.broker import Broker
from tests.kit.kafka_worlds import Witness, take
from worker.kafka import client_config, clients
from worker.kafka.header_reading import read_headers
from worker.kafka.records import OFFSET_BEGINNING, TopicPartition

NO_TEXT = "\udcff"
"""How the in-memory Kafka writes a name that is not UTF-8."""


def test_every_record_has_its_own_headers() -> None:
    """In their order; None where there are none."""
    messages = [
        FakeMessage(headers=[("a", b"1"), ("a", None)]),
        FakeMessage(),
        FakeMessage(headers=[("b", b"2")]),
    ]

    assert read_headers(messages) == ([[("a", b"1"), ("a", None)], None, [("b", b"2")]], [])


def test_a_record_that_cannot_be_read_costs_the_others_nothing() -> None:
    """First, last, side by side: each is asked once, and has no headers from then on."""
    bad = [0, 2, 3, 5]
    messages = [
        FakeMessage(headers=[(NO_TEXT, b"x")]) if n in bad else FakeMessage(headers=[(f"{n}", b"")])
        for n in range(6)
    ]

    headers, unreadable = read_headers(messages)

    assert unreadable == bad
    assert headers == [None, [("1", b"")], None, None, [("4", b"")], None]
    assert [message.headers() for message in messages if message.headers() == []] == [[]] * 4


@pytest.mark.kafka
def test_the_clients_own_messages_are_read_likewise(kafka_broker: Broker, topic: TopicFactory) -> None:
    """What the client library does with such a name is what the in-memory Kafka says that it does."""
    name = topic("headers")
    where = client_config.connection(kafka_broker.bootstrap_servers)
    producer = clients.producer(where, Witness().on_problem)
    for value, raw in (
        (b"0", None),
        (b"1", b"\xff\xfe"),
        (b"2", "é".encode()),
        (b"3", None),
        (b"4", b"\xc3"),
    ):
        if raw is None:
            producer.send(name, [value], headers=[[("good", value)]])
            assert producer.flush(20.0) == 0
        else:
            raw_headers.write(kafka_broker.bootstrap_servers, name, value, b"k", raw)
    producer.close()
    consumer = clients.reader(where, Witness())
    consumer.assign({TopicPartition(name, 0): OFFSET_BEGINNING})
    messages = take(consumer, 5)
    headers, unreadable = read_headers(messages)
    consumer.close()

    assert [message.value() for message in messages] == [b"0", b"1", b"2", b"3", b"4"]
    assert unreadable == [1, 4]
    assert headers == [[("good", b"0")], None, [("é", b"x")], [("good", b"3")], None]
    assert [messages[n].headers() for n in unreadable] == [[], []]
