"""`headrace topics create` on a cluster in memory."""

from collections.abc import Mapping, Sequence

import pytest

from worker.commands.failure import CommandFailedError
from worker.commands.topics import Outcome, create_topics
from worker.exit_codes import ExitCode
from worker.kafka.errors import KafkaProblem, NotAuthorized, TopicExists
from worker.kafka.topic_facts import TopicInfo, TopicSpec
from worker.settings import Settings


class Cluster:
    """Topics with their configurations.

    Refuses to create what it is told to refuse; shows what is new only after somebody has waited *slowness*
    times.
    """

    def __init__(self, refuse: str | None = None, slowness: int = 0) -> None:
        self.specs: dict[str, TopicSpec] = {}
        self.shown: set[str] = set()
        self.waits = 0
        self._refuse = refuse
        self._slowness = slowness

    def wait(self, _seconds: float) -> None:
        """News travels."""
        self.waits += 1
        if self.waits % (self._slowness + 1) == 0:
            self.shown |= self.specs.keys()

    def find(self, names: Sequence[str]) -> Mapping[str, TopicInfo]:
        """What there is of that, as far as it is shown."""
        if not self._slowness:
            self.shown |= self.specs.keys()
        there = {name: self.specs[name] for name in names if name in self.shown}
        return {name: TopicInfo(name, max(1, spec.partitions), 1) for name, spec in there.items()}

    def topic_config(self, names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """With the broker's default where nothing else was said."""
        return {name: {"max.message.bytes": "1048588", **self.specs[name].config} for name in names}

    def create_topics(self, specs: Sequence[TopicSpec]) -> Mapping[str, KafkaProblem | None]:
        """Keep them, but those that are refused or there."""
        problems: dict[str, KafkaProblem | None] = dict.fromkeys((s.name for s in specs), None)
        problems |= {s.name: TopicExists("it exists") for s in specs if s.name in self.specs}
        problems |= {s.name: NotAuthorized("not allowed") for s in specs if s.name == self._refuse}
        self.specs |= {s.name: s for s in specs if problems[s.name] is None}
        return problems


def states(outcomes: list[Outcome]) -> dict[str, str]:
    """What became of each topic."""
    return {outcome.topic.name: outcome.state for outcome in outcomes}


def test_what_is_missing_is_created() -> None:
    """With its settings, partitions and replicas."""
    cluster = Cluster()
    outcomes = create_topics(cluster, Settings(), partitions=4, replication=3)

    assert set(states(outcomes).values()) == {"created"}
    assert cluster.specs["headrace.requests"].partitions == 4
    assert cluster.specs["headrace.control"].partitions == 1
    assert {spec.replication for spec in cluster.specs.values()} == {3}
    assert cluster.specs["headrace.requests-dlt"].config["max.message.bytes"] == "1114124"


def test_creating_again_finds_everything_right() -> None:
    """A script may run it at each start."""
    cluster = Cluster()
    create_topics(cluster, Settings(), partitions=4)

    assert set(states(create_topics(cluster, Settings(), partitions=4)).values()) == {"exists"}


def test_what_is_wrong_is_reported_and_not_changed() -> None:
    """A control topic that a broker made by itself has four partitions and deletes."""
    cluster = Cluster()
    made_by_broker = TopicSpec("headrace.control", 4, 1, {"cleanup.policy": "delete"})
    cluster.specs["headrace.control"] = made_by_broker
    outcomes = {outcome.topic.name: outcome for outcome in create_topics(cluster, Settings())}

    assert outcomes["headrace.control"].state == "wrong"
    assert outcomes["headrace.control"].reasons == (
        "it has 4 partitions instead of 1",
        "cleanup.policy is 'delete' instead of 'compact'",
    )
    assert cluster.specs["headrace.control"] is made_by_broker


def test_a_dead_letter_topic_follows_the_request_topic_as_it_is() -> None:
    """Not as it would have been created."""
    cluster = Cluster()
    cluster.specs["headrace.requests"] = TopicSpec(
        "headrace.requests", 1, 1, {"max.message.bytes": "2000000"}
    )
    create_topics(cluster, Settings())

    assert cluster.specs["headrace.requests-dlt"].config["max.message.bytes"] == "2065536"


def test_one_that_cannot_be_created_does_not_keep_the_others_from_it() -> None:
    """Each outcome is its own, with the reason."""
    outcomes = create_topics(Cluster(refuse="headrace.replies"), Settings())

    assert states(outcomes)["headrace.replies"] == "failed"
    assert [o.reasons for o in outcomes if o.state == "failed"] == [("not allowed",)]
    assert states(outcomes)["headrace.requests-dlt"] == "created"


def test_news_of_a_topic_may_take_its_time() -> None:
    """The sizes of new request topics are waited for, and what is reported as created is there for everybody."""
    cluster = Cluster(slowness=3)
    outcomes = create_topics(cluster, Settings(), wait=cluster.wait)

    assert set(states(outcomes).values()) == {"created"}
    assert cluster.shown == cluster.specs.keys()


def test_a_topic_that_is_not_shown_yet_is_looked_at_all_the_same() -> None:
    """Two scripts at once do not fail, and what one made wrong the other reports."""
    cluster = Cluster(slowness=1)
    cluster.specs["headrace.control"] = TopicSpec("headrace.control", 4, 1, {"cleanup.policy": "compact"})
    outcomes = create_topics(cluster, Settings(), wait=cluster.wait)

    assert states(outcomes)["headrace.control"] == "wrong"


def test_topics_that_never_show_up_are_a_temporary_failure() -> None:
    """It ends, and says that trying again may help."""
    with pytest.raises(CommandFailedError, match="do not show them yet") as caught:
        create_topics(Cluster(slowness=1000), Settings(), wait=lambda _: None)

    assert caught.value.code is ExitCode.TEMPORARY
