"""A member of a share group on librdkafka, which calls this a preview.

That the group did not take what was acknowledged with a poll is heard by a callback, as an error that names no record:
it is a problem to report and no more, because the records come again by themselves.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import confluent_kafka

from lifecycle.threads import new_executor
from worker.kafka import errors
from worker.kafka.client_config import ClientConfig, user_of
from worker.kafka.consumer import ConsumerEvents
from worker.kafka.rights import on_topic
from worker.kafka.share import Delivered

LONGEST_WAIT_SECONDS = 0.2
CLOSE_SECONDS = 5.0
"""The client waits for as long as a request may take (a minute) when its broker is away."""
ACCEPT = confluent_kafka.AcknowledgeType.ACCEPT
RELEASE = confluent_kafka.AcknowledgeType.RELEASE

_error: Callable[[Any], Any] = confluent_kafka.Message.error


class ConfluentShareMember:
    """A `worker.kafka.share.ShareMember` on librdkafka; one thread owns it."""

    def __init__(
        self, config: ClientConfig, events: ConsumerEvents, *, log: logging.Logger | None = None
    ) -> None:
        """*config* comes from `client_config.share_member_config`.

        Raises:
            InvalidProperty: librdkafka refuses a property.
        """
        self._group = config["group.id"]
        self._user = user_of(config)
        self._events = events
        self._fatal: errors.Fatal | None = None
        self._pause = threading.Event()
        self._closed = False
        callbacks: dict[str, Any] = {"error_cb": self._on_error}
        if log is not None:
            callbacks["logger"] = log
        try:
            self._client: Any = confluent_kafka.ShareConsumer({**config, **callbacks})
        except confluent_kafka.KafkaException as error:
            raise errors.translate(error) from error
        except ValueError as error:  # what a consumer group has and a queue has not
            raise errors.InvalidProperty(
                f"a property of the Kafka client does not fit a queue: {error}"
            ) from error
        self._client.set_acknowledgement_commit_callback(self._on_acknowledged)

    def subscribe(self, topics: Sequence[str]) -> None:
        """See `ShareMember.subscribe`."""
        self._call(self._client.subscribe, list(topics))

    def poll(self, timeout_seconds: float) -> Sequence[Delivered]:
        """See `ShareMember.poll`."""
        wait = max(0.0, min(timeout_seconds, LONGEST_WAIT_SECONDS))
        try:
            messages: list[Any] = list(self._client.poll(wait))
        except confluent_kafka.KafkaException as error:
            # A right on the group that is missing, for one, which may be given; it comes at once, again and again.
            self._on_error(error)
            messages = []
            self._pause.wait(wait)
        if self._fatal is not None:
            raise self._fatal
        if any(map(_error, messages)):
            for message in messages:
                if message.error() is not None:
                    self._on_error(message.error(), message.topic())
            messages = [message for message in messages if message.error() is None]
        return messages

    def accept(self, messages: Iterable[Delivered]) -> None:
        """See `ShareMember.accept`."""
        self._acknowledge(messages, ACCEPT)

    def release(self, messages: Iterable[Delivered]) -> None:
        """See `ShareMember.release`."""
        self._acknowledge(messages, RELEASE)

    def commit(self, timeout_seconds: float = 5.0) -> None:
        """See `ShareMember.commit`."""
        outcome = self._call(self._client.commit_sync, timeout_seconds)
        for partition, error in outcome.items():
            if error is not None:
                raise errors.translate(error, topic=partition.topic, group=self._group)

    def close(self) -> None:
        """See `ShareMember.close`."""
        if self._closed:
            return
        self._closed = True
        executor = new_executor(1, "share-leave")
        executor.submit(self._client.close)
        if not executor.close(CLOSE_SECONDS):
            self._events.on_problem(
                errors.TimedOut(
                    f"left the share group {self._group!r} without a word: the broker does not answer; what this "
                    "member had comes again when the group's lock on it ends",
                    resource=self._group,
                )
            )

    def _acknowledge(self, messages: Iterable[Delivered], how: Any) -> None:
        acknowledge = self._client.acknowledge
        for message in messages:
            self._call(acknowledge, message, how)

    def _call(self, function: Callable[..., Any], *args: Any) -> Any:
        try:
            return function(*args)
        except confluent_kafka.KafkaException as error:
            raise errors.translate(error, group=self._group, user=self._user) from error

    def _on_acknowledged(self, _offsets: Any, error: Any) -> None:
        if error is not None:
            self._events.on_problem(errors.translate(error, group=self._group, user=self._user))

    def _on_error(self, error: Any, topic: str | None = None) -> None:
        wants = [on_topic("READ", topic)] if topic else []
        problem = errors.translate(
            error, topic=topic or None, group=self._group, wants=wants, user=self._user
        )
        if isinstance(problem, errors.Fatal):
            self._fatal = problem
        else:
            self._events.on_problem(problem)
