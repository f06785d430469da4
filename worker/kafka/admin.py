"""Asking and changing topics and groups. Each call has a time-out and can be made from any thread."""

import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import confluent_kafka
from confluent_kafka import admin as client_admin

from worker.kafka import admin_configs, errors
from worker.kafka.admin_calls import AdminCalls
from worker.kafka.client_config import ClientConfig
from worker.kafka.records import TopicPartition
from worker.kafka.rights import on_topic
from worker.kafka.topic_facts import Lag, TopicInfo, TopicSpec

DEFAULT_TIMEOUT_SECONDS = 10.0


class Admin:
    """The admin client; thread-safe, as librdkafka's is. `user` is whom the broker takes it for."""

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
        self.user = self._calls.user

    def topics(self) -> Mapping[str, TopicInfo]:
        """Every topic that this user may see, by name; asking makes none.

        Raises:
            KafkaProblem: no broker answered.
        """
        return {name: _topic_info(found) for name, found in self._metadata().topics.items()}

    def find(self, names: Sequence[str]) -> Mapping[str, TopicInfo]:
        """These topics, asked for by name, with what this user may do; those that do not exist are left out.

        Unlike `topics`, which shows only what this user may see, it tells a topic that may not be seen: that one has
        `NotAuthorized` for its problem.

        Raises:
            KafkaProblem: no broker answered.
        """
        metadata = self._metadata()
        if (
            metadata.controller_id not in metadata.brokers
        ):  # the embedded cluster: nobody can be asked for more
            return {name: _topic_info(metadata.topics[name]) for name in names if name in metadata.topics}
        if not names:
            return {}
        found = {}
        for name, future in self._describe(names, include_authorized_operations=True).items():
            try:
                about = self._calls.result(future, topic=name, wants=[on_topic("DESCRIBE", name)])
            except errors.TopicMissing:
                continue
            except errors.NotAuthorized as problem:
                found[name] = TopicInfo(name, 0, 0, problem, frozenset())
            else:
                found[name] = _described(about)
        return found

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
        return self._calls.patiently(
            lambda: admin_configs.of_topics(self._calls, names, self._timeout_seconds)
        )

    def group_config(self, group: str) -> Mapping[str, str]:
        """The whole configuration of a group, by the broker's names, defaults included; there need be no such group.

        Raises:
            KafkaProblem: no answer, or no right DESCRIBE_CONFIGS.
        """
        return self._calls.patiently(
            lambda: admin_configs.of_group(self._calls, group, self._timeout_seconds)
        )

    def change_group_config(self, group: str, changes: Mapping[str, str]) -> None:
        """Set some of a group's configuration.

        Raises:
            KafkaProblem: no answer, or no right ALTER_CONFIGS.
        """
        admin_configs.change_group(self._calls, group, changes, self._timeout_seconds)

    def topic_ids(self, names: Sequence[str]) -> Mapping[str, str | errors.KafkaProblem]:
        """What tells each topic from another one that is made later under its name, or why that is not known.

        Raises:
            KafkaProblem: nobody could be asked.
        """
        found: dict[str, str | errors.KafkaProblem] = {}
        for name, future in self._describe(names).items() if names else ():
            try:
                found[name] = str(self._calls.result(future, topic=name).topic_id)
            except errors.KafkaProblem as problem:
                found[name] = problem
        return found

    def _describe(self, names: Sequence[str], **options: bool) -> Mapping[str, Any]:
        """A future for each topic, of what the cluster says about it."""
        futures: Mapping[str, Any] = self._calls.call(
            self._client.describe_topics,
            confluent_kafka.TopicCollection(list(names)),
            request_timeout=self._timeout_seconds,
            **options,
        )
        return futures

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
        outcome = {
            name: self._calls.outcome(future, topic=name, wants=[on_topic("CREATE", name)])
            for name, future in futures.items()
        }
        created = [name for name, problem in outcome.items() if problem is None]
        self._calls.patiently(lambda: self._require_ready(created))
        return outcome

    def delete_topics(self, names: Sequence[str]) -> Mapping[str, errors.KafkaProblem | None]:
        """Delete each topic with its records; what was wrong with each.

        What was deleted is no longer told by `topics` when this returns: a broker says yes before it has forgotten
        the topic itself. If it does not within the time-out (somebody has made it again), this returns all the same.

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
        outcome = {name: self._calls.outcome(future, topic=name) for name, future in futures.items()}
        deleted = [name for name, problem in outcome.items() if problem is None]
        with contextlib.suppress(errors.KafkaProblem):  # the deletion itself has been promised
            self._calls.patiently(lambda: self._require_gone(deleted))
        return outcome

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
            wants = [on_topic("DESCRIBE", theirs.topic)]
            end = self._calls.result(future, topic=theirs.topic, wants=wants).offset
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

    def _require_gone(self, names: Sequence[str]) -> None:
        known = self.topics() if names else {}
        for name in names:
            if name in known:
                raise errors.Retriable(f"topic {name!r} was deleted and is still told", resource=name)


def _described(about: Any) -> TopicInfo:
    replication = len(about.partitions[0].replicas) if about.partitions else 0
    rights = about.authorized_operations
    known = None if rights is None else frozenset(each.name for each in rights)
    return TopicInfo(about.name, len(about.partitions), replication, None, known, str(about.topic_id))


def _topic_info(found: Any) -> TopicInfo:
    problem = None if found.error is None else errors.translate(found.error, topic=found.topic)
    partitions = found.partitions
    replication = len(next(iter(partitions.values())).replicas) if partitions else 0
    return TopicInfo(found.topic, len(partitions), replication, problem)
