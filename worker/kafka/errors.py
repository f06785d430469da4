"""What can go wrong between this process and Kafka, in an operator's words.

Foreign errors are translated here, once, with the cause chained. Callers choose by class: `retriable` says
whether the same call can succeed later without anybody changing anything. Nothing here imports the client:
its errors are read through their four methods, so that a fake's errors go the same way.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from worker.kafka.rights import SOMEBODY, Right, lacks, on_group
from worker.settings_secrets import without_secrets


class ClientError(Protocol):
    """The methods of the client's KafkaError that are used here."""

    def name(self) -> str:
        """The protocol's or the client's name of the error, as UNKNOWN_TOPIC_OR_PART."""
        ...

    def str(self) -> str | None:
        """The client's sentence about it."""
        ...

    def fatal(self) -> bool:
        """Whether the client instance is of no use any more."""
        ...

    def retriable(self) -> bool:
        """Whether the client says that trying again may help."""
        ...


class KafkaProblem(Exception):
    """Root of what the Kafka seam raises or reports.

    Attributes:
        error_name: the protocol's or the client's name of the error, empty where there is none.
        resource: the topic, group or property at fault, where one is known.
    """

    retriable: ClassVar[bool] = False

    def __init__(self, message: str, *, error_name: str = "", resource: str | None = None) -> None:
        super().__init__(message)
        self.error_name = error_name
        self.resource = resource


class Retriable(KafkaProblem):
    """The cluster cannot do it now (election, overload, throttling); the same call may succeed later."""

    retriable = True


class BrokerUnreachable(Retriable):
    """No broker answers: wrong address, nothing listening there, or the network between."""


class TimedOut(Retriable):
    """A broker was asked and did not answer in time; whether it has acted is not known."""


class StaleMember(Retriable):
    """The group has moved on: this member may not commit; the partitions are another's, or will be."""


class QueueFull(Retriable):
    """The producer's local queue takes no more until deliveries have been served."""


class Purged(Retriable):
    """The record was taken out of the producer's queue before the broker acknowledged it."""


class MessageTooLarge(KafkaProblem):
    """A record, or the batch that it was sent in, is larger than the topic (or the client) takes."""


class RecordInvalid(KafkaProblem):
    """The broker does not take the record as it is, whatever its size (a compacted topic wants a key, for one)."""


class NotAuthorized(KafkaProblem):
    """The user lacks a right; the message says who, which one, on what, and how it is given."""


class AuthenticationFailed(KafkaProblem):
    """The broker does not accept this client's credentials or certificate, or the client not the broker's."""


class TopicMissing(KafkaProblem):
    """The topic, or the partition, does not exist (or may not be seen by this user)."""


class TopicExists(KafkaProblem):
    """The topic to create is already there."""


class OffsetOutOfRange(KafkaProblem):
    """The wanted offset is not in the partition: records have expired unread, or the topic was made anew."""


class InvalidProperty(KafkaProblem):
    """A client property is unknown, has an impossible value, or is one that headrace decides itself."""


class Fatal(KafkaProblem):
    """This client instance is of no use any more; only a new one can go on."""


class Fenced(Fatal):
    """Another instance with the same identity (group instance id, transactional id) has taken over."""


class InstanceIdTaken(Fenced):
    """Another member of the group came later with this one's `group.instance.id`, and has its place now."""


class InstanceIdInUse(Fatal):
    """The group has a member of this `group.instance.id`, which has not left; its session may just not be over yet."""


