"""The settings that say where Kafka is, which topics are whose, and which models answer which requests."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from worker.settings_group import BROKERS_PATTERN, Name, Seconds, SettingsGroup, Share, TopicName

Properties = dict[str, str | int | float | bool]
"""librdkafka properties by their own dotted names."""


class KafkaSettings(SettingsGroup):
    """The cluster, the group, and any property of the Kafka client."""

    bootstrap_servers: Annotated[str, Field(pattern=BROKERS_PATTERN)] = "localhost:9092"
    """Brokers to start from, `host:port`, separated by commas. The default is where a broker on the same
    machine listens."""

    group: Annotated[str, Field(min_length=1, max_length=255)] = "headrace"
    """Consumer group of the workers. Replicas of one deployment share it; two deployments that share it take
    each other's requests. Also the prefix that an operator grants access to, hence the product's name."""

    command_config: Path | None = None
    """File of client properties, one `name=value` a line, as Kafka's own tools take it. None by default: a
    broker without security needs no file. `kafka.properties` win over it."""

    properties: Properties = Field(default_factory=dict, repr=False)
    """librdkafka properties for every client (security, timeouts). Empty by default: what headrace needs it
    sets by itself. In the environment: JSON, or one variable each, as
    `HEADRACE_KAFKA__PROPERTIES__SASL_PASSWORD`."""

    consumer_properties: Properties = Field(default_factory=dict, repr=False)
    """librdkafka properties for the consumer of requests alone; they win over `kafka.properties`. Empty by
    default: fetch sizes already follow `delivery`."""

    producer_properties: Properties = Field(default_factory=dict, repr=False)
    """librdkafka properties for the producer of replies alone; they win over `kafka.properties`. Empty by
    default: durability (`acks=all`, idempotence) is part of what is promised, and stays as it is."""


class TopicsSettings(SettingsGroup):
    """The topics that the deployment as a whole has, whatever its models."""

    control: TopicName = "headrace.control"
    """Topic of the desired models: one partition, compacted. The name has the product's prefix so that one
    access rule covers all topics."""

    status: TopicName = "headrace.status"
    """Topic on which workers tell what they serve: compacted, and deletes after a day. Named like the
    control topic."""

    control_check: Literal["checked", "unchecked"] = "checked"
    """Whether the control topic's configuration is checked before it is trusted. `checked`, because a
    control topic that deletes its records forgets models; `unchecked` is for brokers that cannot tell, such
    as the demo's."""


class Binding(SettingsGroup):
    """Which request topics are answered by which models, with which reply topic and part of the budget."""

    name: Name = "default"
    """Name of the binding in logs and metrics. The single binding of a plain deployment needs none of its
    own."""

    request_topics: Annotated[tuple[TopicName, ...], Field(min_length=1)] = ("headrace.requests",)
    """Topics that requests are read from. One by default; a topic belongs to one binding only."""

    models: Annotated[tuple[str, ...], Field(min_length=1)] = ("*",)
    """Shell patterns of the model names that may be asked for here. All by default; a request for another
    model is answered NOT_FOUND."""

    reply_topic: TopicName = "headrace.replies"
    """Topic of the replies to requests that name no other. Never a control, status, request or dead-letter
    topic."""

    allowed_reply_topics: tuple[str, ...] = ()
    """Regular expressions; a request may name a reply topic that one of them matches from end to end. None
    by default: whoever may write requests must not thereby write to any topic that the worker may write
    to."""

    dead_letter_topic: TopicName | None = None
    """Topic of the records that can neither be decoded nor routed. By default each request topic has its
    own, `<request topic>-dlt`, the name that other Kafka software gives it."""

    share: Share = 1.0
    """Part of `delivery.budget_rows` and `delivery.budget_bytes` that this binding may hold (more than 0, at
    most 1). All shares together are at most 1, so that no binding starves another; hence 1 where there is
    only one."""

    most_priority: Annotated[int, Field(ge=0, le=9)] = 9
    """Highest priority that a request's header may ask for here (0 to 9); a higher one counts as this. 9, all of
    them; less where those who may write requests should not go before everybody else."""

    most_seconds: Seconds = 0.0
    """Seconds from its timestamp after which a request that still waits is answered DEADLINE_EXCEEDED, whatever more
    its header `headrace-timeout-ms` allows. 0: as long as the header says, or for ever; a limit keeps a backlog that
    nobody waits for any more, after an outage say, from the models."""

    @field_validator("allowed_reply_topics")
    @classmethod
    def _are_regular_expressions(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
        return patterns

    def dead_letter_topic_of(self, request_topic: str) -> str:
        """The topic for what cannot be answered from one request topic."""
        return self.dead_letter_topic or f"{request_topic}-dlt"

    def dead_letter_topics(self) -> frozenset[str]:
        """Every dead-letter topic of this binding."""
        return frozenset(map(self.dead_letter_topic_of, self.request_topics))
