"""Changing one model on the control topic."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from schemas import codec
from schemas.model_config import HISTORY_LENGTH, ModelConfig
from schemas.version_selection import SpecificVersions
from tests.fakes.clock import FakeClock
from tests.fakes.control import Reader, Topic, Writer
from tests.fakes.kafka_broker import FakeError, FakeMessage
from worker.control_record import InvalidControlRecord
from worker.control_topic import ControlTopic, ControlTopicMissing
from worker.control_view import read_control
from worker.control_writer import ControlWriter, current_author, overtaken_by
from worker.kafka.errors import BrokerUnreachable, MessageTooLarge, TimedOut

CONFIG = ModelConfig("/a", versions=SpecificVersions((1,)))


class Ticking(FakeClock):
    """A clock that moves by itself whenever it is read, so that waiting ends."""

    def __call__(self) -> float:
        """The time, one second later each time."""
        self.advance(1.0)
        return super().__call__()


def reading(topic: Topic) -> ControlTopic:
    """A reader of the topic."""
    return ControlTopic(topic.name, lambda events: Reader(topic, events), topic, clock=FakeClock())


def writer(topic: Topic, producer: Writer | None = None) -> ControlWriter:
    """A writer to the topic, at second 1000 of the wall clock."""
    return ControlWriter(
        reading(topic),
        Writer(topic) if producer is None else producer,
        author="ann@host",
        clock=Ticking(),
        wall=lambda: 1000.0,
    )


def to(config: ModelConfig | None) -> Callable[[ModelConfig | None], ModelConfig | None]:
    """A change to *config*, whatever was before."""
    return lambda _before: config


def test_a_new_model_is_written_signed() -> None:
    """With revision 1, author and time; the record is read back."""
    topic = Topic()
    topic.add(b"other", codec.encode(CONFIG))
    written = writer(topic).write("m", to(CONFIG))

    assert (written.offset, written.before, written.between) == (1, None, ())
    assert written.config == replace(CONFIG, revision=1, author="ann@host", time=1_000_000)
    (view,) = [read_control(reading(topic), 10.0).models["m"]]
    assert view.config == written.config


def test_a_change_is_made_from_what_is_there_and_keeps_it_as_history() -> None:
    """Revisions count up; the newest of the past comes first."""
    topic = Topic()
    writer(topic).write("m", to(CONFIG))
    writer(topic).write("m", to(replace(CONFIG, base_path="/b", comment="moved")))
    written = writer(topic).write("m", lambda before: before and replace(before, comment="third"))

    assert written.config is not None
    assert (written.config.revision, written.config.base_path) == (3, "/b")
    assert [(past.revision, past.base_path) for past in written.config.history] == [(2, "/b"), (1, "/a")]


def test_history_has_a_length() -> None:
    """The record does not grow for ever."""
    topic = Topic()
    for _ in range(HISTORY_LENGTH + 5):
        written = writer(topic).write("m", to(CONFIG))

    assert written.config is not None
    assert [past.revision for past in written.config.history] == list(range(14, 4, -1))


def test_a_removal_is_a_record_without_a_value() -> None:
    """The model is then gone from the view."""
    topic = Topic()
    writer(topic).write("m", to(CONFIG))
    written = writer(topic).write("m", to(None))

    assert (written.offset, written.config) == (1, None)
    assert topic.records[-1].value() is None
    assert read_control(reading(topic), 10.0).models == {}


def test_a_record_that_came_in_between_is_told() -> None:
    """Two people changed one model at the same time; the later record holds, and its author hears of the other's."""
    topic = Topic()
    writer(topic).write("m", to(CONFIG))

    def meanwhile(before: ModelConfig | None) -> ModelConfig:
        topic.add(b"other", codec.encode(CONFIG))
        topic.add(b"m", codec.encode(replace(CONFIG, author="bob@there", revision=2)))
        topic.add(b"m", None)
        topic.add(b"m", b"garbage")
        assert before is not None
        return before

    written = writer(topic).write("m", meanwhile)

    assert overtaken_by(written) == {
        2: "bob@there",
        3: "a removal",
        4: "a record that is not valid",
    }


def test_several_models_are_changed_from_one_reading_of_the_topic() -> None:
    """Each is signed by its own past; what is not named in the plan stays."""
    topic = Topic()
    for name in ("a", "gone", "stays"):
        writer(topic).write(name, to(CONFIG))

    changes = writer(topic).write_all(lambda _view: {"a": CONFIG, "gone": None, "new": CONFIG})

    assert [(each.name, each.offset) for each in changes.written] == [("a", 3), ("gone", 4), ("new", 5)]
    assert set(changes.view.models) == {"a", "gone", "stays"}
    found = read_control(reading(topic), 10.0)
    revisions = {name: entry.config and entry.config.revision for name, entry in found.models.items()}
    assert revisions == {"a": 2, "stays": 1, "new": 1}


