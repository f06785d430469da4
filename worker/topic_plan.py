"""Which topics a deployment needs, with which settings, and what is wrong with those that are there.

Pure: asks no broker. `headrace topics create` creates what is missing and reports, never changes, what is
wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from worker.control_topic import LEAST_MESSAGE_BYTES, configuration_problems
from worker.settings import Settings
from worker.topic_directory import DEFAULT_MAX_MESSAGE_BYTES

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
DEAD_LETTER_HEADROOM_BYTES = 65_536
"""A dead letter is its request with headers added; so much more than the request topic its topic takes."""


class Purpose(StrEnum):
    """What a topic is for."""

    REQUEST = "request"
    REPLY = "reply"
    CONTROL = "control"
    STATUS = "status"
    DEAD_LETTER = "dead letter"


@dataclass(frozen=True)
class PlannedTopic:
    """A topic as it should be.

    Attributes:
        partitions: how many to create it with; -1 leaves it to the broker.
        config: what differs from the broker's defaults.
    """

    name: str
    purpose: Purpose
    partitions: int = -1
    config: Mapping[str, str] = field(default_factory=dict)


def own_topics(settings: Settings) -> frozenset[str]:
    """The name of every topic that the settings name."""
    topics = {settings.topics.control, settings.topics.status}
    for binding in settings.bindings:
        topics.update((*binding.request_topics, binding.reply_topic, *binding.dead_letter_topics()))
    return frozenset(topics)


def planned_topics(settings: Settings, partitions: int = -1) -> tuple[PlannedTopic, ...]:
    """Every topic but the dead-letter topics, whose sizes follow the request topics as they are."""
    planned = [
        PlannedTopic(settings.topics.control, Purpose.CONTROL, 1, _CONTROL),
        PlannedTopic(settings.topics.status, Purpose.STATUS, 1, _STATUS),
    ]
    for binding in settings.bindings:
        planned += [
            PlannedTopic(name, Purpose.REQUEST, partitions, _RECORDS) for name in binding.request_topics
        ]
        planned.append(PlannedTopic(binding.reply_topic, Purpose.REPLY, partitions, _RECORDS))
    return tuple({topic.name: topic for topic in planned}.values())


def planned_dead_letter_topics(
    settings: Settings, request_sizes: Mapping[str, int], partitions: int = -1
) -> tuple[PlannedTopic, ...]:
    """The dead-letter topics; *request_sizes* has the `max.message.bytes` of each request topic."""
    sizes: dict[str, int] = {}
    for binding in settings.bindings:
        for request_topic in binding.request_topics:
            name = binding.dead_letter_topic_of(request_topic)
            size = request_sizes.get(request_topic, DEFAULT_MAX_MESSAGE_BYTES) + DEAD_LETTER_HEADROOM_BYTES
            sizes[name] = max(size, sizes.get(name, 0))
    return tuple(
        PlannedTopic(name, Purpose.DEAD_LETTER, partitions, _RECORDS | {"max.message.bytes": str(size)})
        for name, size in sizes.items()
    )


def differences(planned: PlannedTopic, partitions: int, config: Mapping[str, str]) -> tuple[str, ...]:
    """What is wrong with a topic that is there, one clause each; more partitions or bytes are right."""
    if planned.purpose is Purpose.CONTROL:
        return configuration_problems(partitions, config)
    problems = []
    if planned.purpose is not Purpose.STATUS and partitions < planned.partitions:
        problems.append(f"it has {partitions} partitions instead of {planned.partitions}")
    found, wanted = _policies(config), _policies(planned.config)
    if found != wanted:
        problems.append(
            f"cleanup.policy is {','.join(sorted(found))!r} instead of {','.join(sorted(wanted))!r}"
        )
    for name, why in _MUST_EQUAL[planned.purpose].items():
        if config.get(name, planned.config[name]) != planned.config[name]:
            problems.append(f"{name} is {config[name]} instead of {planned.config[name]}: {why}")
    if (least := planned.config.get("max.message.bytes")) is not None:
        size = int(config.get("max.message.bytes", DEFAULT_MAX_MESSAGE_BYTES))
        if size < int(least):
            problems.append(f"max.message.bytes is {size} instead of at least {least}")
    return tuple(problems)


def _policies(config: Mapping[str, str]) -> set[str]:
    return {policy.strip() for policy in config.get("cleanup.policy", "delete").split(",")}


_CONTROL: Mapping[str, str] = {
    "cleanup.policy": "compact",
    # A config holds its ten predecessors: it must fit whatever the broker's default is.
    "max.message.bytes": str(max(LEAST_MESSAGE_BYTES, DEFAULT_MAX_MESSAGE_BYTES)),
}
_STATUS: Mapping[str, str] = {
    "cleanup.policy": "compact,delete",
    "retention.ms": str(DAY_MS),
    # Only closed segments are compacted or deleted; without this one, a quiet topic would keep a week.
    "segment.ms": str(HOUR_MS),
    # Leases are counted by one clock, the broker's.
    "message.timestamp.type": "LogAppendTime",
}
_RECORDS: dict[str, str] = {"cleanup.policy": "delete"}

_MUST_EQUAL: Mapping[Purpose, Mapping[str, str]] = {
    Purpose.CONTROL: {},
    Purpose.REQUEST: {},
    Purpose.REPLY: {},
    Purpose.DEAD_LETTER: {},
    Purpose.STATUS: {"message.timestamp.type": "leases are counted by the broker's clock"},
}
