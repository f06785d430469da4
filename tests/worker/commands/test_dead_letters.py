"""`headrace dead-letters` on topics in memory, with dead letters that a worker has written."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click
import pytest

from schemas import codec
from schemas.dead_letter import REPLAYS
from tests.fakes.clock import FakeClock
from tests.fakes.kafka import FakeAdmin, FakeConsumer, FakeProducer
from tests.fakes.request_path import DEAD_LETTERS, EPOCH_SECONDS, GROUP, REQUESTS, Lab, request
from worker.cluster import Cluster
from worker.commands.dead_letter_access import DeadLetterAccess
from worker.commands.dead_letter_lists import bytes_text, show_entries, show_summary
from worker.commands.dead_letter_options import (
    MomentParam,
    PlaceParam,
    StartsParam,
    sources_of,
    the_topic,
    topics_of,
)
from worker.commands.dead_letter_sending import Wish, replay_dead_letters
from worker.commands.dead_letter_views import hex_lines, show_dead_letter
from worker.commands.failure import CommandFailedError
from worker.commands.output import Output
from worker.dead_letter_entries import Selection
from worker.dead_letter_replay import Rules
from worker.exit_codes import ExitCode
from worker.kafka.errors import TopicMissing
from worker.kafka.records import TopicPartition
from worker.settings import Settings

JSON = Output("json")
ALL = Selection()
NOWHERE = [("reply_to", b"nowhere")]


class World:
    """A worker that has left dead letters behind: in each partition one that is garbage, one that has no route."""

    def __init__(self, partitions: int = 2) -> None:
        self.lab = Lab({REQUESTS: partitions, "headrace.replies": 1, DEAD_LETTERS: partitions})
        self.lab.set_model()
        self.worker = self.lab.worker(worker_id="w1").join()
        self.producers: list[FakeProducer] = []
        self.batch_bytes: list[int] = []

    def dead_letter(self, count: int = 2) -> "World":
        """Let so many records become dead letters."""
        for n in range(count):
            if n % 2:
                self.lab.send(request(n, id=f"{n}"), b"key%d" % n, [("own", b"1"), *NOWHERE], partition=0)
            else:
                self.lab.send(b"garbage %d" % n, b"key%d" % n, partition=0)
        self.worker.until_committed(self.end())
        return self

    def end(self, number: int = 0) -> int:
        """The end of a partition of the request topic."""
        return self.lab.broker.end(TopicPartition(REQUESTS, number))

    def access(self) -> DeadLetterAccess:
        """The way of a command to it."""
        admin: Any = FakeAdmin(self.lab.broker)

        def consumer(events: Any) -> FakeConsumer:
            return FakeConsumer(self.lab.broker, events, "", FakeClock().advance)

        def producer(batch_bytes: int) -> FakeProducer:
            self.batch_bytes.append(batch_bytes)
            self.producers.append(FakeProducer(self.lab.broker))
            return self.producers[-1]

        return DeadLetterAccess(admin, Cluster(admin), consumer, producer)

    def wish(self, selection: Selection = ALL, **fields: Any) -> Wish:
        """To send what is chosen, unless it has been sent three times."""
        rules = Rules({DEAD_LETTERS: frozenset({REQUESTS})}, fields.pop("most", 3))
        return Wish((DEAD_LETTERS,), selection, rules, **{"confirmed": True, **fields})

    def requests(self) -> int:
        """How many records the request topic has."""
        return len(self.lab.broker.records(REQUESTS))


def document(capsys: pytest.CaptureFixture[str]) -> Any:
    """What was printed for programs."""
    return json.loads(capsys.readouterr().out)


def test_the_list_says_what_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    """Place, time, reason, source, worker, and the model where the value names one."""
    show_entries(World().dead_letter().access(), [DEAD_LETTERS], ALL, 0, JSON)
    found = document(capsys)

    assert (found["read"], found["matched"]) == (2, 2)
    by_reason = {each["reason"]: each for each in found["dead_letters"]}
    garbage, lost = by_reason["UnknownFraming"], by_reason["NoRouteError"]
    assert garbage["source"] == {
        "topic": REQUESTS,
        "partition": 0,
        "offset": 0,
        "time": datetime.fromtimestamp(EPOCH_SECONDS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    assert (garbage["group"], garbage["worker"], garbage["replays"]) == (GROUP, "w1", 0)
    assert "the value begins with" in garbage["error"]
    assert (garbage["model"], lost["model"]) == (None, "m")
    assert lost["key"] == "key1"


def test_the_table_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """One line each; how many there are is said beside it."""
    show_entries(World().dead_letter().access(), [DEAD_LETTERS], ALL, 1, Output())
    out, err = capsys.readouterr()

    assert "NoRouteError" in out or "UnknownFraming" in out
    assert "2 of 2 dead letters match; the latest 1 are shown (--limit)" in err


def test_several_topics_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    """With a column more."""
    world = World().dead_letter()
    world.lab.broker.create_topic("other-dlt")
    show_entries(world.access(), [DEAD_LETTERS, "other-dlt"], ALL, 0, Output())

    assert DEAD_LETTERS in capsys.readouterr().out


def test_an_empty_topic_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """It says so."""
    show_entries(World().access(), [DEAD_LETTERS], ALL, 0, Output())

    assert "there are no dead letters" in capsys.readouterr().err


def test_a_record_of_somebody_elses_is_shown_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    """Without headers of ours nothing is known of it but that it is there."""
    world = World()
    world.lab.broker.append(DEAD_LETTERS, b"what", b"\xff\x00", partition=0)
    show_entries(world.access(), [DEAD_LETTERS], ALL, 0, JSON)
    (found,) = document(capsys)["dead_letters"]

    assert (found["reason"], found["source"], found["key"]) == (None, None, "0xff00")
    assert "no dead letter of headrace's" in found["error"]


def test_a_topic_that_does_not_exist_is_named() -> None:
    """As the error says."""
    with pytest.raises(TopicMissing, match="'nowhere-dlt'"):
        show_entries(World().access(), ["nowhere-dlt"], ALL, 0, JSON)


def test_the_summary_groups_them(capsys: pytest.CaptureFixture[str]) -> None:
    """By reason, source and worker, with an example."""
    access = World().dead_letter(7).access()
    show_summary(access, [DEAD_LETTERS], ALL, JSON)
    found = document(capsys)["summary"]

    assert [(g["records"], g["reason"], g["source_topic"], g["worker"]) for g in found] == [
        (4, "UnknownFraming", REQUESTS, "w1"),
        (3, "NoRouteError", REQUESTS, "w1"),
    ]
    show_summary(access, [DEAD_LETTERS], ALL, Output())
    assert "UnknownFraming" in capsys.readouterr().out


def place_of(world: World, value: bytes) -> tuple[int, int]:
    """Where the dead letter with this value is."""
    return next((m.partition(), m.offset()) for m in world.lab.dead_letters() if m.value() == value)


def test_one_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """Its headers, and what its payload is."""
    world = World().dead_letter()
    value = codec.encode(request(1, id="1"))
    show_dead_letter(world.access(), DEAD_LETTERS, place_of(world, value), (), JSON)
    found = document(capsys)

    headers = {each["name"]: each for each in found["headers"]}
    assert headers["own"] == {"name": "own", "text": "1", "hex": "31"}
    assert headers["kafka_dlt-original-offset"]["text"] == "1"
    assert found["payload"]["bytes"] == len(value)
    assert found["payload"]["hex"] == value[:256].hex()
    assert found["payload"]["request"]["model"] == "m"
    assert found["payload"]["request"]["inputs"] == [{"name": "x", "dtype": "DT_FLOAT", "shape": [1, 2]}]


def test_of_a_payload_that_is_no_request_it_is_said_why(capsys: pytest.CaptureFixture[str]) -> None:
    """And its beginning is there as hex, for people too."""
    world = World().dead_letter()
    place = place_of(world, b"garbage 0")
    show_dead_letter(world.access(), DEAD_LETTERS, place, (), JSON)
    assert document(capsys)["payload"]["problem"].startswith("UnknownFraming: the value begins with")

    show_dead_letter(world.access(), DEAD_LETTERS, place, (), Output())
    out = capsys.readouterr().out
    assert "67 61 72 62" in out
    assert "garbage 0" in out


def test_a_damaged_request_still_names_its_model(capsys: pytest.CaptureFixture[str]) -> None:
    """What can be read of it is."""
    world = World()
    world.lab.send(codec.encode(request(1, id="1"))[:-9], b"k", partition=0)
    world.worker.until_committed(1)
    (letter,) = world.lab.dead_letters()
    show_dead_letter(world.access(), DEAD_LETTERS, (letter.partition(), letter.offset()), (), JSON)
    payload = document(capsys)["payload"]

    assert (payload["model"], payload["request"]) == ("m", None)
    assert "Truncated" in payload["problem"]


@pytest.mark.parametrize(
    ("place", "words"), [((7, 0), "no partition 7, only 0 to 1"), ((0, 99), "has no offset 99")]
)
def test_a_place_that_holds_nothing_is_told(place: tuple[int, int], words: str) -> None:
    """With what there is."""
    with pytest.raises(CommandFailedError, match=words):
        show_dead_letter(World().dead_letter().access(), DEAD_LETTERS, place, (), JSON)


def test_hex_is_shown_in_lines_and_cut() -> None:
    """Offset, bytes, text."""
    lines = hex_lines(b"ab\x00" * 100)

    assert lines[0].startswith("000000  61 62 00 61")
    assert lines[0].endswith(" ab.ab.ab.ab.ab.a")
    assert lines[-1] == "… 44 bytes more"
    assert hex_lines(b"") == []


def test_what_is_replayed_is_answered_when_the_cause_has_gone(capsys: pytest.CaptureFixture[str]) -> None:
    """A worker that allows the reply topic answers it; the garbage comes back with its count."""
    world = World().dead_letter(4)
    world.lab.broker.create_topic("nowhere")
    world.worker.finish()
    replay_dead_letters(world.access(), world.wish(), JSON)

    found = document(capsys)
    assert (found["sent"], found["not_sent"]) == ({REQUESTS: 4}, [])
    heir = world.lab.worker(worker_id="w2", bindings=[{"allowed_reply_topics": ["nowhere"]}]).join()
    for number in range(2):
        heir.until_committed(world.end(number), number)
    assert set(world.lab.codes("nowhere")) == {"1", "3"}
    again = [m for m in world.lab.dead_letters() if dict(m.headers() or ()).get(REPLAYS) == b"1"]
    assert sorted(m.value() or b"" for m in again) == [b"garbage 0", b"garbage 2"]
    assert all(producer.closed for producer in world.producers)


def test_a_replay_goes_no_further_than_it_may(capsys: pytest.CaptureFixture[str]) -> None:
    """The third time it is left where it is, and the exit status says so."""
    world = World()
    world.lab.send(b"garbage", b"k", partition=0)
    world.worker.until_committed(1)
    for _ in range(2):
        latest = max(
            world.lab.dead_letters(), key=lambda m: int(dict(m.headers() or ()).get(REPLAYS, b"0") or 0)
        )
        selection = Selection(places=frozenset({(latest.partition(), latest.offset())}))
        replay_dead_letters(world.access(), world.wish(selection, most=2), JSON)
        for number in range(2):
            world.worker.until_committed(world.end(number), number)
    capsys.readouterr()
    before = world.requests()
    newest = max(world.lab.dead_letters(), key=lambda m: int(dict(m.headers() or ()).get(REPLAYS, b"0") or 0))

    with pytest.raises(CommandFailedError, match="sent again 2 times already") as caught:
        replay_dead_letters(
            world.access(),
            world.wish(Selection(places=frozenset({(newest.partition(), newest.offset())})), most=2),
            JSON,
        )

    assert caught.value.code is ExitCode.FAILED
    assert len(document(capsys)["not_sent"]) == 1
    assert world.requests() == before


def test_a_dry_run_sends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """It says what would be sent, and needs no answer."""
    world = World().dead_letter(4)
    before = world.requests()
    replay_dead_letters(world.access(), world.wish(dry_run=True, confirmed=False), JSON)
    found = document(capsys)

    assert (found["dry_run"], found["chosen"], found["sent"]) == (True, {REQUESTS: 4}, {})
    assert world.requests() == before
    assert world.producers == []


@pytest.mark.parametrize("answer", [True, False])
def test_nothing_is_sent_before_the_answer(answer: bool) -> None:
    """The question says how many, and where to."""
    world = World().dead_letter(4)
    before, asked = world.requests(), []

    def ask(question: str) -> bool:
        asked.append(question)
        assert world.requests() == before
        return answer

    wish = world.wish(confirmed=False)
    if answer:
        replay_dead_letters(world.access(), wish, JSON, ask=ask)
    else:
        with pytest.raises(CommandFailedError, match="nothing was sent"):
            replay_dead_letters(world.access(), wish, JSON, ask=ask)

    assert asked == [f"send 4 dead letters (4 to {REQUESTS})?"]
    assert world.requests() == (before + 4 if answer else before)


def test_where_nobody_can_be_asked_nothing_is_sent() -> None:
    """A script has to say that it means it."""
    world = World().dead_letter()

    with pytest.raises(CommandFailedError, match="--yes") as caught:
        replay_dead_letters(world.access(), world.wish(confirmed=False), JSON)

    assert caught.value.code is ExitCode.USAGE
    assert world.producers == []


def test_a_limit_sends_the_oldest_and_the_next_replay_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    """To try it with a few; none is sent twice."""
    world = World()
    for n in range(3):
        world.lab.send(b"garbage %d" % n, partition=0)
        world.worker.until_committed(n + 1)
        world.worker.run_for(10.0)

    def sent() -> list[bytes]:
        return sorted(m.value() or b"" for m in world.lab.broker.records(REQUESTS) if m.headers())

    replay_dead_letters(world.access(), world.wish(limit=1), JSON)
    out, err = capsys.readouterr()
    assert sent() == [b"garbage 0"]
    assert "2 more match" in err

    starts = StartsParam().convert(json.loads(out)["next"][DEAD_LETTERS], None, None)
    replay_dead_letters(world.access(), world.wish(Selection(starts=starts)), JSON)
    assert sent() == [b"garbage 0", b"garbage 1", b"garbage 2"]


def test_of_one_partition_the_first_are_the_oldest_whatever_the_clocks_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Workers have clocks of their own; the next replay must find all that a limit has left."""
    world = World().dead_letter(1)
    (headers,) = (letter.headers() for letter in world.lab.dead_letters())
    world.lab.broker.create_topic("late-dlt")
    for value, time_ms in ((b"first", 5000), (b"second", 1000)):
        world.lab.broker.append("late-dlt", value, None, headers, partition=0, timestamp_ms=time_ms)
    rules = Rules({"late-dlt": frozenset({REQUESTS})}, 3)
    replay_dead_letters(world.access(), Wish(("late-dlt",), ALL, rules, limit=1, confirmed=True), JSON)

    assert json.loads(capsys.readouterr().out)["next"] == {"late-dlt": "0:1"}
    assert [m.value() for m in world.lab.broker.records(REQUESTS) if m.headers()] == [b"first"]