_BY_NAME: Mapping[str, type[KafkaProblem]] = {
    **dict.fromkeys(("_TRANSPORT", "_ALL_BROKERS_DOWN", "_RESOLVE", "_DESTROY_BROKER"), BrokerUnreachable),
    **dict.fromkeys(("_TIMED_OUT", "_TIMED_OUT_QUEUE", "_MSG_TIMED_OUT", "REQUEST_TIMED_OUT"), TimedOut),
    **dict.fromkeys(("_QUEUE_FULL",), QueueFull),
    **dict.fromkeys(("_PURGE_QUEUE", "_PURGE_INFLIGHT"), Purged),
    **dict.fromkeys(("MSG_SIZE_TOO_LARGE", "RECORD_LIST_TOO_LARGE", "INVALID_MSG_SIZE"), MessageTooLarge),
    **dict.fromkeys(("INVALID_RECORD", "_INVALID_DIFFERENT_RECORD", "INVALID_TIMESTAMP"), RecordInvalid),
    **dict.fromkeys(("_AUTHENTICATION", "_SSL", "SASL_AUTHENTICATION_FAILED"), AuthenticationFailed),
    **dict.fromkeys(("UNSUPPORTED_SASL_MECHANISM", "ILLEGAL_SASL_STATE"), AuthenticationFailed),
    **dict.fromkeys(("UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION"), TopicMissing),
    **dict.fromkeys(("UNKNOWN_TOPIC_ID", "INCONSISTENT_TOPIC_ID", "TOPIC_EXCEPTION"), TopicMissing),
    **dict.fromkeys(("TOPIC_ALREADY_EXISTS",), TopicExists),
    **dict.fromkeys(("_AUTO_OFFSET_RESET", "OFFSET_OUT_OF_RANGE", "_LOG_TRUNCATION"), OffsetOutOfRange),
    **dict.fromkeys(("ILLEGAL_GENERATION", "UNKNOWN_MEMBER_ID", "REBALANCE_IN_PROGRESS"), StaleMember),
    **dict.fromkeys(("FENCED_MEMBER_EPOCH", "STALE_MEMBER_EPOCH", "_ASSIGNMENT_LOST"), StaleMember),
    **dict.fromkeys(("_MAX_POLL_EXCEEDED",), StaleMember),
    **dict.fromkeys(("FENCED_INSTANCE_ID",), InstanceIdTaken),
    **dict.fromkeys(("UNRELEASED_INSTANCE_ID",), InstanceIdInUse),
    **dict.fromkeys(("PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH", "_FENCED"), Fenced),
    **dict.fromkeys(("TRANSACTION_COORDINATOR_FENCED",), Fenced),
    **dict.fromkeys(("_INVALID_ARG", "_UNSUPPORTED_FEATURE"), InvalidProperty),
    # Errors that pass by themselves though the client does not call them retriable in each place.
    **dict.fromkeys(
        ("COORDINATOR_NOT_AVAILABLE", "NOT_COORDINATOR", "COORDINATOR_LOAD_IN_PROGRESS"), Retriable
    ),
    **dict.fromkeys(("NOT_LEADER_FOR_PARTITION", "LEADER_NOT_AVAILABLE", "NOT_CONTROLLER"), Retriable),
    **dict.fromkeys(("NOT_ENOUGH_REPLICAS", "NOT_ENOUGH_REPLICAS_AFTER_APPEND", "_ISR_INSUFF"), Retriable),
    **dict.fromkeys(("KAFKA_STORAGE_ERROR", "NETWORK_EXCEPTION", "_WAIT_COORD", "_WAIT_CACHE"), Retriable),
    **dict.fromkeys(("THROTTLING_QUOTA_EXCEEDED", "UNSTABLE_OFFSET_COMMIT", "_STATE", "_RETRY"), Retriable),
    **dict.fromkeys(("_PREV_IN_PROGRESS", "_IN_PROGRESS", "BROKER_NOT_AVAILABLE", "_OUTDATED"), Retriable),
}

