"""How rights are named, and looked for before they are needed."""

from collections.abc import Mapping, Sequence

import pytest

from worker.kafka import client_config
from worker.kafka.errors import KafkaProblem, NotAuthorized, Retriable, TopicMissing
from worker.kafka.rights import Resource, Right, given_by, lacks, on_topic
from worker.kafka.topic_facts import TopicInfo
from worker.kafka.topic_rights import lacking, require


class Cluster:
    """Topics, and what one user may do with each."""

    user = "User:w"

    def __init__(self, *topics: TopicInfo) -> None:
        self._topics = {topic.name: topic for topic in topics}

    def find(self, names: Sequence[str]) -> Mapping[str, TopicInfo]:
        """Those of these names that there are."""
        return {name: self._topics[name] for name in names if name in self._topics}


def topic(name: str, *rights: str) -> TopicInfo:
    """A topic that may be used so."""
    return TopicInfo(name, 1, 1, None, frozenset(rights))


def hidden(name: str) -> TopicInfo:
    """A topic that may not be seen."""
    return TopicInfo(name, 0, 0, NotAuthorized("no"), frozenset())


@pytest.mark.parametrize(
    ("right", "words", "options"),
    [
        (on_topic("READ", "a.b"), "READ on topic 'a.b'", "--operation Read --topic a.b"),
        (
            on_topic("DESCRIBE_CONFIGS", "a"),
            "DESCRIBE_CONFIGS on topic 'a'",
            "--operation DescribeConfigs --topic a",
        ),
        (
            Right("READ", Resource.GROUP, "my group"),
            "READ on consumer group 'my group'",
            "--operation Read --group 'my group'",
        ),
        (
            Right("WRITE", Resource.TRANSACTIONAL_ID, "g-", prefixed=True),
            "WRITE on each transactional id that begins with 'g-'",
            "--operation Write --transactional-id g- --resource-pattern-type prefixed",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_right_is_told_in_words_and_as_a_command(right: Right, words: str, options: str) -> None:
    """Kafka's names in words, those of its tool in the command."""
    assert str(right) == words
    assert given_by(right, "User:w") == f"kafka-acls.sh --add --allow-principal User:w {options}"


def test_who_is_not_known_is_not_made_up() -> None:
    """The command leaves a gap to fill in."""
    said = lacks("the user of the certificate in w.crt", [on_topic("READ", "a")])

    assert said.startswith("the user of the certificate in w.crt lacks the right READ on topic 'a'; ")
    assert "--allow-principal User:…" in said


def test_several_rights_are_told_at_once() -> None:
    """With the command that prints what gives them."""
    said = lacks("User:w", [on_topic("READ", "a"), on_topic("WRITE", "b")])

    assert said.startswith("User:w lacks 2 rights: READ on topic 'a', WRITE on topic 'b'; ")
    assert "headrace topics acls" in said


def test_rights_are_looked_for_on_all_topics_at_once() -> None:
    """A topic that is not there is not a matter of rights; one that may not be seen lacks all of them."""
    cluster = Cluster(topic("a", "READ", "DESCRIBE"), hidden("b"), TopicInfo("c", 1, 1))
    rights = [on_topic(operation, name) for name in "abcd" for operation in ("READ", "WRITE")]
    group = Right("READ", Resource.GROUP, "a")

    assert lacking(cluster, [*rights, group]) == [rights[1], rights[2], rights[3]]


def test_a_topic_is_given_to_whoever_has_the_rights_on_it() -> None:
    """And nothing where there is no such topic."""
    cluster = Cluster(topic("a", "READ", "WRITE"), TopicInfo("gone", 0, 0, TopicMissing("gone")))

    found = require(cluster, "a", "READ", "WRITE")
    assert found is not None
    assert found.name == "a"
    assert require(cluster, "nothing", "READ") is None
    assert require(cluster, "gone", "READ") is None


@pytest.mark.parametrize(
    ("info", "error", "said"),
    [
        (hidden("a"), NotAuthorized, "User:w lacks 2 rights: READ on topic 'a', WRITE on topic 'a'"),
        (topic("a", "READ"), NotAuthorized, "User:w lacks the right WRITE on topic 'a'"),
        (TopicInfo("a", 0, 0, Retriable("no leader")), Retriable, "no leader"),
    ],
    ids=["hidden", "one right", "no leader"],
)
def test_who_has_not_is_told_which(info: TopicInfo, error: type[KafkaProblem], said: str) -> None:
    """Before anything is read or written."""
    with pytest.raises(error) as caught:
        require(Cluster(info), "a", "READ", "WRITE")
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("properties", "user"),
    [
        ({}, "User:ANONYMOUS"),
        ({"security.protocol": "SASL_SSL", "sasl.username": "w"}, "User:w"),
        (
            {"security.protocol": "sasl_plaintext", "sasl.mechanisms": "OAUTHBEARER"},
            "the user of the token or ticket",
        ),
        (
            {"security.protocol": "SSL", "ssl.certificate.location": "/w.crt"},
            "the user of the certificate in /w.crt",
        ),
        ({"security.protocol": "ssl", "ssl.certificate.pem": "x"}, "the user of the certificate"),
        ({"security.protocol": "SSL"}, "User:ANONYMOUS"),
    ],
    ids=["nothing", "sasl", "token", "file", "pem", "no certificate"],
)
def test_a_client_knows_whom_the_broker_takes_it_for(properties: dict[str, str], user: str) -> None:
    """As far as its properties tell."""
    assert client_config.connection("b:1", properties).user == user
