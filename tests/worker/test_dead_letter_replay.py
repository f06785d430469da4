"""Which dead letters are sent again, how, and what is told of those that were not."""

import itertools
from collections.abc import Sequence

import pytest

from schemas import codec, dead_letter
from schemas.dead_letter import REPLAYS, Origin
from schemas.errors import UnknownSchema
from schemas.headers import Coordinates
from schemas.predict_request import PredictRequest
from tests.fakes.clock import FakeClock
from tests.fakes.kafka import FakeProducer
from tests.fakes.kafka_broker import FakeBroker, FakeError, FakeMessage
from worker.dead_letter_entries import Selection, entry_of, latest, summary
from worker.dead_letter_replay import Replayer, Rules, ranges_of
from worker.kafka.records import Headers, TopicPartition

OWN: Headers = [("traceparent", b"1"), (REPLAYS, b"1")]
RULES = Rules({"r-dlt": frozenset({"r"})}, 3)
_offsets = itertools.count()


def letter(
    value: bytes | None = b"garbage",
    *,
    key: bytes | None = b"k",
    own: Headers = (),
    source: str = "r",
    partition: int = 0,
    offset: int | None = None,
    error: Exception | None = None,
    worker: str = "w1",
    time_ms: int = 1000,
) -> FakeMessage:
    """A dead letter as a worker writes it, read from its topic."""
    number = next(_offsets) if offset is None else offset
    origin = Origin(Coordinates(source, partition, number), 500, 1, "g", worker)
    headers = [*own, *dead_letter.dead_letter_headers(origin, error or UnknownSchema("no schema is known"))]
    return FakeMessage("r-dlt", value, key, headers, partition=partition, offset=number, timestamp_ms=time_ms)


class World:
    """The request topic, of three partitions, and a replayer."""

    def __init__(self, *, same_partition: bool = False, queue_records: int = 100) -> None:
        self.clock = FakeClock()
        self.broker = FakeBroker()
        self.broker.create_topic("r", 3)
        self.producer = FakeProducer(self.broker, queue_records=queue_records)
        self.replayer = Replayer(self.producer, same_partition=same_partition, clock=self.clock)

    def send(self, letters: Sequence[FakeMessage]) -> list[FakeMessage]:
        """Send them to the end; what is on the request topic then."""
        for each in letters:
            self.replayer.send(each)
        self.replayer.finish()
        return self.broker.records("r")


def test_a_record_is_sent_as_it_was_with_a_count() -> None:
    """Key, value and own headers; nothing of what the worker added."""
    world = World()

    (sent,) = world.send([letter(b"value", own=OWN)])

    assert (sent.value(), sent.key()) == (b"value", b"k")
    assert sent.headers() == [("traceparent", b"1"), (REPLAYS, b"2")]
    assert world.replayer.sent == {"r": 1}
    assert world.replayer.failed == []


def test_a_tombstone_without_a_key_is_sent_as_one() -> None:
    """Nothing is made up."""
    (sent,) = World().send([letter(None, key=None)])

    assert (sent.value(), sent.key()) == (None, None)


def test_the_partition_is_the_keys_or_the_one_it_came_from() -> None:
    """As a producer would choose, unless the old one is asked for."""
    letters = [letter(key=b"%d" % n, partition=n % 3) for n in range(30)]
    by_key = {m.key(): m.partition() for m in World().send(letters)}
    same = {m.key(): m.partition() for m in World(same_partition=True).send(letters)}

    assert same == {b"%d" % n: n % 3 for n in range(30)}
    assert by_key != same
    assert by_key == {m.key(): m.partition() for m in World().send(letters)}


def test_a_queue_that_is_full_is_waited_for() -> None:
    """However many there are, no more than it takes are in memory."""
    world = World(queue_records=2)

    assert len(world.send([letter() for _ in range(50)])) == 50
    assert world.replayer.sent == {"r": 50}


def test_what_the_broker_refuses_is_told_with_its_place() -> None:
    """The others are sent."""
    world = World()
    world.broker.configs["r"]["max.message.bytes"] = "1000"
    large = letter(b"v" * 2000, partition=1, offset=77)

    world.send([letter()])
    world.send([large])
    world.send([letter()])

    assert world.replayer.sent == {"r": 2}
    (failed,) = world.replayer.failed
    assert failed.place == ("r-dlt", 1, 77)
    assert "too large" in failed.reason


def test_what_nobody_acknowledges_counts_as_not_sent() -> None:
    """In the end; and it is said that it may be there all the same."""
    world = World()
    world.broker.stalled = True
    producer = world.producer
    flush = producer.flush

    def wait(timeout_seconds: float) -> int:
        world.clock.advance(timeout_seconds)
        return flush(timeout_seconds)

    producer.flush = wait  # type: ignore[method-assign]
    world.send([letter(offset=5)])

    assert world.replayer.sent == {}
    assert [(each.place[2], "may have been written" in each.reason) for each in world.replayer.failed] == [
        (5, True)
    ]


