"""Where a reply goes: from a request's headers, within what the binding allows.

Both ways of naming a reply topic that the field knows are taken: Spring's (`kafka_replyTopic`, `kafka_replyPartition`,
`kafka_correlationId`) and `reply_to` with `correlation_id`. Correlation ids are echoed byte for byte.
"""

import re
from collections.abc import Collection, Sequence

from schemas import headers as names
from schemas.errors import InvalidHeader
from worker.kafka.records import Headers
from worker.reply_routes import ANY_PARTITION, Place, ReplyRoute
from worker.topic_directory import TopicDirectory

MOST_REMEMBERED_TOPICS = 1024

REPLY_TOPICS = frozenset({names.REPLY_TOPIC, names.PLAIN_REPLY_TOPIC})
REPLY_PARTITION = names.REPLY_PARTITION


class NoRouteError(Exception):
    """A reply topic or partition that the request may not name, or that is malformed: the request is a dead letter."""


class ReplyTopicUnknownError(Exception):
    """A reply topic that is allowed but does not exist, as far as is known now; it may appear at the next look.

    Attributes:
        topic: its name.
    """

    def __init__(self, topic: str) -> None:
        super().__init__(f"the reply topic {topic!r} does not exist")
        self.topic = topic


class ReplyRouting:
    """The reply routes of one binding; read by the poll thread.

    Args:
        reply_topic: the binding's own, for requests that name none.
        allowed: patterns (full match) of further reply topics that requests may name.
        forbidden: topics that no request may name whatever the patterns say: control, status, request and
            dead-letter topics.
        carried: headers copied from request to reply.
        most_priority: the highest that a request may ask for.
        directory: which topics exist.
    """

    def __init__(
        self,
        reply_topic: str,
        allowed: Sequence[str],
        *,
        forbidden: Collection[str],
        carried: Collection[str],
        directory: TopicDirectory,
        most_priority: int = 9,
    ) -> None:
        self.reply_topic = reply_topic
        self.most_priority = most_priority
        self._allowed = [re.compile(pattern) for pattern in allowed]
        self._forbidden = frozenset(forbidden)
        self.echoed = frozenset((names.CORRELATION_ID, names.PLAIN_CORRELATION_ID, *carried))
        self._directory = directory
        self._remembered: dict[bytes | None, str] = {reply_topic.encode(): reply_topic}

    def route(self, headers: Headers) -> ReplyRoute:
        """The route that a request's headers ask for: the binding's own topic where they name none.

        Raises:
            NoRouteError: the topic is not allowed, or topic or partition cannot be read.
            ReplyTopicUnknownError: the topic does not exist as far as is known now.
        """
        topic, partition = self.reply_topic, ANY_PARTITION
        reply_headers = []
        for header in headers:
            name, value = header
            if name in self.echoed:
                reply_headers.append(header)
            elif name in REPLY_TOPICS:
                topic = self._topic(value)
            elif name == REPLY_PARTITION:
                partition = _partition(value)
        self._check_exists(topic, partition)
        return ReplyRoute(topic, partition, reply_headers or None)

    def place(self, topic: bytes | None, partition: bytes | None) -> Place:
        """The place that the values of two headers name; None stands for a header that is not there.

        Raises:
            NoRouteError: as `route`.
            ReplyTopicUnknownError: as `route`.
        """
        place = (
            self.reply_topic if topic is None else self._topic(topic),
            ANY_PARTITION if partition is None else _partition(partition),
        )
        self._check_exists(*place)
        return place

    def _topic(self, value: bytes | None) -> str:
        return self._remembered.get(value) or self._allowed_topic(value)

    def _allowed_topic(self, value: bytes | None) -> str:
        try:
            topic = names.parse_topic(value)
        except InvalidHeader as error:
            raise NoRouteError(str(error)) from None
        if topic == self.reply_topic:
            return topic
        if topic in self._forbidden or not any(p.fullmatch(topic) for p in self._allowed):
            raise NoRouteError(f"the reply topic {topic[:249]!r} is not one that requests may name here")
        if len(self._remembered) < MOST_REMEMBERED_TOPICS:
            self._remembered[value] = topic
        return topic

    def _check_exists(self, topic: str, partition: int) -> None:
        if topic == self.reply_topic and partition == ANY_PARTITION:
            return
        known = self._directory.find(topic)
        if known is None:
            raise ReplyTopicUnknownError(topic)
        self._directory.watch((topic,))
        if partition >= known.partitions > 0:
            raise NoRouteError(
                f"the reply partition {partition} does not exist: topic {topic!r} has {known.partitions}"
            )


def _partition(value: bytes | None) -> int:
    try:
        return names.parse_reply_partition(value)
    except InvalidHeader as error:
        raise NoRouteError(str(error)) from None
