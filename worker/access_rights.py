"""Which rights each part of a deployment needs on a cluster that asks for rights, and no more.

One list for all who need it: the command that prints it, the page that documents it, workers that look whether they
have them, and the tests, which give exactly these.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from worker.kafka.rights import Resource, Right, lacks, on_group, on_topic
from worker.kafka.topic_rights import TopicFinder, lacking
from worker.settings import Settings


class Role(StrEnum):
    """Who needs rights."""

    WORKER = "worker"
    """`headrace worker`."""
    CLIENT = "client"
    """Programs that ask, and `headrace request`."""
    OPERATOR = "operator"
    """`headrace models`, `headrace status` and `headrace dead-letters`."""
    CREATOR = "creator"
    """`headrace topics create`."""


@dataclass(frozen=True, slots=True)
class Need:
    """A right that is needed.

    Attributes:
        right: the right.
        purpose: what for.
    """

    right: Right
    purpose: str


def needs_of(role: Role, settings: Settings) -> tuple[Need, ...]:
    """What a role needs where these settings hold; each right once."""
    needs = {
        Role.WORKER: _worker,
        Role.CLIENT: _client,
        Role.OPERATOR: _operator,
        Role.CREATOR: _creator,
    }[role](settings)
    return tuple({need.right: need for need in needs}.values())


def lacking_for_requests(finder: TopicFinder, settings: Settings) -> str | None:
    """Which rights on topics a worker lacks without which it could read no request or give no answer; None: none.

    Raises:
        KafkaProblem: the broker could not be asked.
    """
    topics = {
        t for b in settings.bindings for t in (*b.request_topics, b.reply_topic, *b.dead_letter_topics())
    }
    rights = [
        need.right
        for need in needs_of(Role.WORKER, settings)
        if need.right.name in topics and need.right.operation in {"READ", "WRITE"}
    ]
    missing = lacking(finder, rights)
    return lacks(finder.user, missing) if missing else None


def _worker(settings: Settings) -> Iterator[Need]:
    topics, group = settings.topics, settings.kafka.group
    yield Need(on_topic("READ", topics.control), "the desired models")
    if topics.control_check == "checked":
        yield Need(on_topic("DESCRIBE_CONFIGS", topics.control), "whether the topic keeps its records")
    yield Need(on_topic("WRITE", topics.status), "what it serves")
    for binding in settings.bindings:
        for topic in binding.request_topics:
            yield Need(on_topic("READ", topic), "requests, and commits of their offsets")
    yield Need(on_group("READ", group), "membership, and commits")
    if settings.delivery.mode == "queue":
        yield Need(on_group("DESCRIBE_CONFIGS", group), "how long the queue waits, and how often it delivers")
        yield Need(on_group("ALTER_CONFIGS", group), "to have the queue begin with the first request")
    for binding in settings.bindings:
        for topic in (binding.reply_topic, *sorted(binding.dead_letter_topics())):
            what = "replies" if topic == binding.reply_topic else "dead letters"
            yield Need(on_topic("WRITE", topic), what)
            yield Need(on_topic("DESCRIBE_CONFIGS", topic), "how large a record the topic takes")
    if settings.delivery.mode == "exactly_once":
        own = Right("WRITE", Resource.TRANSACTIONAL_ID, f"{group}-", prefixed=True)
        yield Need(own, "transactions")


def _client(settings: Settings) -> Iterator[Need]:
    for binding in settings.bindings:
        for topic in binding.request_topics:
            yield Need(on_topic("WRITE", topic), "requests")
        yield Need(on_topic("READ", binding.reply_topic), "replies")
    yield Need(on_topic("READ", settings.topics.status), "`headrace request` alone: the signatures' dtypes")


def _operator(settings: Settings) -> Iterator[Need]:
    control = settings.topics.control
    yield Need(on_topic("READ", control), "the desired models")
    if settings.topics.control_check == "checked":
        yield Need(on_topic("DESCRIBE_CONFIGS", control), "whether the topic keeps its records")
    yield Need(
        on_topic("WRITE", control),
        "`headrace models set`, `apply`, `label`, `split`, `shadow`, `promote`, `rollback`, `freeze`, `unfreeze`, "
        "`retry` and `remove` alone",
    )
    yield Need(on_topic("READ", settings.topics.status), "`headrace status`, `models wait` and `--wait`")
    for binding in settings.bindings:
        for topic in sorted(binding.dead_letter_topics()):
            yield Need(on_topic("READ", topic), "`headrace dead-letters` alone")
        for topic in binding.request_topics:
            yield Need(on_topic("WRITE", topic), "`headrace dead-letters replay` alone")


def _creator(settings: Settings) -> Iterator[Need]:
    topics = [settings.topics.control, settings.topics.status]
    for binding in settings.bindings:
        topics += [*binding.request_topics, binding.reply_topic, *sorted(binding.dead_letter_topics())]
    for topic in topics:
        yield Need(on_topic("CREATE", topic), "the topic; on the cluster instead, it is good for all")
        yield Need(on_topic("DESCRIBE", topic), "whether it is there")
        yield Need(on_topic("DESCRIBE_CONFIGS", topic), "whether it is as it must be")