def test_a_plan_without_changes_writes_nothing() -> None:
    """It has only looked."""
    topic = Topic()
    writer(topic).write("m", to(CONFIG))
    changes = writer(topic).write_all(lambda _view: {})
    assert (changes.written, len(topic.records)) == ((), 1)


def test_what_is_refused_does_not_hide_what_was_written() -> None:
    """Of many records one may be too large; each has its outcome."""

    class Choosy(Writer):
        def poll(self, timeout_seconds: float = 0.0) -> int:
            """Refuse the records of one model."""
            sent, self._sent = self._sent, []
            for each in sent:
                self.topic.refused = FakeError("MSG_SIZE_TOO_LARGE") if each[0] == b"b" else None
                self._sent = [each]
                super().poll()
            return len(sent)

    topic = Topic()
    changes = writer(topic, Choosy(topic)).write_all(lambda _view: dict.fromkeys("abc", CONFIG))

    assert [(each.name, each.offset) for each in changes.written] == [("a", 0), ("c", 1)]
    assert [(name, type(problem)) for name, problem in changes.refused.items()] == [("b", MessageTooLarge)]


def test_a_queue_that_takes_few_records_at_a_time_gets_them_all() -> None:
    """More models than the client holds."""

    class Narrow(Writer):
        def send(self, topic: str, values: Sequence[bytes | None], *more: Any, **named: Any) -> int:
            """Take two."""
            (keys,) = more
            named["on_delivery"] = named["on_delivery"][:2]
            return super().send(topic, values[:2], keys[:2], **named)

    topic = Topic()
    changes = writer(topic, Narrow(topic)).write_all(lambda _view: dict.fromkeys("abcde", CONFIG))

    assert "".join(each.name for each in changes.written) == "abcde"


def test_unsigned_a_config_is_written_as_it_is() -> None:
    """For records that are no change."""
    topic = Topic()
    first = writer(topic).write("m", to(CONFIG))
    changes = writer(topic).write_all(lambda view: {"m": view.config("m")}, sign=False)
    assert changes.written[0].config == first.config
    assert topic.records[0].value() == topic.records[1].value()


@pytest.mark.parametrize(("name", "config"), [("a/b", CONFIG), ("m", replace(CONFIG, base_path="relative"))])
def test_what_breaks_a_rule_is_not_written(name: str, config: ModelConfig) -> None:
    """The rules are the workers' own."""
    topic = Topic()
    with pytest.raises(InvalidControlRecord):
        writer(topic).write(name, to(config))
    assert topic.records == []


def test_a_name_that_breaks_a_rule_is_told_without_a_broker() -> None:
    """Nothing has to be read for it."""
    with pytest.raises(InvalidControlRecord, match="'a/b' is not allowed"):
        writer(Topic(problem=BrokerUnreachable("gone"))).write("a/b", to(CONFIG))


def test_an_invalid_record_is_replaced_by_a_first_revision() -> None:
    """It holds nothing that could be kept."""
    topic = Topic()
    topic.add(b"m", b"garbage")
    assert read_control(reading(topic), 10.0).models["m"].problem is not None

    written = writer(topic).write("m", to(CONFIG))
    assert written.config is not None
    assert written.config.revision == 1


def test_a_record_that_is_refused_is_an_error() -> None:
    """In an operator's words."""
    topic = Topic(refused=FakeError("MSG_SIZE_TOO_LARGE"))

    with pytest.raises(MessageTooLarge):
        writer(topic).write("m", to(CONFIG))


def test_a_record_that_is_never_acknowledged_is_an_error() -> None:
    """Whether it was written is not known."""

    class Silent(Writer):
        def flush(self, timeout_seconds: float) -> int:
            """Nothing comes back."""
            return 1

    topic = Topic()
    with pytest.raises(TimedOut, match="has not taken the record"):
        writer(topic, Silent(topic)).write("m", to(CONFIG))


def test_a_missing_control_topic_is_an_error() -> None:
    """Nothing is created by writing to it."""
    with pytest.raises(ControlTopicMissing):
        writer(Topic(partitions=0)).write("m", to(CONFIG))


def test_a_topic_that_cannot_be_read_to_its_end_is_an_error_with_its_reason() -> None:
    """Changing a model without having seen it would lose its history."""

    class Vanishing(Reader):
        def poll(self, max_records: int, timeout_seconds: float) -> Sequence[FakeMessage]:
            """The broker goes away before the first record."""
            topic.problem = BrokerUnreachable("gone")
            return super().poll(max_records, timeout_seconds)

    topic = Topic()
    topic.add(b"m", codec.encode(CONFIG))
    control = ControlTopic(topic.name, lambda events: Vanishing(topic, events), topic, clock=FakeClock())
    with pytest.raises(BrokerUnreachable, match="gone"):
        read_control(control, 10.0, Ticking())


def test_the_author_is_user_and_host() -> None:
    """Also where the user has no name."""
    assert re.fullmatch(r"\S+@\S+", current_author())
