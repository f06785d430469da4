"""Asking and changing topics and groups. Each call has a time-out and can be made from any thread."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import confluent_kafka
from confluent_kafka import admin as client_admin

from worker.kafka import errors
from worker.kafka.admin_calls import AdminCalls
from worker.kafka.client_config import ClientConfig
from worker.kafka.records import TopicPartition

DEFAULT_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """What the cluster's metadata say of a topic.

    Attributes:
        name: the topic.
        partitions: how many it has; 0 with a problem.
        replication: replicas of its first partition.
        problem: why nothing is known of it (no right to see it, no leader).
    """

    name: str
    partitions: int
    replication: int
    problem: errors.KafkaProblem | None = None


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic to create.

    Attributes:
        name: the topic.
        partitions: how many; -1 leaves it to the broker.
        replication: replicas of each partition; -1 leaves it to the broker.
        config: what differs from the broker's defaults, by the broker's names.
    """

    name: str
    partitions: int = -1
    replication: int = -1
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a group is behind in one partition.

    Attributes:
        committed: the group's offset; None before its first commit.
        end: the offset of the next record to be written.
    """

    committed: int | None
    end: int

    @property
    def records(self) -> int | None:
        """Records between the two, deleted ones counted; None before the first commit."""
        return None if self.committed is None else max(0, self.end - self.committed)


class Admin:
    """The admin client; thread-safe, as librdkafka's is."""

    def __init__(
        self,
        config: ClientConfig,
        *,
        log: logging.Logger | None = None,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """*config* comes from `client_config.admin_config`; *timeout_seconds* is for each call.

        Raises:
            InvalidProperty: librdkafka refuses a property.
        """
        self._timeout_seconds = timeout_seconds
        self._calls = AdminCalls(config, log, timeout_seconds, clock)
        self._client = self._calls.client

    def topics(self) -> Mapping[str, TopicInfo]:
        """Every topic that this user may see, by name; asking makes none.

        Raises:
            KafkaProblem: no broker answered.
        """
        return {name: _topic_info(found) for name, found in self._metadata().topics.items()}

    def brokers(self) -> Mapping[int, str]:
        """The cluster's brokers as `host:port`, by their ids.

        Raises:
            KafkaProblem: no broker answered.
        """
        return {number: f"{b.host}:{b.port}" for number, b in self._metadata().brokers.items()}

    def topic_config(self, names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """The whole configuration of each topic, by the broker's names, defaults included.

        Raises:
            TopicMissing: one of them does not exist.
            KafkaProblem: no answer, or no right DESCRIBE_CONFIGS.
        """
        if not names:
            return {}
        return self._calls.patiently(lambda: self._topic_config(names))

    def _topic_config(self, names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        kind = client_admin.ConfigResource.Type.TOPIC
        wanted = [client_admin.ConfigResource(kind, name) for name in names]
        futures = self._calls.call(
            self._client.describe_configs, wanted, request_timeout=self._timeout_seconds
        )
        found = {}
        for resource, future in futures.items():
            entries = self._calls.result(future, topic=resource.name)
            found[resource.name] = {e.name: e.value for e in entries.values() if e.value is not None}
        return found

    def topic_id(self, name: str) -> str:
        """What tells a topic from another one that is made later under its name.

        Raises:
            TopicMissing: there is none.
            KafkaProblem: no answer, or no right.
        """
        futures = self._calls.call(
            self._client.describe_topics,
            confluent_kafka.TopicCollection([name]),
            request_timeout=self._timeout_seconds,
        )
        return str(self._calls.result(futures[name], topic=name).topic_id)

    def create_topics(self, specs: Sequence[TopicSpec]) -> Mapping[str, errors.KafkaProblem | None]:
        """Create each topic; what was wrong with each, None where it was created.

        What was created can be used when this returns: a broker says yes before it knows the topic itself.

        Raises:
            BrokerUnreachable: no broker answered.
        """
        wanted = [
            client_admin.NewTopic(s.name, s.partitions, s.replication, config=dict(s.config)) for s in specs
        ]
        if not wanted:
            return {}
        futures = self._calls.call(
            self._client.create_topics,
            wanted,
            request_timeout=self._timeout_seconds,
            operation_timeout=self._timeout_seconds,
        )
        outcome = {name: self._calls.outcome(future, topic=name) for name, future in futures.items()}
        created = [name for name, problem in outcome.items() if problem is None]
        self._calls.patiently(lambda: self._require_ready(created))
        return outcome

    def delete_topics(self, names: Sequence[str]) -> Mapping[str, errors.KafkaProblem | None]:
        """Delete each topic with its records; what was wrong with each.

        Raises:
            BrokerUnreachable: no broker answered.
        """
        if not names:
            return {}
        futures = self._calls.call(
            self._client.delete_topics,
            list(names),
            request_timeout=self._timeout_seconds,
            operation_timeout=self._timeout_seconds,
        )
        return {name: self._calls.outcome(future, topic=name) for name, future in futures.items()}

    def lag(self, group: str, topics: Sequence[str]) -> Mapping[TopicPartition, Lag]:
        """How far the group is behind, for each partition of the topics.

        Raises:
            KafkaProblem: no answer, or no right.
        """
        return self._calls.patiently(lambda: self._lag(group, topics))

    def _lag(self, group: str, topics: Sequence[str]) -> Mapping[TopicPartition, Lag]:
        known = self.topics()
        partitions = [
            confluent_kafka.TopicPartition(name, number)
            for name in topics
            for number in range(known[name].partitions if name in known else 0)
        ]
        if not partitions:
            return {}
        committed = self._committed(group)
        latest = client_admin.OffsetSpec.latest()
        ends = self._calls.call(
            self._client.list_offsets,
            dict.fromkeys(partitions, latest),
            request_timeout=self._timeout_seconds,
        )
        found = {}
        for theirs, future in ends.items():
            partition = TopicPartition(theirs.topic, theirs.partition)
            end = self._calls.result(future, topic=theirs.topic).offset
            found[partition] = Lag(committed.get(partition), end)
        return found

    def committed(self, group: str) -> Mapping[TopicPartition, int]:
        """Every offset that the group has committed; empty for a group that is not there.

        Raises:
            KafkaProblem: no answer, or no right.
        """
        return self._calls.patiently(lambda: self._committed(group))

    def _committed(self, group: str) -> Mapping[TopicPartition, int]:
        futures = self._calls.call(
            self._client.list_consumer_group_offsets,
            [confluent_kafka.ConsumerGroupTopicPartitions(group)],
            request_timeout=self._timeout_seconds,
        )
        found = self._calls.result(futures[group], group=group)
        return {
            TopicPartition(tp.topic, tp.partition): tp.offset
            for tp in found.topic_partitions
            if tp.offset >= 0
        }

    def _metadata(self) -> Any:
        return self._calls.call(self._client.list_topics, timeout=self._timeout_seconds)

    def _require_ready(self, names: Sequence[str]) -> None:
        known = self.topics() if names else {}
        for name in names:
            if name not in known or known[name].problem is not None:
                raise errors.Retriable(f"topic {name!r} was created and is not ready yet", resource=name)


def _topic_info(found: Any) -> TopicInfo:
    problem = None if found.error is None else errors.translate(found.error, topic=found.topic)
    partitions = found.partitions
    replication = len(next(iter(partitions.values())).replicas) if partitions else 0
    return TopicInfo(found.topic, len(partitions), replication, problem)
