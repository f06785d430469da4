"""`headrace topics create`: the topics of a deployment, created where missing, reported where wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import click

from worker.commands.failure import CommandFailedError
from worker.commands.options import binding_options, output_option, setting_option, settings_options
from worker.commands.output import Output, styled, table

if TYPE_CHECKING:
    from worker.kafka.admin import TopicInfo, TopicSpec
    from worker.kafka.errors import KafkaProblem
    from worker.settings import Settings
    from worker.settings_loading import Loaded
    from worker.topic_plan import PlannedTopic


class TopicAdmin(Protocol):
    """What is asked of the cluster; `worker.kafka.admin.Admin` does it."""

    def topics(self) -> Mapping[str, "TopicInfo"]:
        """Every topic, by name."""
        ...

    def topic_config(self, names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """Each topic's configuration."""
        ...

    def create_topics(self, specs: Sequence["TopicSpec"]) -> Mapping[str, "KafkaProblem | None"]:
        """What was wrong with each, None where it was created."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What became of one planned topic: `created`, `exists`, `wrong` or `failed`, and why."""

    topic: "PlannedTopic"
    state: str
    reasons: tuple[str, ...] = ()


@click.group()
def topics() -> None:
    """Create the topics of a deployment."""


@topics.command()
@settings_options
@output_option
@setting_option("--control-topic", "topics.control", "Topic of the desired models.", metavar="TOPIC")
@setting_option(
    "--status-topic", "topics.status", "Topic on which workers say what they serve.", metavar="TOPIC"
)
@binding_options
@click.option(
    "--partitions",
    type=click.IntRange(min=1),
    help="Partitions of request, reply and dead-letter topics: as many workers can share the work. "
    "Default: the broker's.",
)
@click.option(
    "--replication-factor",
    type=click.IntRange(min=1),
    help="Replicas of each partition. Default: the broker's.",
)
def create(
    loaded: "Loaded",
    output: Output,
    partitions: int | None,
    replication_factor: int | None,
) -> None:
    """Create request, reply, control, status and dead-letter topics.

    Which ones there are is said by the settings (bindings, topics.control, topics.status) or by the flags.
    A topic that is there already is never changed: when its configuration is wrong, that is reported, and
    the exit status is 1.
    """
    from worker.commands.connecting import connection_of  # noqa: PLC0415 - --help needs no Kafka
    from worker.kafka import clients  # noqa: PLC0415 - likewise

    admin = clients.admin(connection_of(loaded.settings))
    outcomes = create_topics(admin, loaded.settings, partitions or -1, replication_factor or -1)
    document = [
        {
            "topic": each.topic.name,
            "purpose": str(each.topic.purpose),
            "state": each.state,
            "reasons": list(each.reasons),
        }
        for each in outcomes
    ]
    colours = {"created": "green", "exists": "", "wrong": "bold red", "failed": "bold red"}
    rows = [
        (
            each.topic.name,
            each.topic.purpose,
            styled(each.state, colours[each.state]),
            "; ".join(each.reasons),
        )
        for each in outcomes
    ]
    output.show(document, table(("topic", "purpose", "state", "why"), rows))
    bad = [each.topic.name for each in outcomes if each.state in {"wrong", "failed"}]
    if bad:
        raise CommandFailedError(
            f"{len(bad)} of {len(outcomes)} topics are not as they must be: {', '.join(bad)}; "
            "nothing that was there has been changed"
        )


def create_topics(
    admin: TopicAdmin, settings: "Settings", partitions: int = -1, replication: int = -1
) -> list[Outcome]:
    """Create what is missing, look at what is there.

    Raises:
        KafkaProblem: no broker answered, or the topics may not be looked at.
    """
    from worker.topic_plan import planned_dead_letter_topics, planned_topics  # noqa: PLC0415

    work = _Work(admin, replication)
    outcomes = work.do(planned_topics(settings, partitions))
    # Only now do the request topics exist, whose sizes the dead-letter topics follow.
    there = admin.topics()
    requests = [name for b in settings.bindings for name in b.request_topics if name in there]
    sizes = {name: int(c["max.message.bytes"]) for name, c in admin.topic_config(requests).items()}
    return outcomes + work.do(planned_dead_letter_topics(settings, sizes, partitions))


class _Work:
    def __init__(self, admin: TopicAdmin, replication: int) -> None:
        self._admin = admin
        self._replication = replication

    def do(self, planned: Sequence["PlannedTopic"]) -> list[Outcome]:
        from worker.kafka.admin import TopicSpec  # noqa: PLC0415
        from worker.topic_plan import differences  # noqa: PLC0415

        there = self._admin.topics()
        configs = self._admin.topic_config([topic.name for topic in planned if topic.name in there])
        missing = [topic for topic in planned if topic.name not in there]
        problems = self._admin.create_topics(
            [TopicSpec(topic.name, topic.partitions, self._replication, topic.config) for topic in missing]
        )
        outcomes = []
        for topic in planned:
            if topic.name in there:
                wrong = differences(topic, there[topic.name].partitions, configs[topic.name])
                outcomes.append(Outcome(topic, "wrong" if wrong else "exists", wrong))
            elif (problem := problems[topic.name]) is not None:
                outcomes.append(Outcome(topic, "failed", (str(problem),)))
            else:
                outcomes.append(Outcome(topic, "created"))
        return outcomes
