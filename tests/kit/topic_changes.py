"""What an operator changes about topics while workers run."""

from collections.abc import Mapping

from confluent_kafka import admin as client

from worker.kafka.client_config import Connection

SECONDS = 10.0


def change_topic(where: Connection, topic: str, config: Mapping[str, str]) -> None:
    """Set some of a topic's properties and leave the others; raises KafkaException when the broker does not."""
    entries = [
        client.ConfigEntry(name, value, incremental_operation=client.AlterConfigOpType.SET)
        for name, value in config.items()
    ]
    resource = client.ConfigResource(client.ResourceType.TOPIC, topic, incremental_configs=entries)
    editor = client.AdminClient({"bootstrap.servers": where.bootstrap_servers})
    for outcome in editor.incremental_alter_configs([resource]).values():
        outcome.result(SECONDS)
