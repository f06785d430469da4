"""What an operator changes about topics while workers run; a broker that refuses raises KafkaException."""

from collections.abc import Mapping
from typing import Any

from confluent_kafka import admin as client

from tests.kit.waiting import PATIENCE_SECONDS
from worker.kafka import client_config
from worker.kafka.admin import Admin
from worker.kafka.client_config import Connection
from worker.kafka.client_log import client_logger


def patient_admin(where: Connection) -> Admin:
    """An admin client for tests: it waits for a slow broker as they do."""
    return Admin(client_config.admin_config(where), log=client_logger(), timeout_seconds=PATIENCE_SECONDS)


def change_topic(where: Connection, topic: str, config: Mapping[str, str]) -> None:
    """Set some of a topic's properties and leave the others."""
    entries = [
        client.ConfigEntry(name, value, incremental_operation=client.AlterConfigOpType.SET)
        for name, value in config.items()
    ]
    resource = client.ConfigResource(client.ResourceType.TOPIC, topic, incremental_configs=entries)
    editor = _editor(where)  # which must outlive the answer
    for outcome in editor.incremental_alter_configs([resource]).values():
        outcome.result(PATIENCE_SECONDS)


def add_partitions(where: Connection, topic: str, partitions: int) -> None:
    """Give a topic more partitions: so many in all."""
    editor = _editor(where)
    for outcome in editor.create_partitions([client.NewPartitions(topic, partitions)]).values():
        outcome.result(PATIENCE_SECONDS)


def members(where: Connection, group: str) -> int:
    """How many members a consumer group has."""
    editor = _editor(where)
    found = editor.describe_consumer_groups([group], request_timeout=PATIENCE_SECONDS)
    return len(found[group].result(PATIENCE_SECONDS).members)


def _editor(where: Connection) -> Any:
    return client.AdminClient({"bootstrap.servers": where.bootstrap_servers})
