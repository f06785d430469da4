"""The way to the cluster that settings say, for every command that asks it something."""

from worker.kafka import client_config
from worker.kafka.client_config import Connection
from worker.settings import Settings


def connection_of(settings: Settings) -> Connection:
    """How to reach the cluster.

    Raises:
        InvalidProperty: a client property cannot be used, or the file of properties cannot be read.
    """
    kafka = settings.kafka
    return client_config.connection(kafka.bootstrap_servers, kafka.properties, kafka.command_config)
