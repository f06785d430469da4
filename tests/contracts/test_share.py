"""What every member of a share group promises: the fake one and the real one."""

import time
from collections.abc import Sequence

from tests.kit.kafka_worlds import Witness, World
from tests.kit.waiting import PATIENCE_SECONDS
from worker.kafka.share import Delivered, ShareMember


def member(world: World, group: str, topic: str, *, max_records: int = 500) -> ShareMember:
    """A member of the group for one topic."""
    made = world.share_member(Witness(), group, max_records=max_records)
    made.subscribe([topic])
    return made


def feed(world: World, topic: str, values: Sequence[bytes], partition: int = 0) -> None:
    """Write records, all in one batch, and wait until they are there."""
    producer = world.feeder
    producer.send(topic, list(values), [b"k"] * len(values), [[("h", v)] for v in values], partition)
    assert producer.flush(PATIENCE_SECONDS) == 0


def take(made: ShareMember, count: int) -> list[Delivered]:
    """Poll until so many records have come, accepting them one poll after the other."""
    found: list[Delivered] = []
    end = time.monotonic() + PATIENCE_SECONDS
    while len(found) < count:
        assert time.monotonic() < end, f"{len(found)} of {count} records came"
        messages = made.poll(0.2)
        made.accept(messages)
        found += messages
    made.commit()
    return found


def first(made: ShareMember) -> list[Delivered]:
    """Poll until something comes, and leave it open."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not (messages := made.poll(0.2)):
        assert time.monotonic() < end, "nothing came"
    return list(messages)


def test_records_come_once_with_all_that_they_have(world: World, group: str) -> None:
    """From the first record on, with key, headers, place and a first delivery; none of them comes again."""
    topic = world.topic()
    feed(world, topic, [b"a", b"b", b"c"])
    made = member(world, group, topic)

    found = take(made, 3)

    assert [m.value() for m in found] == [b"a", b"b", b"c"]
    assert [m.key() for m in found] == [b"k"] * 3
    assert [list(m.headers() or ()) for m in found] == [[("h", v)] for v in (b"a", b"b", b"c")]
    assert [(m.topic(), m.partition(), m.offset()) for m in found] == [(topic, 0, n) for n in range(3)]
    assert [m.delivery_count() for m in found] == [1, 1, 1]
    assert all(m.timestamp()[1] > 0 for m in found)
    other = member(world, group, topic)
    assert not any(other.poll(0.2) for _ in range(5))


def test_what_is_released_comes_again_and_is_counted(world: World, group: str) -> None:
    """To whoever polls next; what was accepted beside it does not."""
    topic = world.topic()
    feed(world, topic, [b"a", b"b"])
    made = member(world, group, topic)
    one, two = first(made)

    made.accept([one])
    made.release([two])
    made.commit()

    (again,) = first(made)
    assert (again.value(), again.delivery_count()) == (b"b", 2)
    made.accept([again])
    made.commit()
    assert not any(made.poll(0.2) for _ in range(3))


def test_two_members_have_different_records_of_one_partition(world: World, group: str) -> None:
    """While one has some, the other gets the rest."""
    topic = world.topic()
    a, b = member(world, group, topic, max_records=5), member(world, group, topic, max_records=5)
    for n in range(4):
        # Each a batch of its own: a broker deals out no less than a batch at a time.
        feed(world, topic, [b"%d-%d" % (n, m) for m in range(5)])
    held = first(a)

    rest = take(b, 20 - len(held))

    assert not {m.offset() for m in held} & {m.offset() for m in rest}
    assert len(held) + len(rest) == 20
    a.accept(held)
    a.commit()


def test_what_a_member_leaves_open_comes_again_to_others_at_once(world: World, group: str) -> None:
    """It need not wait for the lock to end."""
    topic = world.topic()
    feed(world, topic, [b"a"])
    leaver = member(world, group, topic)
    first(leaver)

    leaver.close()
    leaver.close()

    (again,) = first(member(world, group, topic))
    assert (again.value(), again.delivery_count()) == (b"a", 2)


def test_at_the_limit_of_deliveries_a_record_never_comes_again(world: World, group: str) -> None:
    """Five times by default; the records beside it go on coming."""
    topic = world.topic()
    feed(world, topic, [b"a"])
    made = member(world, group, topic)
    counts = []
    for _ in range(5):
        (message,) = first(made)
        counts.append(message.delivery_count())
        made.release([message])
        made.commit()
    feed(world, topic, [b"b"])

    (message,) = take(made, 1)

    assert counts == [1, 2, 3, 4, 5]
    assert message.value() == b"b"


def test_an_empty_poll_waits_no_longer_than_it_is_told(world: World, group: str) -> None:
    """And never much longer than 0.2 s, so that signals are handled."""
    made = member(world, group, world.topic())
    made.poll(0.2)

    began = time.monotonic()
    assert not made.poll(60.0)

    assert time.monotonic() - began < 30.0
