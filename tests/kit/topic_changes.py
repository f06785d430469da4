"""What an operator changes about topics while workers run; every call raises KafkaException when the broker refuses."""

from collections.abc import Mapping
from typing import Any

from confluent_kafka import admin as client

from worker.kafka.client_config import Connection

SECONDS = 10.0


def change_topic(where: Connection, topic: str, config: Mapping[str, str]) -> None:
    """Set some of a topic's properties and leave the others."""
    entries = [
        client.ConfigEntry(name, value, incremental_operation=client.AlterConfigOpType.SET)
        for name, value in config.items()
    ]
    resource = client.ConfigResource(client.ResourceType.TOPIC, topic, incremental_configs=entries)
    editor = _editor(where)  # which must outlive the answer
    for outcome in editor.incremental_alter_configs([resource]).values():
        outcome.result(SECONDS)


def add_partitions(where: Connection, topic: str, partitions: int) -> None:
    """Give a topic more partitions: so many in all."""
    editor = _editor(where)
    for outcome in editor.create_partitions([client.NewPartitions(topic, partitions)]).values():
        outcome.result(SECONDS)


def _editor(where: Connection) -> Any:
    return client.AdminClient({"bootstrap.servers": where.bootstrap_servers})
