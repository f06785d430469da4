"""Reply routing: what a request may ask for, and what it gets."""

from collections.abc import Iterable, Mapping

import pytest

from tests.fakes.clock import FakeClock
from worker.reply_routes import ReplyRoute
from worker.reply_routing import NoRouteError, ReplyRouting, ReplyTopicUnknownError
from worker.topic_directory import TopicDirectory


class Cluster:
    """A cluster that knows what it is told."""

    def __init__(self, **partitions: int) -> None:
        self.partitions = {name.replace("_", "-"): n for name, n in partitions.items()}
        self.limits: dict[str, int] = {}
        self.asked = 0

    def partition_counts(self) -> Mapping[str, int]:
        """Every topic."""
        self.asked += 1
        return self.partitions

    def max_message_bytes(self, topics: Iterable[str]) -> Mapping[str, int]:
        """The limits that were set."""
        return {t: self.limits[t] for t in topics if t in self.limits}


def routing(cluster: Cluster, *allowed: str) -> ReplyRouting:
    """Routing of a binding that answers on `replies`."""
    directory = TopicDirectory(cluster)
    directory.refresh()
    return ReplyRouting(
        "replies", allowed, forbidden={"requests-a"}, carried={"traceparent"}, directory=directory
    )


def test_a_request_without_reply_headers_takes_the_bindings_way() -> None:
    """Headers that mean nothing here change nothing."""
    assert routing(Cluster(replies=1)).route([("other", b"x")]) == ReplyRoute("replies", -1, None)


def test_correlation_and_carried_headers_come_back_byte_for_byte() -> None:
    """What the requester correlates and traces by is repeated, in its order, under the same names."""
    headers = [("kafka_correlationId", b"\x00\xff"), ("traceparent", b"00-1"), ("secret", b"no")]

    assert routing(Cluster(replies=1)).route(headers) == ReplyRoute("replies", -1, headers[:2])


@pytest.mark.parametrize("name", ["kafka_replyTopic", "reply_to"])
def test_an_allowed_topic_is_taken(name: str) -> None:
    """Both ways of naming a reply topic work."""
    assert routing(Cluster(replies=1, team_x=1), "team-.*").route([(name, b"team-x")]) == ReplyRoute(
        "team-x", -1, None
    )


@pytest.mark.parametrize(
    "topic", [b"elsewhere", b"requests-a", b"", b"\xff"], ids=["other", "own", "empty", "bytes"]
)
def test_a_topic_that_is_not_allowed_is_refused(topic: bytes) -> None:
    """No request writes where the operator did not allow it, and never to a request topic."""
    with pytest.raises(NoRouteError):
        routing(Cluster(replies=1, requests_a=1, elsewhere=1), "requests.*").route([("reply_to", topic)])


@pytest.mark.parametrize("topic", [b"team x", b"team-\xc3\xa9", b"team-x\n", b"team-" + b"x" * 245])
def test_a_name_that_no_topic_can_have_is_not_waited_for(topic: bytes) -> None:
    """Whatever the patterns say: it will not appear, and names of any length are not remembered."""
    with pytest.raises(NoRouteError, match="the name of a topic was expected"):
        routing(Cluster(replies=1), ".*").route([("reply_to", topic)])


def test_a_topic_that_does_not_exist_yet_is_told_apart() -> None:
    """An allowed topic that is not there may still come; the request can wait for it."""
    with pytest.raises(ReplyTopicUnknownError, match="'team-y' does not exist"):
        routing(Cluster(replies=1), "team-.*").route([("reply_to", b"team-y")])


def test_a_partition_is_four_bytes_and_must_exist() -> None:
    """Spring's partition header is obeyed, and a partition that is not there is refused by name."""
    two = routing(Cluster(replies=2))

    assert two.route([("kafka_replyPartition", b"\0\0\0\1")]) == ReplyRoute("replies", 1, None)
    with pytest.raises(NoRouteError, match="partition 2 does not exist"):
        two.route([("kafka_replyPartition", b"\0\0\0\2")])
    with pytest.raises(NoRouteError):
        two.route([("kafka_replyPartition", b"1")])


def test_the_directory_asks_again_when_a_topic_is_missed() -> None:
    """A topic that somebody looked for in vain is looked for at once, not at the next half minute."""
    cluster, clock = Cluster(replies=1), FakeClock()
    directory = TopicDirectory(cluster, clock=clock)
    directory.step()
    directory.step()

    assert cluster.asked == 1

    cluster.partitions["new"] = 3

    assert directory.find("new") is None

    directory.step()
    found = directory.find("new")

    assert found is not None
    assert found.partitions == 3


def test_the_directory_looks_again_by_itself() -> None:
    """Limits that an operator changes are known within the refresh interval."""
    cluster, clock = Cluster(replies=1), FakeClock()
    cluster.limits["replies"] = 20_000
    directory = TopicDirectory(cluster, clock=clock, refresh_seconds=30)
    directory.watch(["replies"])
    directory.step()

    assert directory.max_message_bytes("replies") == 20_000

    cluster.limits["replies"] = 50_000
    clock.advance(30)
    directory.step()

    assert directory.max_message_bytes("replies") == 50_000
