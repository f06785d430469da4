"""Which topics a deployment needs, and what is wrong with those that are there."""

from collections.abc import Mapping
from typing import Any

import pytest

from worker.settings import Settings
from worker.topic_plan import PlannedTopic, Purpose, differences, planned_dead_letter_topics, planned_topics


def plan(**settings: Any) -> dict[str, PlannedTopic]:
    """Every topic of these settings, by name, with request topics of Kafka's default size."""
    all_settings = Settings.model_validate(settings)
    topics = planned_topics(all_settings, 4) + planned_dead_letter_topics(all_settings, {}, 4)
    return {topic.name: topic for topic in topics}


def test_a_plain_deployment_has_five_topics() -> None:
    """Nothing relies on a broker's creating topics by itself."""
    assert {name: str(topic.purpose) for name, topic in plan().items()} == {
        "headrace.control": "control",
        "headrace.status": "status",
        "headrace.requests": "request",
        "headrace.replies": "reply",
        "headrace.requests-dlt": "dead letter",
    }


def test_the_control_topic_is_compacted_and_has_one_partition() -> None:
    """Whatever the number of the others."""
    control = plan()["headrace.control"]

    assert (control.partitions, control.config["cleanup.policy"]) == (1, "compact")


def test_the_status_topic_is_compacted_and_deletes_after_a_day() -> None:
    """By the broker's clock, which leases are counted by."""
    config = plan()["headrace.status"].config

    assert config["cleanup.policy"] == "compact,delete"
    assert config["retention.ms"] == "86400000"
    assert config["message.timestamp.type"] == "LogAppendTime"


def test_a_dead_letter_topic_takes_more_than_its_request_topic() -> None:
    """Headers are added to what may be as large as the request topic takes; the largest of several counts."""
    settings = Settings.model_validate(
        {"bindings": [{"request_topics": ["a", "b"], "dead_letter_topic": "dead"}]}
    )
    (dead,) = planned_dead_letter_topics(settings, {"a": 5_000_000, "b": 100}, 4)

    assert (dead.name, dead.partitions, dead.config["max.message.bytes"]) == ("dead", 4, "5065536")


def test_a_topic_that_several_bindings_use_is_planned_once() -> None:
    """Bindings may share their reply topic."""
    topics = plan(bindings=[{"share": 0.5}, {"name": "b", "request_topics": ["b"], "share": 0.5}])

    assert sorted(topics) == [
        "b",
        "b-dlt",
        "headrace.control",
        "headrace.replies",
        "headrace.requests",
        "headrace.requests-dlt",
        "headrace.status",
    ]


@pytest.mark.parametrize("name", list(plan()))
def test_a_topic_as_it_was_planned_is_right(name: str) -> None:
    """What was created is never reported."""
    topic = plan()[name]

    assert differences(topic, topic.partitions, {"max.message.bytes": "1048588", **topic.config}) == ()


def test_more_partitions_and_larger_records_are_right() -> None:
    """A plan is the least that is needed."""
    topic = plan()["headrace.requests-dlt"]

    assert differences(topic, 40, {**topic.config, "max.message.bytes": "9000000"}) == ()


@pytest.mark.parametrize(
    ("name", "partitions", "config", "said"),
    [
        ("headrace.control", 4, {"cleanup.policy": "compact"}, "4 partitions instead of 1"),
        ("headrace.control", 1, {"cleanup.policy": "delete"}, "instead of 'compact'"),
        ("headrace.status", 1, {"cleanup.policy": "delete"}, "instead of 'compact,delete'"),
        (
            "headrace.status",
            1,
            {"cleanup.policy": "compact, delete", "message.timestamp.type": "CreateTime"},
            "message.timestamp.type is CreateTime instead of LogAppendTime",
        ),
        ("headrace.requests", 4, {"cleanup.policy": "compact"}, "instead of 'delete'"),
        ("headrace.requests", 2, {"cleanup.policy": "delete"}, "2 partitions instead of 4"),
        ("headrace.requests-dlt", 4, {"max.message.bytes": "1048588"}, "instead of at least 1114124"),
    ],
)
def test_what_is_wrong_is_named(name: str, partitions: int, config: Mapping[str, str], said: str) -> None:
    """With what it is and what it should be."""
    (problem,) = differences(plan()[name], partitions, config)

    assert said in problem


def test_partitions_left_to_the_broker_are_never_wrong() -> None:
    """Without a wish there is nothing to compare with."""
    assert differences(PlannedTopic("a", Purpose.REQUEST), 1, {}) == ()
