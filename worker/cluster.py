"""What the topic directory asks the admin client, in the words that it is asked in."""

import logging
from collections.abc import Iterable, Mapping

from worker.kafka.admin import Admin
from worker.kafka.errors import KafkaProblem, NotAuthorized
from worker.log import Occasionally
from worker.topic_directory import DEFAULT_MAX_MESSAGE_BYTES

log = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = "max.message.bytes"


class Cluster:
    """Implements `topic_directory.TopicLister` on the admin client."""

    def __init__(self, admin: Admin, *, can_tell_limits: bool = True) -> None:
        """Ask through *admin*; a broker that cannot tell configurations (the mock cluster) is not asked for them."""
        self._admin = admin
        self._can_tell_limits = can_tell_limits
        self._occasionally = Occasionally(log, seconds=600.0)

    def partition_counts(self) -> Mapping[str, int]:
        """Every topic's number of partitions; raises KafkaProblem."""
        return {
            name: topic.partitions for name, topic in self._admin.topics().items() if topic.problem is None
        }

    def max_message_bytes(self, topics: Iterable[str]) -> Mapping[str, int]:
        """The largest batch that each topic takes; raises KafkaProblem.

        Where the user lacks the right DESCRIBE_CONFIGS it is Kafka's default: what the topic then refuses is sent again
        record by record.
        """
        if not self._can_tell_limits:
            return {}
        names = list(topics)
        try:
            try:
                configs = self._admin.topic_config(names)
            except NotAuthorized:
                configs = self._allowed(names)
        except KafkaProblem as problem:
            if problem.retriable:
                raise
            self._occasionally.warning("the reply topics' limits cannot be read", problem=str(problem))
            return {}
        return {name: int(c.get(MAX_MESSAGE_BYTES, DEFAULT_MAX_MESSAGE_BYTES)) for name, c in configs.items()}

    def _allowed(self, names: Iterable[str]) -> Mapping[str, Mapping[str, str]]:
        """Each asked about by itself, so that one that may not be hides no other."""
        found: dict[str, Mapping[str, str]] = {}
        for name in names:
            try:
                found.update(self._admin.topic_config([name]))
            except NotAuthorized as problem:
                self._occasionally.warning(
                    "a topic's limit may not be read, so Kafka's default is assumed",
                    key=name,
                    problem=str(problem),
                )
        return found
