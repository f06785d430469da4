"""Several real brokers that are one cluster: KRaft, every node broker and controller, loopback, small heaps.

Topics have a replica on each node, and a write is acknowledged once all but one have it: any one node may go.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import confluent_kafka
from confluent_kafka import admin as client

from tests.kit.broker import KafkaBroker, free_port, listeners
from tests.kit.waiting import PATIENCE_SECONDS, wait_until

SMALL = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx320m")
MISSED_SECONDS = 4.0
"""A node that says nothing for so long is given up, and others lead its partitions; Kafka's default is 9."""
ANSWER_SECONDS = 30.0


class KafkaCluster:
    """Nodes that are killed and started one by one; a context manager.

    Attributes:
        nodes: the brokers, each with its own process and folder.
    """

    def __init__(self, nodes: int = 3, config: Mapping[str, str] | None = None) -> None:
        """*config* adds to every node's properties, or replaces them.

        Raises:
            JavaUnavailable: no Java, or Kafka is not here and cannot be fetched.
        """
        ports = {number: (free_port(), free_port()) for number in range(1, nodes + 1)}
        shared = {**_shared(ports), **(config or {})}
        self.nodes = [
            KafkaBroker(port, SMALL, {"node.id": str(number), **listeners(port, controller), **shared})
            for number, (port, controller) in ports.items()
        ]
        self._admin: Any = client.AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})

    @property
    def bootstrap_servers(self) -> str:
        """Where to reach it: every node, separated by commas."""
        return ",".join(node.bootstrap_servers for node in self.nodes)

    def start(self) -> None:
        """Start every node and wait until each answers.

        Raises:
            BrokerFailed: one ended or did not answer.
        """
        with ThreadPoolExecutor(len(self.nodes)) as threads:
            for _ in threads.map(KafkaBroker.format, self.nodes):
                pass
        for node in self.nodes:  # by this thread, whose end is theirs
            node.launch()
        for node in self.nodes:
            node.wait_until_it_answers()

    def wait_until_in_sync(self, within_seconds: float = 2 * PATIENCE_SECONDS) -> None:
        """Wait until each node is there, and each replica of each partition is in sync."""
        wait_until(
            lambda: not self._missing(),
            lambda: f"all in sync: {self._missing()}",
            within_seconds=within_seconds,
            every_seconds=0.2,
        )

    def leaders(self, topic: str) -> dict[int, int]:
        """The node (its number counts from 1) that leads each partition of a topic."""
        found = self._admin.list_topics(topic, timeout=ANSWER_SECONDS).topics[topic].partitions
        return {number: partition.leader for number, partition in found.items()}

    def close(self) -> None:
        """End every node and remove its folder."""
        for node in self.nodes:
            node.kill()  # in order, the last one would wait for a majority that has gone
            node.close()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _missing(self) -> list[str]:
        """What is not as it should be."""
        try:
            found = self._admin.list_topics(timeout=ANSWER_SECONDS)
        except confluent_kafka.KafkaException as error:
            return [str(error)]
        missing = [f"{len(found.brokers)} nodes"] if len(found.brokers) < len(self.nodes) else []
        return missing + [
            f"{name}[{number}] has {partition.isrs} of {partition.replicas}"
            for name, topic in found.topics.items()
            for number, partition in topic.partitions.items()
            if len(partition.isrs) < len(self.nodes)
        ]


def _shared(ports: Mapping[int, tuple[int, int]]) -> dict[str, str]:
    controllers = {number: f"127.0.0.1:{controller}" for number, (_, controller) in ports.items()}
    everywhere, enough = str(len(ports)), str(len(ports) - 1)
    inner = ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic")
    return {
        "controller.quorum.voters": ",".join(f"{number}@{where}" for number, where in controllers.items()),
        "controller.quorum.bootstrap.servers": ",".join(controllers.values()),
        "broker.session.timeout.ms": str(int(MISSED_SECONDS * 1000)),
        "broker.heartbeat.interval.ms": "500",
        "default.replication.factor": everywhere,
        "min.insync.replicas": enough,
        **{f"{topic}.replication.factor": everywhere for topic in inner},
        "transaction.state.log.min.isr": enough,
        "share.coordinator.state.topic.min.isr": enough,
    }