def test_after_a_failure_the_next_replay_begins_there(capsys: pytest.CaptureFixture[str]) -> None:
    """And what it would send again is said: nothing is left out for that."""
    world = World()
    for value in (b"small 0", b"large" * 100, b"small 1"):
        world.lab.send(value, partition=0)
    world.worker.until_committed(3)
    letters = {m.value(): (m.partition(), m.offset()) for m in world.lab.dead_letters()}
    number, offset = letters[b"large" * 100]
    behind = sum(each[0] == number and each[1] > offset for each in letters.values())
    world.lab.broker.configs[REQUESTS]["max.message.bytes"] = "200"

    with pytest.raises(CommandFailedError, match="1 of 3 dead letters were not sent"):
        replay_dead_letters(world.access(), world.wish(), JSON)

    out, err = capsys.readouterr()
    assert StartsParam().convert(json.loads(out)["next"][DEAD_LETTERS], None, None)[number] == offset
    assert ("1 that have been sent lie behind that too" in err) is (behind == 1)


def test_where_the_next_replay_begins_is_said_and_understood(capsys: pytest.CaptureFixture[str]) -> None:
    """What is sent is not sent again from there; what came later is."""
    world = World().dead_letter(4)
    replay_dead_letters(world.access(), world.wish(), JSON)
    out, err = capsys.readouterr()
    text = json.loads(out)["next"][DEAD_LETTERS]
    assert f"--topic {DEAD_LETTERS} --from {text}" in err
    starts = StartsParam().convert(text, None, None)

    replay_dead_letters(world.access(), world.wish(Selection(starts=starts)), JSON)
    assert json.loads(capsys.readouterr().out)["matched"] == 0

    for number in range(2):
        world.worker.until_committed(world.end(number), number)
    replay_dead_letters(world.access(), world.wish(Selection(starts=starts)), JSON)
    assert json.loads(capsys.readouterr().out)["matched"] == 4


