"""`headrace topics`: those of a deployment, created where missing, reported where wrong; and the rights on them."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import click

from worker.commands.failure import CommandFailedError
from worker.commands.options import binding_options, output_option, setting_option, settings_options
from worker.commands.output import Output, styled, table
from worker.exit_codes import ExitCode

if TYPE_CHECKING:
    from worker.kafka.errors import KafkaProblem
    from worker.kafka.topic_facts import TopicInfo, TopicSpec
    from worker.settings import Settings
    from worker.settings_loading import Loaded
    from worker.topic_plan import PlannedTopic

LOOK_SECONDS = 0.2
LOOKS = 50
"""So often is looked whether brokers show a new topic, that is for ten seconds."""


class TopicAdmin(Protocol):
    """What is asked of the cluster; `worker.kafka.admin.Admin` does it."""

    def find(self, names: Sequence[str]) -> Mapping[str, "TopicInfo"]:
        """These topics, by name, but for those that are not there."""
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
    """Create the topics of a deployment; say who needs which rights."""


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


@topics.command()
@click.argument("role", type=click.Choice(["worker", "client", "operator", "creator"]))
@click.option("--principal", required=True, metavar="User:NAME", help="Who is to have the rights.")
@settings_options
@setting_option("--group", "kafka.group", "Consumer group of the workers.", metavar="NAME")
@setting_option("--control-topic", "topics.control", "Topic of the desired models.", metavar="TOPIC")
@setting_option(
    "--status-topic", "topics.status", "Topic on which workers say what they serve.", metavar="TOPIC"
)
@binding_options
def acls(loaded: "Loaded", role: str, principal: str) -> None:
    """Print the commands that give a user the rights of a role, and no more.

    They are for Kafka's own tool kafka-acls.sh, and to be run by somebody who may give rights; nothing is changed
    here. A `worker` serves, a `client` asks, an `operator` says which models are served and looks how they do, a
    `creator` makes the topics.
    """
    from worker.access_rights import Role, needs_of  # noqa: PLC0415 - --help needs none of it
    from worker.kafka.rights import given_by  # noqa: PLC0415 - likewise

    if not principal.startswith("User:"):
        raise click.BadParameter(f"{principal!r} does not begin with 'User:'", param_hint="--principal")
    settings = loaded.settings
    where = f"kafka-acls.sh --bootstrap-server {settings.kafka.bootstrap_servers}"
    for need in needs_of(Role(role), settings):
        click.echo(given_by(need.right, principal).replace("kafka-acls.sh", where, 1))
    for binding in settings.bindings:
        if role in {"worker", "client"} and binding.allowed_reply_topics:
            click.echo(
                f"not among them: the topics that requests to binding {binding.name!r} may name for their replies; "
                "workers need WRITE and DESCRIBE_CONFIGS on them, clients READ",
                err=True,
            )


def create_topics(
    admin: TopicAdmin,
    settings: "Settings",
    partitions: int = -1,
    replication: int = -1,
    *,
    wait: Callable[[float], object] | None = None,
) -> list[Outcome]:
    """Create what is missing, look at what is there; when it returns, brokers show what it has created.

    *wait* is called with seconds between two looks.

    Raises:
        KafkaProblem: no broker answered, or the topics may not be looked at.
        CommandFailedError: brokers do not show what has been created.
    """
    from worker.topic_plan import planned_dead_letter_topics, planned_topics  # noqa: PLC0415

    work = _Work(admin, replication, threading.Event().wait if wait is None else wait)
    outcomes = work.do(planned_topics(settings, partitions))
    # Only now do the request topics exist, whose sizes the dead-letter topics follow.
    requests = {name for binding in settings.bindings for name in binding.request_topics}
    usable = [each.topic.name for each in outcomes if each.topic.name in requests and each.state != "failed"]
    sizes = {name: int(seen.config["max.message.bytes"]) for name, seen in work.look(usable).items()}
    outcomes += work.do(planned_dead_letter_topics(settings, sizes, partitions))
    work.look([each.topic.name for each in outcomes if each.state == "created"])
    return outcomes


@dataclass(frozen=True)
class _Seen:
    partitions: int
    config: Mapping[str, str]


class _Work:
    def __init__(self, admin: TopicAdmin, replication: int, wait: Callable[[float], object]) -> None:
        self._admin = admin
        self._replication = replication
        self._wait = wait

    def do(self, planned: Sequence["PlannedTopic"]) -> list[Outcome]:
        """Create those that are missing, compare the others."""
        from worker.kafka.errors import TopicExists  # noqa: PLC0415
        from worker.kafka.topic_facts import TopicSpec  # noqa: PLC0415
        from worker.topic_plan import differences  # noqa: PLC0415

        there = self._admin.find([topic.name for topic in planned])
        problems = dict(
            self._admin.create_topics(
                [
                    TopicSpec(topic.name, topic.partitions, self._replication, topic.config)
                    for topic in planned
                    if topic.name not in there
                ]
            )
        )
        problems |= {name: info.problem for name, info in there.items() if info.problem is not None}
        # A topic that somebody created a moment ago is not yet shown, and cannot be created any more.
        old = [t.name for t in planned if t.name in there or isinstance(problems.get(t.name), TopicExists)]
        seen = self.look([name for name in old if name not in there or problems.get(name) is None])
        outcomes = []
        for topic in planned:
            if topic.name in seen:
                wrong = differences(topic, seen[topic.name].partitions, seen[topic.name].config)
                outcomes.append(Outcome(topic, "wrong" if wrong else "exists", wrong))
            elif (problem := problems[topic.name]) is not None:
                outcomes.append(Outcome(topic, "failed", (str(problem),)))
            else:
                outcomes.append(Outcome(topic, "created"))
        return outcomes

    def look(self, names: Sequence[str]) -> Mapping[str, _Seen]:
        """These topics as brokers show them; news of a topic takes a moment to reach every broker."""
        from worker.kafka.errors import NotAuthorized, TopicMissing  # noqa: PLC0415

        for _ in range(LOOKS):
            there = self._admin.find(names)
            for problem in (info.problem for info in there.values()):
                if isinstance(problem, NotAuthorized):
                    raise problem
            if all(name in there for name in names):
                try:
                    configs = self._admin.topic_config(names)
                except TopicMissing:
                    pass
                else:
                    return {name: _Seen(there[name].partitions, configs[name]) for name in names}
            self._wait(LOOK_SECONDS)
        raise CommandFailedError(
            f"the topics {', '.join(names)} have been created, but brokers do not show them yet; run this again",
            ExitCode.TEMPORARY,
        )
