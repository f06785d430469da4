"""Whether the cluster answers and has what is needed: said when it changes, and for as long as it lasts."""

import logging
from collections.abc import Iterable, Mapping, Sequence

import pytest

from tests.fakes.clock import FakeClock
from worker.cluster_watch import ClusterWatch, needed_topics
from worker.kafka.errors import BrokerUnreachable, KafkaProblem, TimedOut
from worker.settings_loading import load_settings
from worker.topic_directory import TopicDirectory


class Cluster:
    """Answers, or is away."""

    def __init__(self) -> None:
        self.topics = {"requests": 4, "replies": 4, "requests-dlt": 4}
        self.away = False

    def partition_counts(self) -> Mapping[str, int]:
        """Every topic."""
        if self.away:
            raise BrokerUnreachable("no Kafka broker answers")
        return dict(self.topics)

    def max_message_bytes(self, topics: Iterable[str]) -> Mapping[str, int]:
        """Nothing special."""
        return {}


class Bench:
    """A watch over a cluster, and time."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        self.clock = FakeClock()
        self.directory = TopicDirectory(self.cluster, clock=self.clock, refresh_seconds=30.0)
        self.watch = ClusterWatch(self.directory, tuple(self.cluster.topics), (), clock=self.clock)


@pytest.fixture
def bench() -> Bench:
    """One that has looked once."""
    made = Bench()
    made.watch.step()
    return made


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Level and sentence of each line."""
    return [f"{record.levelname} {record.getMessage()}" for record in caplog.records]


def test_all_is_well_where_everything_is_there(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing to tell."""
    assert bench.watch.problems() == []
    assert bench.watch.look() is None
    assert said(caplog) == []


def test_a_cluster_that_is_away_is_asked_again_until_it_answers(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once in half a minute, and once when it is over; what was known of topics stays."""
    caplog.set_level(logging.INFO)
    bench.cluster.away = True
    bench.directory.look_again()

    for _ in range(3):
        bench.watch.step()
        bench.clock.advance(1.0)

    assert bench.watch.problems() == ["no Kafka broker answers"]
    assert bench.watch.missing() is None
    bench.cluster.away = False
    bench.watch.step()
    assert bench.watch.problems() == []
    assert said(caplog) == [
        "WARNING the cluster does not answer; trying again, and what is read and answered waits",
        "INFO the cluster answers again",
    ]


def test_a_topic_that_has_gone_is_told_once_and_when_it_is_back(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """The line names it and the command that makes it; others do not matter."""
    caplog.set_level(logging.INFO)
    del bench.cluster.topics["replies"]
    bench.directory.look_again()
    bench.watch.step()
    bench.directory.look_again()
    bench.watch.step()

    missing = "topics that do not exist: replies; make them with: headrace topics create"
    assert bench.watch.problems() == [missing]
    assert bench.watch.look() == missing
    bench.cluster.topics["replies"] = 4
    bench.directory.look_again()
    bench.watch.step()

    assert bench.watch.problems() == []
    assert [record.__dict__["topic"] for record in caplog.records] == ["replies", "replies"]
    assert said(caplog) == [
        "ERROR a topic does not exist; what needs it waits until it is made again: headrace topics create",
        "INFO the topic exists again",
    ]


def test_a_topic_that_is_another_one_by_now_is_told(bench: Bench) -> None:
    """Once, whether anybody saw that it was away or not; one that is not known of now is no other one."""
    ids: dict[str, str | KafkaProblem] = dict.fromkeys(bench.cluster.topics, "1")
    asked: list[Sequence[str]] = []

    def topic_ids(names: Sequence[str]) -> Mapping[str, str | KafkaProblem]:
        asked.append(names)
        return {name: ids[name] for name in names}

    watch = ClusterWatch(
        bench.directory, tuple(bench.cluster.topics), (), topic_ids=topic_ids, clock=bench.clock
    )
    told: list[str] = []
    watch.on_made_again = told.append
    watch.look()
    ids |= {"requests": "2", "replies": TimedOut("no answer")}

    for _ in range(2):
        bench.directory.look_again()
        watch.step()

    assert told == ["requests"]
    assert asked == [sorted(bench.cluster.topics)] * 3, "once for all of them"
    ids["replies"] = "1"
    bench.directory.look_again()
    watch.step()
    assert told == ["requests"]


def test_topics_that_cannot_be_asked_about_now_are_no_others(bench: Bench) -> None:
    """The next look tells."""
    away = [False, True, False]

    def topic_ids(names: Sequence[str]) -> Mapping[str, str | KafkaProblem]:
        if away.pop(0):
            raise TimedOut("no answer")
        return dict.fromkeys(names, "1")

    watch = ClusterWatch(
        bench.directory, tuple(bench.cluster.topics), (), topic_ids=topic_ids, clock=bench.clock
    )
    told: list[str] = []
    watch.on_made_again = told.append
    for _ in range(3):
        watch.look()

    assert told == []


def test_each_binding_needs_its_topics() -> None:
    """Those of requests, replies and dead letters."""
    bindings = [
        {"name": "a", "request_topics": ["x", "y"], "reply_topic": "r", "share": 0.5},
        {"name": "b", "request_topics": ["z"], "reply_topic": "s", "dead_letter_topic": "d", "share": 0.5},
    ]
    settings = load_settings({"bindings": bindings}, environ={}).settings

    assert needed_topics(settings) == {"x", "y", "z", "x-dlt", "y-dlt", "d", "r", "s"}