def test_a_selection_that_does_not_reach_the_end_gives_no_place_to_go_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What lies behind it would be left out."""
    world = World().dead_letter(4)
    until = (world.lab.wall() + 1) * 1000
    replay_dead_letters(world.access(), world.wish(Selection(until_ms=until)), JSON)

    assert "--from" not in capsys.readouterr().err


def test_a_place_without_a_dead_letter_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """The others are sent all the same."""
    world = World().dead_letter(2)
    known = place_of(world, b"garbage 0")

    with pytest.raises(
        CommandFailedError, match="1 of 2 dead letters were not sent: there is no such dead letter"
    ):
        replay_dead_letters(world.access(), world.wish(Selection(places=frozenset({known, (1, 999)}))), JSON)

    assert document(capsys)["sent"] == {REQUESTS: 1}


def test_what_the_broker_does_not_take_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """With its place; the exit status is that of a failure, and batches are no larger than the topic takes."""
    world = World().dead_letter(1)
    world.lab.broker.configs[REQUESTS]["max.message.bytes"] = "60"

    with pytest.raises(CommandFailedError, match=r"1 of 1 dead letters were not sent: .* too large"):
        replay_dead_letters(world.access(), world.wish(), JSON)

    assert len(document(capsys)["not_sent"]) == 1
    assert world.batch_bytes == [60]


@pytest.mark.parametrize(("text", "ago_seconds"), [("30s", 30), ("10m", 600), ("2h", 7200), ("1d", 86_400)])
def test_a_time_may_be_so_long_ago(text: str, ago_seconds: int) -> None:
    """Counted from now."""
    assert MomentParam(lambda: 100_000.0).convert(text, None, None) == (100_000 - ago_seconds) * 1000


@pytest.mark.parametrize(
    "text", ["2026-11-21T03:00:00Z", "2026-11-21T03:00", "2026-11-21 04:00+01:00", "2026-11-21T03:00:00.000"]
)
def test_a_time_may_be_an_instant(text: str) -> None:
    """In UTC, unless it says otherwise."""
    assert MomentParam().convert(text, None, None) == datetime(2026, 11, 21, 3, tzinfo=UTC).timestamp() * 1000


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (MomentParam, "yesterday"),
        (MomentParam, "10"),
        (PlaceParam, "12"),
        (PlaceParam, "0:x"),
        (StartsParam, "0:1,"),
    ],
)
def test_what_means_nothing_is_refused_with_an_example(kind: type[Any], text: str) -> None:
    """So that the next try is right."""
    with pytest.raises(click.BadParameter, match="expected"):
        kind().convert(text, None, None)


def two_bindings() -> Settings:
    """One with a dead-letter topic of its own, and two request topics."""
    return Settings(
        bindings=[  # type: ignore[arg-type]  # as a file has it
            {"name": "a", "request_topics": ["a1", "a2"], "dead_letter_topic": "lost", "share": 0.5},
            {"name": "b", "request_topics": ["b1", "b2"], "reply_topic": "b-replies", "share": 0.5},
        ]
    )


@pytest.mark.parametrize(
    ("topic", "binding", "found"),
    [
        (None, None, ("lost", "b1-dlt", "b2-dlt")),
        (None, "a", ("lost",)),
        ("any", None, ("any",)),
    ],
)
def test_topics_are_those_of_the_bindings(
    topic: str | None, binding: str | None, found: Sequence[str]
) -> None:
    """All of them, unless one is named."""
    assert topics_of(two_bindings(), topic, binding) == found


def test_a_binding_that_is_not_there_is_told_with_those_that_are() -> None:
    """As a usage error."""
    with pytest.raises(CommandFailedError, match="the settings have a, b") as caught:
        topics_of(two_bindings(), None, "c")
    assert caught.value.code is ExitCode.USAGE
    with pytest.raises(CommandFailedError, match="not both"):
        topics_of(two_bindings(), "lost", "a")


def test_a_place_wants_one_topic() -> None:
    """Or it could be several places."""
    assert the_topic(("a",), "it") == "a"
    with pytest.raises(CommandFailedError, match="there are a, b; say which with --topic"):
        the_topic(("a", "b"), "it")


def test_what_may_be_written_to_is_what_the_bindings_read() -> None:
    """By dead-letter topic."""
    assert sources_of(two_bindings()) == {
        "lost": {"a1", "a2"},
        "b1-dlt": {"b1"},
        "b2-dlt": {"b2"},
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [(b"", ""), (b"abc", "abc"), (b"\xff", "0xff"), (b"a\n", "0x610a"), ("é".encode(), "é")],
)
def test_bytes_are_text_where_they_can_be(value: bytes, text: str) -> None:
    """Else hex."""
    assert bytes_text(value) == text
