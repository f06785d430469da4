"""The client's errors in an operator's words."""

import pytest

from tests.fakes.kafka import FakeError
from worker.kafka import errors
from worker.kafka.rights import on_topic


@pytest.mark.parametrize(
    ("name", "kind", "retriable"),
    [
        ("_TRANSPORT", errors.BrokerUnreachable, True),
        ("_ALL_BROKERS_DOWN", errors.BrokerUnreachable, True),
        ("_MSG_TIMED_OUT", errors.TimedOut, True),
        ("_QUEUE_FULL", errors.QueueFull, True),
        ("MSG_SIZE_TOO_LARGE", errors.MessageTooLarge, False),
        ("RECORD_LIST_TOO_LARGE", errors.MessageTooLarge, False),
        ("INVALID_RECORD", errors.RecordInvalid, False),
        ("INVALID_TIMESTAMP", errors.RecordInvalid, False),
        ("_AUTHENTICATION", errors.AuthenticationFailed, False),
        ("_SSL", errors.AuthenticationFailed, False),
        ("TOPIC_AUTHORIZATION_FAILED", errors.NotAuthorized, False),
        ("GROUP_AUTHORIZATION_FAILED", errors.NotAuthorized, False),
        ("CLUSTER_AUTHORIZATION_FAILED", errors.NotAuthorized, False),
        ("UNKNOWN_TOPIC_OR_PART", errors.TopicMissing, False),
        ("TOPIC_ALREADY_EXISTS", errors.TopicExists, False),
        ("_AUTO_OFFSET_RESET", errors.OffsetOutOfRange, False),
        ("ILLEGAL_GENERATION", errors.StaleMember, True),
        ("_MAX_POLL_EXCEEDED", errors.StaleMember, True),
        ("PRODUCER_FENCED", errors.Fenced, False),
        ("FENCED_INSTANCE_ID", errors.InstanceIdTaken, False),
        ("UNRELEASED_INSTANCE_ID", errors.InstanceIdInUse, False),
        ("NOT_ENOUGH_REPLICAS", errors.Retriable, True),
        ("COORDINATOR_NOT_AVAILABLE", errors.Retriable, True),
        ("_INVALID_ARG", errors.InvalidProperty, False),
        ("POLICY_VIOLATION", errors.KafkaProblem, False),
    ],
)
def test_each_error_has_its_kind(name: str, kind: type[errors.KafkaProblem], retriable: bool) -> None:
    """The class says what is wrong and whether the same call can help."""
    problem = errors.translate(FakeError(name, "text"))

    assert type(problem) is kind
    assert problem.retriable is retriable
    assert problem.error_name == name
    assert name in str(problem)


def test_a_fatal_error_is_fatal_whatever_its_name() -> None:
    """The client's word that an instance is of no use goes before the table."""
    assert type(errors.translate(FakeError("OUT_OF_ORDER_SEQUENCE_NUMBER", fatal=True))) is errors.Fatal
    assert type(errors.translate(FakeError("_TIMED_OUT", fatal=True))) is errors.Fatal
    assert type(errors.translate(FakeError("PRODUCER_FENCED", fatal=True))) is errors.Fenced


def test_an_unknown_error_asks_the_client() -> None:
    """A name that is not in the table is retriable when the client says so."""
    assert type(errors.translate(FakeError("SOMETHING_NEW", retriable=True))) is errors.Retriable
    assert type(errors.translate(FakeError("SOMETHING_NEW"))) is errors.KafkaProblem


@pytest.mark.parametrize(
    ("name", "said", "resource"),
    [
        ("UNKNOWN_TOPIC_OR_PART", "topic 'requests' does not exist", "requests"),
        ("TOPIC_AUTHORIZATION_FAILED", "this user lacks the right READ on topic 'requests'", "requests"),
        ("GROUP_AUTHORIZATION_FAILED", "lacks the right READ on consumer group 'workers'", "workers"),
        ("CLUSTER_AUTHORIZATION_FAILED", "lacks the right WRITE on any topic", "requests"),
        ("TRANSACTIONAL_ID_AUTHORIZATION_FAILED", "lacks a right on the transactional id", "requests"),
        ("MSG_SIZE_TOO_LARGE", "topic 'requests'", "requests"),
    ],
)
def test_the_message_names_what_is_at_fault(name: str, said: str, resource: str) -> None:
    """Topic or group, whichever the error is about."""
    wants = [on_topic("READ", "requests")]
    problem = errors.translate(FakeError(name), topic="requests", group="workers", wants=wants)

    assert said in str(problem)
    assert problem.resource == resource


def test_a_missing_right_is_told_with_who_lacks_it_and_what_gives_it() -> None:
    """The sentence ends with a command to copy, and a fatal error says as much."""
    for fatal, kind in ((False, errors.NotAuthorized), (True, errors.Fatal)):
        problem = errors.translate(
            FakeError("TOPIC_AUTHORIZATION_FAILED", fatal=fatal),
            topic="replies",
            wants=[on_topic("WRITE", "replies")],
            user="User:o'hara",
        )

        assert type(problem) is kind
        assert str(problem) == (
            "User:o'hara lacks the right WRITE on topic 'replies' (TOPIC_AUTHORIZATION_FAILED); it is given by: "
            "kafka-acls.sh --add --allow-principal 'User:o'\"'\"'hara' --operation Write --topic replies"
        )


def test_an_address_is_told_without_its_credentials() -> None:
    """The client quotes the address of the token server as it stands in the properties."""
    problem = errors.translate(
        FakeError("_AUTHENTICATION", "no token from https://me:p@ss@idp/t?code=xyz&a=b")
    )

    assert "https://********@idp/t?code=********&a=********" in str(problem)
    assert "xyz" not in str(problem)


def test_the_cause_is_chained() -> None:
    """An exception of the client stays visible as the cause."""
    cause = RuntimeError(FakeError("_TRANSPORT", "connection refused"))

    problem = errors.translate(cause)

    assert problem.__cause__ is cause
    assert "connection refused" in str(problem)
    assert "check the address" in str(problem)


def test_a_refused_property_is_named() -> None:
    """The client's message about a property gives its name."""
    unknown = errors.translate(FakeError("_INVALID_ARG", 'No such configuration property: "sasl.passwort"'))
    invalid = errors.translate(FakeError("_INVALID_ARG", 'Invalid value for configuration property "acks"'))

    assert unknown.resource == "sasl.passwort"
    assert invalid.resource == "acks"
    assert "librdkafka" in str(unknown)


def test_a_fatal_error_without_a_name_is_told_by_its_text() -> None:
    """The client reports what ends a member as `_FATAL`; two of these say which setting is at fault."""
    fenced = (
        "Fatal error: Broker: Static consumer fenced by other consumer with same group.instance.id: Fatal"
    )
    in_use = (
        "Fatal error: Broker: The instance ID is still used by another member in the consumer group: fatal"
    )

    assert type(errors.translate(FakeError("_FATAL", fenced))) is errors.InstanceIdTaken
    assert type(errors.translate(FakeError("_FATAL", in_use))) is errors.InstanceIdInUse
    assert type(errors.translate(FakeError("_FATAL", "something else"))) is errors.Fatal
    assert "kafka.consumer_properties" in str(errors.translate(FakeError("_FATAL", fenced)))
