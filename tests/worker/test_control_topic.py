"""Reading the control topic, on a topic in memory."""

from collections.abc import Sequence

import pytest

from tests.fakes.clock import FakeClock
from tests.fakes.control import Reader, Topic
from worker.control_topic import (
    ControlTopic,
    ControlTopicMisconfigured,
    ControlTopicMissing,
    configuration_problems,
)
from worker.kafka.consumer import ConsumerEvents
from worker.kafka.errors import BrokerUnreachable, NotAuthorized, TopicMissing
from worker.kafka.topic_facts import TopicInfo


def control_topic(topic: Topic, clock: FakeClock | None = None, *, checked: bool = True) -> ControlTopic:
    """A reader of *topic*."""
    return ControlTopic(
        topic.name,
        lambda events: Reader(topic, events),
        topic if checked else None,
        clock=clock or FakeClock(),
    )


def offsets(control: ControlTopic) -> list[int]:
    """The offsets of the next records."""
    return [record.offset for record in control.poll(0.0)]


def test_everything_that_is_there_is_read_before_it_is_caught_up() -> None:
    """What is written later does not move that mark."""
    topic = Topic()
    topic.add(b"a", b"1")
    topic.add(b"b", b"2")
    control = control_topic(topic)
    control.open()

    assert not control.caught_up
    assert offsets(control) == [0, 1]
    assert control.caught_up


def test_an_empty_topic_is_caught_up_at_once() -> None:
    """There is nothing to wait for."""
    control = control_topic(Topic())
    control.open()

    assert control.caught_up


def test_a_topic_whose_beginning_was_compacted_away_is_read_from_what_is_left() -> None:
    """A late reader sees each model's last record."""
    topic = Topic()
    topic.add(b"a", b"1")
    topic.add(b"b", b"2")
    topic.add(b"a", b"3")
    topic.add(b"b", None)
    topic.add(b"c", b"4")
    topic.compact()
    control = control_topic(topic)
    control.open()

    assert [(r.key, r.value) for r in control.poll(0.0)] == [(b"a", b"3"), (b"c", b"4")]
    assert control.caught_up


def test_an_end_that_no_record_reaches_is_believed_after_silence_of_a_broker_that_answers() -> None:
    """Compaction may take the last offsets before the end away, so that no record carries them."""
    topic, clock = Topic(), FakeClock()
    topic.add(b"a", b"1")
    topic.add(b"b", b"2")
    topic.add(b"b", None)
    topic.compact()
    control = control_topic(topic, clock)
    control.open()
    assert offsets(control) == [0]
    clock.advance(9.0)
    assert offsets(control) == []
    assert not control.caught_up

    clock.advance(1.0)
    assert offsets(control) == []
    assert control.caught_up


def test_silence_of_a_broker_that_is_away_is_not_believed() -> None:
    """Joining with half the models would answer NOT_FOUND for the others."""
    topic, clock = Topic(), FakeClock()
    topic.add(b"a", b"1")
    control = control_topic(topic, clock)
    control.open()
    topic.problem = BrokerUnreachable("nobody there")
    clock.advance(60.0)

    assert offsets(control) == []
    assert not control.caught_up
    assert control.problem is topic.problem


@pytest.mark.parametrize(
    ("partitions", "config", "said"),
    [
        (4, {"cleanup.policy": "compact"}, "it has 4 partitions instead of 1"),
        (1, {"cleanup.policy": "delete"}, "cleanup.policy is 'delete' instead of 'compact'"),
        (1, {"cleanup.policy": "compact,delete"}, "cleanup.policy is 'compact,delete' instead of 'compact'"),
        (1, {}, "cleanup.policy is 'delete'"),
        (1, {"cleanup.policy": "compact", "max.message.bytes": "1000"}, "max.message.bytes is 1000"),
    ],
)
def test_a_topic_that_cannot_be_trusted_is_refused_with_what_is_wrong(
    partitions: int, config: dict[str, str], said: str
) -> None:
    """The sentence ends with the command that helps."""
    topic = Topic(partitions=partitions, config=config)

    with pytest.raises(ControlTopicMisconfigured, match="headrace topics create") as caught:
        control_topic(topic).open()
    assert said in str(caught.value)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    """An automatically created topic has two faults."""
    assert len(configuration_problems(4, {"cleanup.policy": "delete"})) == 2