_ADVICE: Mapping[type[KafkaProblem], str] = {
    BrokerUnreachable: "check the address, that the broker runs and advertises that address, and whether it "
    "expects TLS or SASL",
    AuthenticationFailed: "check security.protocol, sasl.* and ssl.* of the client properties",
    InvalidProperty: "names and values of Kafka client properties are librdkafka's",
    InstanceIdTaken: "another member with the same group.instance.id (kafka.consumer_properties) came later and has "
    "its place; each worker of a group needs an id of its own",
    InstanceIdInUse: "a member with the same group.instance.id (kafka.consumer_properties) has not left the group: one "
    "that was killed counts until its session is over, and each worker of a group needs an id of its own",
    StaleMember: "the group has given the partitions to another member; their records will be read again",
}

_FATAL = "_FATAL"
"""The client's name for an error after which an instance is of no use; which one it was stands in its text only."""
_FATAL_TEXTS: Mapping[str, type[KafkaProblem]] = {
    "fenced by other consumer with same group.instance.id": InstanceIdTaken,
    "instance ID is still used by another member": InstanceIdInUse,
}
_PROPERTY = re.compile(r"configuration property:? \"([^\"]+)\"")
_NOT_AUTHORIZED = "_AUTHORIZATION_FAILED"


def translate(
    error: Any,
    *,
    topic: str | None = None,
    group: str | None = None,
    wants: Sequence[Right] = (),
    user: str = SOMEBODY,
) -> KafkaProblem:
    """The problem that a KafkaError or a KafkaException of the client stands for, with its cause chained.

    *topic* and *group* are what the call was about: the message names the one that the error is about. *wants* are the
    rights without which the call fails, beside READ on the group; *user* is whom the broker takes the client for.
    """
    cause = error if isinstance(error, BaseException) else None
    client_error: ClientError = error.args[0] if isinstance(error, BaseException) else error
    name = client_error.name()
    text = without_secrets(client_error.str() or name)
    kind = _kind(client_error, name, text)
    if name.endswith(_NOT_AUTHORIZED):
        of_group = [on_group("READ", group)] if group else []
        message = _lacking(name, [*wants, *of_group], user, _resource(name, topic, group))
    else:
        resource = _resource(name, topic, group)
        if kind is TopicMissing:
            text = f"{resource or 'the topic'} does not exist, or this user may not see it"
        elif resource is not None:
            text = f"{resource}: {text}"
        advice = _ADVICE.get(kind)
        message = f"{text} ({name}); {advice}" if advice else f"{text} ({name})"
    about = group if name.startswith("GROUP_") else topic
    if kind is InvalidProperty and (named := _PROPERTY.search(text)):
        about = named[1]
    problem = kind(message, error_name=name, resource=about)
    problem.__cause__ = cause
    return problem


def _kind(error: ClientError, name: str, text: str) -> type[KafkaProblem]:
    if name == _FATAL:
        return next((kind for words, kind in _FATAL_TEXTS.items() if words in text), Fatal)
    kind = _BY_NAME.get(name)
    if error.fatal() and (kind is None or not issubclass(kind, Fatal)):
        return Fatal
    if kind is not None:
        return kind
    if name.endswith(_NOT_AUTHORIZED):
        return NotAuthorized
    return Retriable if error.retriable() else KafkaProblem


def _lacking(name: str, wants: Sequence[Right], user: str, resource: str | None) -> str:
    """Which of the rights that a call wants is missing, as the error's name tells."""
    for right in wants:
        if name == right.resource.name + _NOT_AUTHORIZED:
            return lacks(user, [right], name)
    if name == "CLUSTER" + _NOT_AUTHORIZED:  # a producer without any right to write gets no id
        return f"{user} lacks the right WRITE on any topic, or IDEMPOTENT_WRITE on the cluster ({name})"
    return f"{user} lacks a right on {resource} ({name})"


def _resource(name: str, topic: str | None, group: str | None) -> str | None:
    if name.startswith("GROUP_"):
        return f"consumer group {group!r}" if group else "the consumer group"
    if name.startswith("TRANSACTIONAL_ID_"):
        return "the transactional id"
    if topic is not None:
        return f"topic {topic!r}"
    return "the topic" if name.endswith(_NOT_AUTHORIZED) else None
