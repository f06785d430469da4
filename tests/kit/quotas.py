"""Quotas of a broker's clients, by Kafka's own command: the client library has no call for them."""

import subprocess

from tests.kit.broker import QUICK_START, Broker
from tests.kit.maven_jars import JAVA_FOR_KAFKA, KAFKA, require_java


def limit_producers(broker: Broker, client_id: str, bytes_per_second: int | None) -> None:
    """Let producers of this client id write so many bytes a second to each broker; None: as many as they like.

    Raises:
        AssertionError: the broker did not take it.
        JavaUnavailable: no Java, or Kafka is not here and cannot be fetched.
    """
    java = require_java(KAFKA.title, JAVA_FOR_KAFKA)
    name = "producer_byte_rate"
    change = (
        ["--delete-config", name]
        if bytes_per_second is None
        else ["--add-config", f"{name}={bytes_per_second}"]
    )
    command = [java, *QUICK_START, "-cp", f"{KAFKA.folder()}/*", "kafka.admin.ConfigCommand"]
    whose = ["--entity-type", "clients", "--entity-name", client_id]
    run = subprocess.run(
        [*command, "--bootstrap-server", broker.bootstrap_servers, "--alter", *change, *whose],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert run.returncode == 0, run.stdout + run.stderr
