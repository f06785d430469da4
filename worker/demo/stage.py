"""Where the demo plays: a broker with its topics, and the settings that everybody on it shares.

Without an address the broker is librdkafka's mock cluster inside this process. On a broker of somebody's the
demo makes topics with a name of its own and deletes them in the end.
"""

import contextlib
import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from schemas.model_config import ModelConfig
from schemas.version_selection import SpecificVersions
from worker.client import DEFAULT_REPLY_TOPIC, Client
from worker.commands.connecting import connection_of
from worker.commands.control_access import access_of
from worker.commands.topics import create_topics
from worker.kafka import client_config, clients
from worker.kafka.errors import KafkaProblem
from worker.kafka.mock_cluster import MockCluster
from worker.settings import Settings
from worker.settings_kafka import Binding, KafkaSettings, TopicsSettings

PARTITIONS = 4
_MOCK_PROPERTIES = {"fetch.wait.max.ms": 5}
"""The mock cluster answers a fetch when its time is over, not when a record comes: by default after half a second."""


@dataclass(frozen=True)
class Stage:
    """A broker with the demo's topics: the settings that everybody on it shares, and whether the broker is ours."""

    settings: Settings
    embedded: bool

    @property
    def binding(self) -> Binding:
        """The request topic, the reply topic, and their dead letters."""
        return self.settings.bindings[0]

    @property
    def connection(self) -> client_config.Connection:
        """How to reach the broker."""
        return connection_of(self.settings)

    def environment(self) -> dict[str, str]:
        """The settings as a worker's environment has them."""
        kafka, topics = self.settings.kafka, self.settings.topics
        binding = {
            "request_topics": list(self.binding.request_topics),
            "reply_topic": self.binding.reply_topic,
        }
        environment = {
            "HEADRACE_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "HEADRACE_KAFKA__GROUP": kafka.group,
            "HEADRACE_KAFKA__PROPERTIES": json.dumps(kafka.properties),
            "HEADRACE_TOPICS__CONTROL": topics.control,
            "HEADRACE_TOPICS__STATUS": topics.status,
            "HEADRACE_TOPICS__CONTROL_CHECK": topics.control_check,
            "HEADRACE_BINDINGS": json.dumps([binding]),
        }
        if kafka.command_config is not None:
            environment["HEADRACE_KAFKA__COMMAND_CONFIG"] = str(kafka.command_config)
        return environment

    def client(self, timeout_seconds: float) -> Client:
        """A client of the stage's topics."""
        where, reply_topic = self.connection, self.binding.reply_topic
        return Client(
            where.bootstrap_servers,
            request_topic=self.binding.request_topics[0],
            reply_topic=None if reply_topic == DEFAULT_REPLY_TOPIC else reply_topic,
            timeout_seconds=timeout_seconds,
            properties=where.properties,
        )

    def serve(self, model: str, base_path: Path, version: int, comment: str) -> None:
        """Say on the control topic that this version is to be served, and no other.

        Raises:
            KafkaProblem: the topic did not take it.
        """
        wanted = ModelConfig(str(base_path), versions=SpecificVersions((version,)), comment=comment)
        with access_of(self.settings).writing() as writer:
            writer.write(model, lambda _: wanted)


@contextlib.contextmanager
def embedded_stage() -> Iterator[Stage]:
    """A stage on a broker inside this process, gone in the end."""
    with MockCluster() as cluster:
        settings = Settings(
            kafka=KafkaSettings(
                bootstrap_servers=cluster.bootstrap_servers, properties=dict(_MOCK_PROPERTIES)
            ),
            topics=TopicsSettings(control_check="unchecked"),
        )
        for topic in _topics(settings):
            cluster.create_topic(topic)
        yield Stage(settings, embedded=True)


@contextlib.contextmanager
def borrowed_stage(bootstrap_servers: str, command_config: Path | None) -> Iterator[Stage]:
    """A stage on somebody's broker, whose topics are made for it and deleted in the end.

    Raises:
        KafkaProblem: the broker cannot be reached, or a topic cannot be made.
    """
    prefix = f"headrace-demo-{secrets.token_hex(4)}"
    settings = Settings(
        kafka=KafkaSettings(bootstrap_servers=bootstrap_servers, group=prefix, command_config=command_config),
        topics=TopicsSettings(control=f"{prefix}.control", status=f"{prefix}.status"),
        bindings=(Binding(request_topics=(f"{prefix}.requests",), reply_topic=f"{prefix}.replies"),),
    )
    stage = Stage(settings, embedded=False)
    admin = clients.admin(stage.connection)
    admin.topics()  # a broker that is not there is told before there is anything to clean up
    try:
        for outcome in create_topics(admin, settings, PARTITIONS):
            if outcome.state != "created":
                raise KafkaProblem(
                    f"topic {outcome.topic.name!r} cannot be made: {'; '.join(outcome.reasons)}"
                )
        yield stage
    finally:
        there = admin.topics()
        admin.delete_topics([topic for topic in _topics(settings) if topic in there])


def _topics(settings: Settings) -> list[str]:
    """Every topic of the demo."""
    binding = settings.bindings[0]
    return [
        *binding.request_topics,
        binding.reply_topic,
        *binding.dead_letter_topics(),
        settings.topics.control,
        settings.topics.status,
    ]


def open_stage(
    bootstrap_servers: str | None, command_config: Path | None
) -> contextlib.AbstractContextManager[Stage]:
    """The embedded stage, or the one on a broker that is named."""
    return (
        embedded_stage() if bootstrap_servers is None else borrowed_stage(bootstrap_servers, command_config)
    )


def worker_settings(stage: Stage, port: int) -> Mapping[str, str]:
    """The environment of the demo's worker: the stage's settings, its port, and short times."""
    return stage.environment() | {
        "HEADRACE_HTTP__HOST": "127.0.0.1",
        "HEADRACE_HTTP__PORT": str(port),
        "HEADRACE_STATUS__INTERVAL_SECONDS": "1",
        "HEADRACE_STATUS__LEASE_SECONDS": "5",
        "HEADRACE_DELIVERY__SHUTDOWN_SECONDS": "6",
        "HEADRACE_DELIVERY__REVOKE_DRAIN_SECONDS": "5",
    }
