"""Records that the client returns again after a rebalance are left out, and no others."""

from collections.abc import Sequence
from typing import Any

import confluent_kafka
import pytest

from tests.fakes.kafka_broker import FakeMessage
from worker.kafka.assignment import Assignment, bare
from worker.kafka.records import TopicPartition
from worker.kafka.repeats import Repeats

STAYS = TopicPartition("t", 1)


@pytest.fixture
def repeats() -> Repeats:
    """Of a consumer that has read its partition up to record 5 when a rebalance came."""
    made = Repeats()
    made.stay({STAYS: 5})
    made.begin()
    return made


def records(*offsets: int, partition: int = 1, topic: str = "t") -> list[FakeMessage]:
    """Of one partition."""
    return [FakeMessage(topic, partition=partition, offset=offset) for offset in offsets]


def returned(repeats: Repeats, messages: list[FakeMessage]) -> list[int]:
    """The offsets of those that are let through."""
    return [message.offset() for message in repeats.without(messages)]  # type: ignore[arg-type]


def test_what_has_been_read_is_left_out(repeats: Repeats) -> None:
    """However many calls it takes until something new comes."""
    assert returned(repeats, records(3)) == []
    assert returned(repeats, records(4)) == []
    assert returned(repeats, records(4, 5, 6)) == [5, 6]


def test_after_something_new_nothing_is_looked_at(repeats: Repeats) -> None:
    """Offsets may go back then: the partition may have been set back on purpose."""
    assert returned(repeats, records(5)) == [5]
    assert returned(repeats, records(0, 1)) == [0, 1]


def test_other_partitions_are_let_through(repeats: Repeats) -> None:
    """Also those of the same number in another topic."""
    other, same_number = records(0, partition=2), records(1, topic="u")
    assert returned(repeats, other + same_number + records(2) + records(5)) == [0, 1, 5]


def test_one_that_goes_is_forgotten(repeats: Repeats) -> None:
    """When it comes back it is read from what was committed."""
    repeats.forget([STAYS])
    assert returned(repeats, records(0)) == [0]


def test_what_was_collected_before_the_rebalance_is_let_through() -> None:
    """The rebalance comes inside the call that returns it, when the client has noted less than that as read."""
    repeats = Repeats()
    repeats.begin()
    repeats.stay({STAYS: 3})  # inside the call, which has collected 3 and 4

    assert returned(repeats, records(3, 4)) == [3, 4]
    repeats.begin()
    assert returned(repeats, records(3, 4, 5)) == [5]


def test_it_is_left_out_also_where_it_comes_again_in_the_same_call() -> None:
    """And where the client does not know how far it has read."""
    repeats = Repeats()
    repeats.stay({STAYS: -1001})

    assert returned(repeats, records(3, 4, 4, 5)) == [3, 4, 5]
    repeats.begin()
    assert returned(repeats, records(5, 6)) == [6]


def test_a_second_rebalance_takes_nothing_back(repeats: Repeats) -> None:
    """The client may not know its place then."""
    repeats.stay({STAYS: -1001})
    repeats.begin()
    assert returned(repeats, records(4, 5)) == [5]


class Client:
    """Has read everything up to record 5, and takes what it is assigned."""

    def position(self, partitions: Sequence[Any]) -> list[Any]:
        """The same place in each."""
        return [confluent_kafka.TopicPartition(each.topic, each.partition, 5) for each in partitions]

    def incremental_assign(self, partitions: Sequence[Any]) -> None:
        """Nothing to see."""

    resume = incremental_unassign = incremental_assign


def test_only_what_a_rebalance_leaves_alone_is_watched() -> None:
    """Not what comes, even where it was never given back: the group says where that is read."""
    client, here = Client(), [TopicPartition("t", n) for n in range(3)]
    assignment = Assignment(True, lambda _gone: None)
    assignment.on_assign(client, bare(here))
    assignment.on_revoke(client, bare(here[2:]))
    assignment.on_assign(client, bare(here[:1]))
    assignment.repeats.begin()

    assert returned(assignment.repeats, records(1, partition=0)) == [1]
    assert returned(assignment.repeats, records(1, partition=1)) == []
    assert returned(assignment.repeats, records(1, partition=2)) == [1]
