"""Where a reply goes: from a request's headers, within what the binding allows.

Both ways of naming a reply topic that the field knows are taken: Spring's (`kafka_replyTopic`, `kafka_replyPartition`,
`kafka_correlationId`) and `reply_to` with `correlation_id`. Correlation ids are echoed byte for byte.
"""

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from schemas import headers as names
from schemas.errors import InvalidHeader
from worker.kafka.records import Headers
from worker.topic_directory import TopicDirectory

ANY_PARTITION = -1
MOST_REMEMBERED_TOPICS = 1024

REPLY_TOPICS = frozenset({names.REPLY_TOPIC, names.PLAIN_REPLY_TOPIC})
_REPLY_PARTITION = names.REPLY_PARTITION


class ReplyRoute(NamedTuple):
    """Where one reply goes and what it carries; a tuple, because there is one for each request with headers.

    Attributes:
        topic: the reply topic.
        partition: its partition; -1 leaves the choice to the key.
        headers: the reply's headers, or None.
    """

    topic: str
    partition: int
    headers: Headers | None


class NoRouteError(Exception):
    """A reply topic or partition that the request may not name, or that is malformed: the request is a dead letter."""


class ReplyTopicUnknownError(Exception):
    """A reply topic that is allowed but does not exist, as far as is known now; it may appear at the next look."""


class ReplyRouting:
    """The reply routes of one binding; read by the poll thread.

    Args:
        reply_topic: the binding's own, for requests that name none.
        allowed: patterns (full match) of further reply topics that requests may name.
        forbidden: topics that no request may name whatever the patterns say: control, status, request and
            dead-letter topics.
        carried: headers copied from request to reply.
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
    ) -> None:
        self.reply_topic = reply_topic
        self._allowed = [re.compile(pattern) for pattern in allowed]
        self._forbidden = frozenset(forbidden)
        self._echoed = frozenset((names.CORRELATION_ID, names.PLAIN_CORRELATION_ID, *carried))
        self._directory = directory
        self._remembered: dict[bytes | None, str] = {reply_topic.encode(): reply_topic}

    def route(self, headers: Headers) -> ReplyRoute | None:
        """The route that a request's headers ask for; None: the binding's own, without headers.

        Raises:
            NoRouteError: the topic is not allowed, or topic or partition cannot be read.
            ReplyTopicUnknownError: the topic does not exist as far as is known now.
        """
        topic, partition = self.reply_topic, ANY_PARTITION
        reply_headers = []
        echoed = self._echoed
        for header in headers:
            name, value = header
            if name in echoed:
                reply_headers.append(header)
            elif name in REPLY_TOPICS:
                topic = self._remembered.get(value) or self._allowed_topic(value)
            elif name == _REPLY_PARTITION:
                partition = _partition(value)
        if topic != self.reply_topic or partition != ANY_PARTITION:
            self._check_exists(topic, partition)
        elif not reply_headers:
            return None
        return ReplyRoute(topic, partition, reply_headers or None)

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
        known = self._directory.find(topic)
        if known is None:
            raise ReplyTopicUnknownError(f"the reply topic {topic!r} does not exist")
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