def test_a_right_that_is_missing_is_a_failure_of_each() -> None:
    """The reason is the broker's, translated."""
    world = World()
    world.broker.refuse("r", FakeError("TOPIC_AUTHORIZATION_FAILED"), records=2)

    world.send([letter()])

    assert ["lacks the right WRITE on topic 'r'" in each.reason for each in world.replayer.failed] == [True]


def test_only_request_topics_get_anything() -> None:
    """Who may write dead letters must not thereby have an operator write to any topic."""
    assert RULES.obstacle(entry_of(letter())) is None
    for message in (
        letter(source="headrace.control"),
        FakeMessage("other-dlt", b"", None, letter().headers()),
    ):
        assert "none of the request topics" in (RULES.obstacle(entry_of(message)) or "")


def test_a_record_that_was_sent_often_enough_is_left() -> None:
    """Its count is its own header's."""
    obstacle = RULES.obstacle(entry_of(letter(own=[(REPLAYS, b"3")])))

    assert obstacle is not None
    assert "sent again 3 times already" in obstacle
    assert "--max-attempts" in obstacle
    assert RULES.obstacle(entry_of(letter(own=[(REPLAYS, b"2")]))) is None


def test_what_is_no_dead_letter_is_left() -> None:
    """Where it came from is not known."""
    assert "no dead letter" in (RULES.obstacle(entry_of(FakeMessage("r-dlt", b"v"))) or "")


def test_the_ranges_hold_all_places() -> None:
    """One for each partition, from its first to its last."""
    assert ranges_of([("a", 0, 5), ("a", 0, 2), ("a", 1, 7), ("b", 0, 1)]) == {
        TopicPartition("a", 0): (2, 6),
        TopicPartition("a", 1): (7, 8),
        TopicPartition("b", 0): (1, 2),
    }


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        (Selection(), True),
        (Selection(reason="unknownschema"), True),
        (Selection(reason="errors.Unknown"), True),
        (Selection(reason="SCHEMA IS KNOWN"), True),
        (Selection(reason="Truncated"), False),
        (Selection(model="fraud"), True),
        (Selection(model="fr*"), True),
        (Selection(model="other"), False),
        (Selection(since_ms=1000), True),
        (Selection(since_ms=1001), False),
        (Selection(until_ms=1001), True),
        (Selection(until_ms=1000), False),
        (Selection(places=frozenset({(0, 9)})), True),
        (Selection(places=frozenset({(1, 9)})), False),
        (Selection(reason="Unknown", model="other"), False),
    ],
)
def test_a_selection_takes_what_fits_all_of_it(selection: Selection, *, taken: bool) -> None:
    """The error's name or words, the model, the time, the place."""
    entry = entry_of(letter(codec.encode(PredictRequest("fraud")), offset=9))

    assert selection.takes(entry) is taken


def test_a_model_is_asked_for_in_vain_where_it_cannot_be_told() -> None:
    """A value that is no request names none."""
    assert not Selection(model="*").takes(entry_of(letter(b"garbage")))


@pytest.mark.parametrize(
    ("selection", "found"),
    [
        (Selection(), (10, 20)),
        (Selection(starts={0: 15}), (15, 20)),
        (Selection(starts={0: 5, 1: 18}), (10, 20)),
        (Selection(starts={0: 30}), (30, 20)),
        (Selection(places=frozenset({(0, 12), (0, 17), (1, 3)})), (12, 18)),
        (Selection(places=frozenset({(0, 99)})), (99, 20)),
        (Selection(places=frozenset({(1, 3)})), (20, 20)),
    ],
)
def test_no_more_is_read_than_must_be(selection: Selection, found: tuple[int, int]) -> None:
    """Of a partition that holds 10 to 19; an end before the beginning is nothing."""
    assert selection.range_of(TopicPartition("r-dlt", 0), (10, 20)) == found


def test_the_latest_are_shown_the_oldest_of_them_first() -> None:
    """Whatever partition they are in; 0 means all."""
    entries = [entry_of(letter(time_ms=t, partition=t % 2, offset=100 - t)) for t in (5, 1, 4, 2, 3)]

    assert [each.time_ms for each in latest(entries, 2)] == [4, 5]
    assert [each.time_ms for each in latest(entries, 0)] == [1, 2, 3, 4, 5]


def test_the_summary_counts_by_reason_source_and_worker() -> None:
    """The most frequent first, each with its time and its last error."""
    letters = [letter(time_ms=t) for t in (3, 9, 1)]
    letters += [letter(worker="w2", time_ms=2), letter(source="s", time_ms=2)]
    letters += [letter(error=ValueError("other"), time_ms=n) for n in (1, 2)]
    groups = summary(map(entry_of, [*letters, FakeMessage("r-dlt", b"v", timestamp_ms=7)]))

    assert [(key, group.records) for key, group in groups] == [
        (("UnknownSchema", "r", "w1"), 3),
        (("ValueError", "r", "w1"), 2),
        (("", "", ""), 1),
        (("UnknownSchema", "r", "w2"), 1),
        (("UnknownSchema", "s", "w1"), 1),
    ]
    first = groups[0][1]
    assert (first.first_ms, first.last.time_ms) == (1, 9)
