"""What is known of topics: a snapshot that is refreshed beside the flow, and sooner when it was found wanting."""

from collections.abc import Iterable, Mapping

import pytest

from tests.fakes.clock import FakeClock
from worker.kafka.errors import BrokerUnreachable
from worker.topic_directory import DEFAULT_MAX_MESSAGE_BYTES, KnownTopic, TopicDirectory


class Cluster:
    """Answers, and counts how often it was asked; or is away."""

    def __init__(self) -> None:
        self.topics = {"a": 2, "b": 1}
        self.limits = {"a": 20_000, "b": 30_000}
        self.away = False
        self.asked = 0

    def partition_counts(self) -> Mapping[str, int]:
        """Every topic."""
        self.asked += 1
        if self.away:
            raise BrokerUnreachable("no broker answers")
        return dict(self.topics)

    def max_message_bytes(self, topics: Iterable[str]) -> Mapping[str, int]:
        """The limits of those asked for."""
        return {topic: self.limits[topic] for topic in topics}


@pytest.fixture
def cluster() -> Cluster:
    """A cluster of two topics."""
    return Cluster()


@pytest.fixture
def clock() -> FakeClock:
    """The time."""
    return FakeClock()


@pytest.fixture
def directory(cluster: Cluster, clock: FakeClock) -> TopicDirectory:
    """A directory that has looked once."""
    made = TopicDirectory(cluster, clock=clock, refresh_seconds=30.0)
    made.refresh()
    return made


def test_limits_are_known_of_watched_topics(directory: TopicDirectory) -> None:
    """Only where replies and dead letters go is a limit asked for; elsewhere Kafka's default stands."""
    directory.watch({"a"})
    directory.step()

    assert directory.find("a") == KnownTopic(2, 20_000)
    assert directory.max_message_bytes("a") == 20_000
    assert directory.max_message_bytes("b") == DEFAULT_MAX_MESSAGE_BYTES
    assert directory.max_message_bytes("nowhere") == DEFAULT_MAX_MESSAGE_BYTES


def test_a_watched_topic_that_is_not_there_yet_does_no_harm(directory: TopicDirectory) -> None:
    """It is missing, and known once it is there."""
    directory.watch({"a", "later"})
    directory.step()

    assert directory.missing(["a", "later"]) == ("later",)


def test_it_looks_again_in_its_time(directory: TopicDirectory, cluster: Cluster, clock: FakeClock) -> None:
    """A step between two looks asks nothing."""
    for _ in range(29):
        clock.advance(1.0)
        directory.step()
    assert cluster.asked == 1

    clock.advance(1.0)
    directory.step()

    assert cluster.asked == 2


def test_a_topic_that_is_not_known_is_looked_for_at_the_next_step(
    directory: TopicDirectory, cluster: Cluster
) -> None:
    """Who asks for it is not made to wait; the next one finds it."""
    cluster.topics["new"] = 3
    cluster.limits["new"] = 1
    assert directory.find("new") is None

    directory.step()

    assert directory.find("new") == KnownTopic(3)
    directory.step()
    assert cluster.asked == 2


def test_watching_once_more_what_is_watched_asks_nothing(directory: TopicDirectory, cluster: Cluster) -> None:
    """It is said with every request that names a topic."""
    directory.watch({"a"})
    directory.step()
    directory.watch({"a"})
    directory.step()

    assert cluster.asked == 2


def test_a_broker_that_is_away_leaves_what_was_known(directory: TopicDirectory, cluster: Cluster) -> None:
    """The last snapshot stays, why is kept, and the next step looks again."""
    cluster.away = True
    directory.look_again()

    with pytest.raises(BrokerUnreachable):
        directory.step()

    assert directory.find("a") == KnownTopic(2)
    assert directory.problem == "no broker answers"

    cluster.away = False
    directory.step()
    assert directory.problem is None


def test_where_topics_cannot_be_listed_every_topic_counts_as_there(cluster: Cluster) -> None:
    """The demo's broker creates topics on their first use."""
    directory = TopicDirectory(cluster, assume_existing=True)

    assert directory.find("whatever") == KnownTopic(0)
    assert directory.missing(["whatever"]) == ()
