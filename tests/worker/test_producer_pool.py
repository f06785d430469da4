"""Which producer takes which replies."""

import pytest

from tests.fakes.kafka import FakeProducer
from tests.fakes.kafka_broker import FakeBroker
from worker.producer_pool import PROMPT_RECORDS, ProducerKind, ProducerPool
from worker.topic_directory import TopicDirectory


class Topics:
    """A cluster with a usual topic and one that takes little."""

    def partition_counts(self) -> dict[str, int]:
        """One partition each."""
        return {"usual": 1, "small": 1}

    def max_message_bytes(self, _topics: object) -> dict[str, int]:
        """What each takes."""
        return {"usual": 1_000_000, "small": 5000}


class Bench:
    """A pool, and what its producers are like."""

    def __init__(self) -> None:
        self.kinds: dict[FakeProducer, ProducerKind] = {}
        self.broker = FakeBroker()
        self.broker.create_topic("usual")
        directory = TopicDirectory(Topics())
        directory.watch(["usual", "small"])
        directory.refresh()
        self.pool = ProducerPool(self._make, directory, batch_bytes=1_000_000, quiet_topics=["usual"])

    def kind_for(self, topic: str, records: int) -> ProducerKind:
        """What the producer for so many replies is like."""
        producer = self.pool.for_replies(topic, records)
        assert isinstance(producer, FakeProducer)
        return self.kinds[producer]

    def _make(self, kind: ProducerKind) -> FakeProducer:
        producer = FakeProducer(self.broker)
        self.kinds[producer] = kind
        return producer


@pytest.fixture
def bench() -> Bench:
    """A pool that nobody has used."""
    return Bench()


def test_few_replies_go_at_once(bench: Bench) -> None:
    """A reply of an idle worker waits for no other."""
    assert bench.kind_for("usual", 1).prompt
    assert bench.kind_for("usual", PROMPT_RECORDS).prompt


def test_many_replies_go_together(bench: Bench) -> None:
    """A request on the wire for each of many records would cost more than it saves."""
    assert not bench.kind_for("usual", PROMPT_RECORDS + 1).prompt


def test_replies_behind_many_go_together(bench: Bench) -> None:
    """While as many are on their way as may go at once, others wait for company; afterwards none does."""
    bench.pool.for_replies("usual", 1).send("usual", [b"r"] * PROMPT_RECORDS)

    assert not bench.kind_for("usual", 1).prompt

    bench.pool.serve(0.0)

    assert bench.kind_for("usual", 1).prompt


def test_a_topic_that_takes_less_keeps_its_own_producer(bench: Bench) -> None:
    """A batch larger than the topic takes would be refused as a whole."""
    kind = bench.kind_for("small", 1)

    assert not kind.prompt
    assert kind.batch_bytes <= 5000


def test_what_is_on_its_way_at_once_counts(bench: Bench) -> None:
    """The pool is not empty while the prompt producer is not."""
    bench.pool.for_replies("usual", 1).send("usual", [b"r"] * 3)

    assert len(bench.pool) == 3
    bench.pool.serve(0.0)
    assert len(bench.pool) == 0