def test_a_missing_topic_is_told_with_the_command_that_makes_it() -> None:
    """Nothing relies on automatic creation."""
    with pytest.raises(ControlTopicMissing, match=r"'control' does not exist; .* headrace topics create"):
        control_topic(Topic(partitions=0)).open()


@pytest.mark.parametrize(
    ("problem", "expected"),
    [(TopicMissing("gone"), ControlTopicMissing), (NotAuthorized("not allowed"), NotAuthorized)],
)
def test_what_the_metadata_say_of_the_topic_is_told(
    problem: TopicMissing | NotAuthorized, expected: type[Exception]
) -> None:
    """A topic that may not be seen is not called missing."""

    class Facts(Topic):
        def find(self, names: Sequence[str]) -> dict[str, TopicInfo]:
            """The topic with a problem."""
            return {self.name: TopicInfo(self.name, 0, 0, problem)}

    with pytest.raises(expected):
        control_topic(Facts()).open()


@pytest.mark.parametrize(
    ("rights", "said"),
    [
        ({"DESCRIBE", "DESCRIBE_CONFIGS"}, "User:test lacks the right READ on topic 'control'"),
        ({"READ", "DESCRIBE"}, "User:test lacks the right DESCRIBE_CONFIGS on topic 'control'"),
    ],
)
def test_a_right_that_is_missing_is_told_before_anything_is_read(rights: set[str], said: str) -> None:
    """With the command that gives it."""
    with pytest.raises(NotAuthorized, match=r"kafka-acls\.sh --add --allow-principal User:test") as caught:
        control_topic(Topic(rights=frozenset(rights))).open()
    assert str(caught.value).startswith(said)


def test_an_unchecked_topic_may_be_anything() -> None:
    """The demo's broker cannot tell its topics' settings."""
    control = control_topic(Topic(partitions=4, config={}), checked=False)
    control.open()

    assert control.caught_up


def test_opened_again_it_goes_on_where_it_was() -> None:
    """Each record is given out once."""
    topic = Topic()
    topic.add(b"a", b"1")
    control = control_topic(topic)
    control.open()
    offsets(control)
    topic.add(b"a", b"2")
    control.open()

    assert offsets(control) == [1]


def test_a_topic_that_was_made_anew_is_read_from_its_beginning() -> None:
    """Its offsets are others, so all of it is news."""
    topic = Topic()
    for _ in range(3):
        topic.add(b"a", b"1")
    control = control_topic(topic)
    control.open()
    offsets(control)
    topic.records, topic.end = [], 0
    topic.add(b"a", b"new")
    control.open()

    assert offsets(control) == [0]


def one_record_again(topic: Topic) -> None:
    """Make the topic again, with as many records as it had: its end does not tell."""
    topic.made += 1
    topic.records, topic.end = [], 0
    topic.add(b"a", b"new")


def test_a_topic_that_was_missing_is_read_from_its_beginning_when_it_is_back() -> None:
    """The consumer says that it is missing; opened again it begins anew."""
    topic = Topic()
    topic.add(b"a", b"1")
    control = control_topic(topic)
    control.open()
    offsets(control)
    topic.problem = TopicMissing("gone")
    with pytest.raises(TopicMissing):
        control.poll(0.0)
    topic.problem = None
    one_record_again(topic)
    control.open()

    assert offsets(control) == [0]


def test_a_topic_that_was_made_again_unnoticed_is_found_out() -> None:
    """The consumer says nothing and reads on at the old place: the broker is asked now and then."""
    topic, clock = Topic(), FakeClock()
    topic.add(b"a", b"1")
    control = control_topic(topic, clock)
    control.open()
    offsets(control)
    clock.advance(10.0)
    assert offsets(control) == []
    one_record_again(topic)
    assert offsets(control) == []
    clock.advance(10.0)

    with pytest.raises(TopicMissing, match="made again"):
        control.poll(0.0)
    control.open()
    assert offsets(control) == [0]


def test_a_place_that_is_no_more_is_left_for_the_beginning() -> None:
    """The consumer is never moved silently; here it is told to begin anew."""
    topic, readers = Topic(), list[Reader]()
    topic.add(b"a", b"1")

    def new_reader(events: ConsumerEvents) -> Reader:
        readers.append(Reader(topic, events))
        return readers[-1]

    control = ControlTopic("control", new_reader, topic, clock=FakeClock())
    control.open()
    offsets(control)
    readers[0].lose_place()

    assert "no offset 1 any more" in str(control.problem)
    assert offsets(control) == [0]
