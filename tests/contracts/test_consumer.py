"""What every consumer promises: the fake one, and the real one under each way of sharing partitions."""

from collections.abc import Iterator, Mapping

import pytest

from tests.kit.kafka_worlds import FakeWorld, RealWorld, Witness, World, poll_until, take
from tests.kit.waiting import PATIENCE_SECONDS
from worker.kafka import errors
from worker.kafka.consumer import Consumer
from worker.kafka.records import OFFSET_BEGINNING, OFFSET_END, TopicPartition

# A fetch that finds nothing holds up whatever is asked on the same connection after it.
_QUICK = {"fetch.wait.max.ms": 20}
_CLASSIC = {**_QUICK, "heartbeat.interval.ms": 200}
_WORLDS: dict[str, dict[str, str | int | float | bool]] = {
    "cooperative": {**_CLASSIC},
    "eager": {**_CLASSIC, "partition.assignment.strategy": "range"},
    "broker-side": {**_QUICK, "group.protocol": "consumer"},
}


@pytest.fixture(params=["fake", *(pytest.param(name, marks=pytest.mark.kafka) for name in _WORLDS)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """The fake, and the real broker with each group protocol."""
    made: World
    if request.param == "fake":
        made = FakeWorld()
    else:
        broker, topic = request.getfixturevalue("kafka_broker"), request.getfixturevalue("topic")
        made = RealWorld(broker, topic, _WORLDS[request.param], request.getfixturevalue("feeder"))
    yield made
    made.close()


@pytest.fixture
def witness() -> Witness:
    """Sees what happens to the first consumer."""
    return Witness()


def fill(world: World, topic: str, values: Mapping[int, list[bytes]]) -> None:
    """Put values into partitions."""
    producer = world.feeder
    for partition, of_one in values.items():
        assert producer.send(topic, of_one, partition=partition) == len(of_one)
    assert producer.flush(PATIENCE_SECONDS) == 0


def start(world: World, witness: Witness, group: str, topic: str) -> Consumer:
    """A consumer with its first assignment."""
    consumer = world.consumer(witness, group)
    consumer.subscribe([topic], witness)
    poll_until(lambda: bool(consumer.assignment()), consumer)
    return consumer


def test_records_of_a_partition_come_in_order(world: World, witness: Witness, group: str) -> None:
    """Each partition's records come once and in order, whatever the polls' sizes."""
    topic = world.topic(2)
    fill(world, topic, {0: [b"a%d" % n for n in range(50)], 1: [b"b%d" % n for n in range(50)]})
    consumer = world.consumer(witness, group)
    consumer.subscribe([topic], witness)

    found = take(consumer, 7) + take(consumer, 93)

    for partition, letter in ((0, b"a"), (1, b"b")):
        own = [m for m in found if m.partition() == partition]
        assert [m.value() for m in own] == [b"%s%d" % (letter, n) for n in range(50)]
        assert [m.offset() for m in own] == list(range(50))


def test_a_record_keeps_key_headers_and_time(world: World, witness: Witness, group: str) -> None:
    """Key, value, repeated and empty headers arrive byte for byte; tombstones are None; times are milliseconds."""
    topic = world.topic()
    headers = [("correlation", b"\x00\xff"), ("twice", b"1"), ("twice", b"2"), ("none", None), ("empty", b"")]
    producer = world.feeder
    producer.send(topic, [b"\x00v", None, b""], [b"\xffk", b"gone", None], [headers, None, None])
    assert producer.flush(PATIENCE_SECONDS) == 0
    consumer = world.consumer(witness, group)
    consumer.subscribe([topic], witness)

    first, tombstone, bare = take(consumer, 3)

    assert first.value() == b"\x00v"
    assert first.key() == b"\xffk"
    assert list(first.headers() or ()) == headers
    kind, milliseconds = first.timestamp()
    assert kind in {1, 2}
    assert milliseconds > 1_600_000_000_000
    assert tombstone.value() is None
    assert tombstone.key() == b"gone"
    assert not tombstone.headers()
    assert bare.key() is None
    assert bare.value() == b""
    assert {first.error(), tombstone.error(), bare.error()} == {None}


def test_a_poll_returns_no_more_than_asked(world: World, witness: Witness, group: str) -> None:
    """A poll never returns more than its maximum."""
    topic = world.topic()
    fill(world, topic, {0: [b"x"] * 20})
    consumer = world.consumer(witness, group)
    consumer.subscribe([topic], witness)
    take(consumer, 1)

    assert len(consumer.poll(5, 1.0)) <= 5
    assert len(consumer.poll(1, 1.0)) == 1


def test_a_first_start_is_earliest_and_is_committed(world: World, witness: Witness, group: str) -> None:
    """A group without offsets starts at the first record, and its start is committed before anything is."""
    topic = world.topic(2)
    fill(world, topic, {0: [b"old"]})
    consumer = world.consumer(witness, group)
    consumer.subscribe([topic], witness)

    assert [m.value() for m in take(consumer, 1)] == [b"old"]
    poll_until(lambda: len(world.committed(group)) == 2, consumer)
    assert world.committed(group) == {TopicPartition(topic, 0): 0, TopicPartition(topic, 1): 0}


def test_a_group_goes_on_where_it_committed(world: World, witness: Witness, group: str) -> None:
    """The next member starts at the committed offset, not at the position of the last."""
    topic = world.topic()
    partition = TopicPartition(topic, 0)
    fill(world, topic, {0: [b"%d" % n for n in range(10)]})
    first = world.consumer(Witness(), group)
    first.subscribe([topic], Witness())
    take(first, 10)
    first.commit({partition: 4})
    assert first.committed([partition]) == {partition: 4}
    first.close()
    second = world.consumer(witness, group)
    second.subscribe([topic], witness)

    assert [m.offset() for m in take(second, 6)] == [4, 5, 6, 7, 8, 9]


def test_a_commit_without_waiting_tells_how_it_ended(world: World, witness: Witness, group: str) -> None:
    """The outcome of an asynchronous commit comes inside a later poll, with the offsets that were sent."""
    topic = world.topic()
    partition = TopicPartition(topic, 0)
    fill(world, topic, {0: [b"x"] * 3})
    consumer = start(world, witness, group, topic)
    poll_until(lambda: world.committed(group) != {}, consumer)
    outcomes: list[tuple[Mapping[TopicPartition, int], object]] = []

    consumer.commit_async({partition: 2}, lambda offsets, problem: outcomes.append((offsets, problem)))
    assert outcomes == []
    poll_until(lambda: bool(outcomes), consumer)

    assert outcomes == [({partition: 2}, None)]
    assert world.committed(group) == {partition: 2}


def test_a_commit_for_a_topic_that_is_not_there_is_a_problem(
    world: World, witness: Witness, group: str
) -> None:
    """A commit that is not kept raises."""
    topic = world.topic()
    consumer = start(world, witness, group, topic)

    with pytest.raises(errors.KafkaProblem):
        consumer.commit({TopicPartition(f"{topic}-not-there", 0): 1}, timeout_seconds=1.0)


def test_a_paused_partition_stands_still(world: World, witness: Witness, group: str) -> None:
    """Nothing comes from a paused partition, the others go on, and resuming misses and repeats nothing."""
    topic = world.topic(2)
    fill(world, topic, {0: [b"%d" % n for n in range(10)], 1: [b"x"] * 10})
    consumer = world.consumer(witness, group)
    consumer.subscribe([topic], witness)
    before = take(consumer, 3)
    consumer.pause([TopicPartition(topic, 0)])
    got = sum(m.partition() == 1 for m in before)
    meanwhile = take(consumer, 10 - got) if got < 10 else []
    meanwhile += [m for _ in range(5) for m in consumer.poll(100, 0.05)]
    consumer.resume([TopicPartition(topic, 0)])
    seen = sum(m.partition() == 0 for m in before)
    after = take(consumer, 10 - seen) if seen < 10 else []

    assert {m.partition() for m in meanwhile} <= {1}
    assert [m.value() for m in before + after if m.partition() == 0] == [b"%d" % n for n in range(10)]


def test_seek_goes_back_and_forth(world: World, witness: Witness, group: str) -> None:
    """After a seek the next record is the one at that offset; a pause outlives it."""
    topic = world.topic()
    partition = TopicPartition(topic, 0)
    fill(world, topic, {0: [b"x"] * 10})
    consumer = world.consumer(witness, group)
    consumer.subscribe([topic], witness)
    take(consumer, 10)

    consumer.seek(partition, 3)
    assert [m.offset() for m in take(consumer, 2)] == [3, 4]
    consumer.pause([partition])
    consumer.seek(partition, 8)
    assert [m for _ in range(4) for m in consumer.poll(10, 0.05)] == []
    consumer.resume([partition])
    assert [m.offset() for m in take(consumer, 2)] == [8, 9]


def test_seek_wants_an_assigned_partition(world: World, witness: Witness, group: str) -> None:
    """Seeking where nothing is assigned is an error."""
    consumer = start(world, witness, group, world.topic())

    with pytest.raises(errors.StaleMember):
        consumer.seek(TopicPartition("elsewhere", 0), 0)


def test_an_offset_out_of_range_stops_its_partition_only(world: World, witness: Witness, group: str) -> None:
    """It is told once, moved by nobody, and put right by a seek; other partitions go on."""
    topic = world.topic(2)
    partition = TopicPartition(topic, 0)
    fill(world, topic, {0: [b"a"] * 5, 1: [b"b"] * 5})
    earlier = start(world, Witness(), group, topic)
    earlier.commit({partition: 400, TopicPartition(topic, 1): 0})
    earlier.close()

    consumer = world.consumer(witness, group)
    consumer.subscribe([topic], witness)
    others = take(consumer, 5)
    poll_until(lambda: bool(witness.out_of_range), consumer)
    silence = [m for _ in range(4) for m in consumer.poll(10, 0.05)]
    consumer.seek(partition, 2)
    after = take(consumer, 3)

    assert {m.partition() for m in others} == {1}
    assert witness.out_of_range == [(partition, 400)]
    assert silence == []
    assert [m.offset() for m in after] == [2, 3, 4]
    assert world.committed(group)[partition] == 400


def test_a_second_member_takes_its_part(world: World, group: str) -> None:
    """Partitions go over after `revoked` has committed them; nothing is lost, nothing comes twice."""
    topic = world.topic(2)
    fill(world, topic, {0: [b"a%d" % n for n in range(10)], 1: [b"b%d" % n for n in range(10)]})
    one, two = Witness(), Witness()
    first = world.consumer(one, group)
    first.subscribe([topic], one)
    taken = take(first, 20)
    done = {TopicPartition(topic, 0): 10, TopicPartition(topic, 1): 10}
    one.on_revoked = lambda partitions: first.commit({tp: done[tp] for tp in partitions})

    second = world.consumer(two, group)
    second.subscribe([topic], two)
    again = poll_until(lambda: len(first.assignment()) == 1 == len(second.assignment()), first, second)

    assert first.assignment() | second.assignment() == done.keys()
    assert one.names()[:2] == ["assigned", "revoked"]
    assert "lost" not in one.names() + two.names()
    given_up = {tp for name, partitions in one.happened if name == "revoked" for tp in partitions}  # type: ignore[attr-defined]  # lists of partitions
    assert second.assignment() <= given_up
    assert {m.offset() for m in again if TopicPartition(topic, m.partition()) in given_up} == set()
    assert len(taken) == 20


def test_a_member_that_leaves_hands_over(world: World, witness: Witness, group: str) -> None:
    """Closing revokes, lets the listener commit, and the other member goes on from there."""
    topic = world.topic(2)
    fill(world, topic, {0: [b"a"] * 4, 1: [b"b"] * 4})
    one = Witness()
    first = world.consumer(one, group)
    first.subscribe([topic], one)
    take(first, 8)
    one.on_revoked = lambda partitions: first.commit(dict.fromkeys(partitions, 3))
    first.close()
    first.close()

    second = world.consumer(witness, group)
    second.subscribe([topic], witness)
    rest = take(second, 2)

    assert one.happened[-1] == ("revoked", [TopicPartition(topic, 0), TopicPartition(topic, 1)])
    assert first.assignment() == frozenset()
    assert sorted((m.partition(), m.offset()) for m in rest) == [(0, 3), (1, 3)]


def test_a_partition_that_comes_back_is_not_paused(world: World, group: str) -> None:
    """A pause ends with the assignment that it was made in."""
    topic = world.topic(2)
    partitions = {TopicPartition(topic, 0), TopicPartition(topic, 1)}
    one, two = Witness(), Witness()
    first = start(world, one, group, topic)
    first.pause(partitions)
    second = world.consumer(two, group)
    second.subscribe([topic], two)
    poll_until(lambda: len(first.assignment()) == 1 == len(second.assignment()), first, second)
    moved = second.assignment()
    second.close()
    poll_until(lambda: first.assignment() == partitions, first)

    fill(world, topic, {tp.partition: [b"now"] for tp in moved})

    assert {TopicPartition(topic, m.partition()) for m in take(first, 1)} == moved


def test_a_member_taken_for_dead_loses_its_partitions(world: World, witness: Witness, group: str) -> None:
    """It is told `lost`, not `revoked`, and comes back by itself at the committed offset."""
    topic = world.topic()
    partition = TopicPartition(topic, 0)
    fill(world, topic, {0: [b"x"] * 5})
    consumer = world.consumer(witness, group, missed_soon=True)
    consumer.subscribe([topic], witness)
    take(consumer, 5)
    consumer.commit({partition: 2})

    world.evict(consumer)
    again = poll_until(lambda: witness.names().count("assigned") == 2, consumer)
    again += take(consumer, 3 - len(again))

    assert witness.names() == ["assigned", "lost", "assigned"]
    assert [m.offset() for m in again] == [2, 3, 4]


def test_an_error_of_a_listener_leaves_poll_and_loses_nothing(
    world: World, witness: Witness, group: str
) -> None:
    """What the listener raises comes out of `poll` or `close`, and the member can still leave."""
    topic = world.topic()
    consumer = start(world, witness, group, topic)

    def fail(_: object) -> None:
        raise ZeroDivisionError

    witness.on_revoked = fail

    with pytest.raises(ZeroDivisionError):
        consumer.close()
    assert consumer.assignment() == frozenset()


def test_partitions_can_be_assigned_by_hand(world: World, witness: Witness, group: str) -> None:
    """Without a group, reading starts where it is told to: at an offset, the beginning or the end."""
    topic = world.topic(3)
    fill(world, topic, dict.fromkeys(range(3), [b"old"] * 4))
    consumer = world.consumer(witness, group)
    first, offset, last = (TopicPartition(topic, n) for n in range(3))

    consumer.assign({first: OFFSET_BEGINNING, offset: 2, last: OFFSET_END})
    before = take(consumer, 6)
    before += [m for _ in range(4) for m in consumer.poll(10, 0.05)]
    fill(world, topic, {2: [b"new"]})
    after = take(consumer, 1)

    assert consumer.assignment() == {first, offset, last}
    assert sorted((m.partition(), m.offset()) for m in before) == [(0, n) for n in range(4)] + [
        (1, 2),
        (1, 3),
    ]
    assert [(m.partition(), m.value()) for m in after] == [(2, b"new")]
    assert world.committed(group) == {}


def test_watermarks_bound_a_partition(world: World, witness: Witness, group: str) -> None:
    """They are the first offset and the next one to be written; the cached end is known after a fetch."""
    topic = world.topic()
    partition = TopicPartition(topic, 0)
    fill(world, topic, {0: [b"x"] * 3})
    consumer = world.consumer(witness, group)
    consumer.subscribe([topic], witness)
    take(consumer, 3)

    assert consumer.watermarks(partition) == (0, 3)
    assert consumer.cached_high(partition) == 3
    with pytest.raises(errors.KafkaProblem):
        consumer.watermarks(TopicPartition(f"{topic}-not-there", 0), timeout_seconds=1.0)


def test_positions_are_where_the_next_poll_goes_on(world: World, witness: Witness, group: str) -> None:
    """A partition without a record yet has none; one that was read has its end, also while it is paused."""
    topic = world.topic(2)
    partition = TopicPartition(topic, 0)
    consumer = start(world, witness, group, topic)
    assert consumer.positions() == {}

    fill(world, topic, {0: [b"x"] * 3})
    take(consumer, 3)
    consumer.pause([partition])
    fill(world, topic, {0: [b"y"]})
    assert list(consumer.poll(10, 0.05)) == []
    assert consumer.positions() == {partition: 3}

    consumer.resume([partition])
    take(consumer, 1)
    assert consumer.positions() == {partition: 4}
