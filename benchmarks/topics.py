"""The topics of a benchmark: made fresh, so that scenarios on one broker never see each other's records or models."""

import uuid
from collections.abc import Mapping
from typing import Self

from schemas import codec
from schemas.model_config import ModelConfig
from worker.kafka import client_config, clients
from worker.kafka.errors import KafkaProblem
from worker.kafka.records import TopicPartition
from worker.kafka.topic_facts import TopicSpec

PARTITIONS = 4
KEEPS_LITTLE: Mapping[str, str] = {
    "segment.bytes": str(64 << 20),
    "retention.bytes": str(64 << 20),
    "file.delete.delay.ms": "1000",
}
"""For what is counted, or read at once: a run writes a gigabyte, and the disk need not see all of it."""


class Topics:
    """Topics of our own on one broker, with a control and a status topic made at once."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.where = client_config.connection(bootstrap_servers)
        self._admin = clients.admin(self.where)
        self._reader = clients.reader(self.where, _Silent())
        self._partitions: dict[str, int] = {}
        compacted = {"cleanup.policy": "compact"}
        self.control = self.fresh("control", 1, compacted)
        self.status = self.fresh("status", 1, compacted)

    def fresh(
        self, purpose: str, partitions: int = PARTITIONS, config: Mapping[str, str] | None = None
    ) -> str:
        """A new topic, empty; *purpose* is part of its name.

        Raises:
            KafkaProblem: the broker did not make it.
        """
        name = f"bench-{purpose}-{uuid.uuid4().hex[:8]}"
        self._partitions[name] = partitions
        self._make(TopicSpec(name, partitions, 1, config or {}))
        return name

    def fresh_requests(self, partitions: int = PARTITIONS, config: Mapping[str, str] | None = None) -> str:
        """A new topic of requests, and the dead-letter topic that a worker wants beside it."""
        name = self.fresh("requests", partitions, config)
        self._make(TopicSpec(f"{name}-dlt", 1, 1))
        return name

    def fresh_replies(self, partitions: int = PARTITIONS) -> str:
        """A new topic of replies, which forgets them soon."""
        return self.fresh("replies", partitions, KEEPS_LITTLE)

    def delete(self, *names: str) -> None:
        """Delete topics with their records.

        Raises:
            KafkaProblem: the broker refused one.
        """
        for problem in self._admin.delete_topics(names).values():
            if problem is not None:
                raise problem

    def set_models(self, configs: Mapping[str, ModelConfig | None]) -> None:
        """Write what models are to be served to the control topic; None removes one."""
        producer = clients.producer(self.where, _raise)
        values = [None if config is None else codec.encode(config) for config in configs.values()]
        producer.send(self.control, values, [name.encode() for name in configs])
        if left := producer.flush(30.0):
            raise TimeoutError(f"{left} models did not reach the control topic")
        producer.close()

    def end(self, name: str) -> int:
        """How many records one of our topics has had, all its partitions together."""
        partitions = (TopicPartition(name, number) for number in range(self._partitions[name]))
        return sum(self._reader.watermarks(partition)[1] for partition in partitions)

    def close(self) -> None:
        """Close the clients; the topics stay."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _make(self, spec: TopicSpec) -> None:
        for problem in self._admin.create_topics([spec]).values():
            if problem is not None:
                raise problem


class _Silent:
    """A reader's problems end the run by its time-out."""

    def on_problem(self, problem: KafkaProblem) -> None:
        """Nothing to do: the client goes on trying."""

    def on_out_of_range(self, partition: TopicPartition, offset: int) -> None:
        """Nothing is read."""


def _raise(problem: KafkaProblem) -> None:
    raise problem
