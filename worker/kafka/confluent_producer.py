"""The producer on librdkafka.

`produce` in a C-driven loop: `produce_batch` of the same client is no faster and drops headers without a word
(seen in 2.16.1), takes no partition a record and never says that the queue is full.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from operator import length_hint
from typing import Any

import confluent_kafka

from worker.kafka import errors
from worker.kafka.client_config import ClientConfig, user_of
from worker.kafka.producer import OnDelivery
from worker.kafka.records import Headers
from worker.kafka.rights import on_topic

# Longer waits of the client do not let signals be handled.
_SLICE_SECONDS = 0.15


_AS_THE_CLIENT_TAKES_THEM = frozenset({list, type(None)})


def _as_lists(headers: Sequence[Headers | None]) -> Sequence[Headers | None]:
    if _AS_THE_CLIENT_TAKES_THEM.issuperset(map(type, headers)):
        return headers
    return [None if of_one is None else list(of_one) for of_one in headers]


class RefusedRecord:
    """The report of a record that the client never took: a `Message` of what was given to `send`."""

    __slots__ = ("_error", "_headers", "_key", "_partition", "_topic", "_value")

    def __init__(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        headers: Headers | None,
        partition: int,
        error: Any,
    ) -> None:
        self._topic = topic
        self._value = value
        self._key = key
        self._headers = headers
        self._partition = partition
        self._error = error

    def topic(self) -> str:
        """See `Message.topic`."""
        return self._topic

    def partition(self) -> int:
        """See `Message.partition`."""
        return self._partition

    def offset(self) -> int:
        """See `Message.offset`."""
        return -1001

    def key(self) -> bytes | None:
        """See `Message.key`."""
        return self._key

    def value(self) -> bytes | None:
        """See `Message.value`."""
        return self._value

    def headers(self) -> Headers | None:
        """See `Message.headers`."""
        return self._headers

    def set_headers(self, headers: list[tuple[str, bytes | None]]) -> None:
        """See `Message.set_headers`."""
        self._headers = headers

    def timestamp(self) -> tuple[int, int]:
        """See `Message.timestamp`."""
        return (0, -1)

    def error(self) -> Any:
        """See `Message.error`."""
        return self._error


class ConfluentProducer:
    """A `worker.kafka.producer.Producer` on librdkafka."""

    def __init__(
        self,
        config: ClientConfig,
        on_problem: Callable[[errors.KafkaProblem], None],
        *,
        log: logging.Logger | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """*config* comes from `producer_config`; *on_problem* is called inside `poll` and `flush`.

        Raises:
            InvalidProperty: librdkafka refuses a property.
        """
        self._on_problem = on_problem
        self._user = user_of(config)
        self._clock = clock
        self._fatal: errors.Fatal | None = None
        self._closed = False
        callbacks: dict[str, Any] = {
            "error_cb": self._on_error,
            # The binding does this one itself and takes no text for it.
            "delivery.report.only.error": config.get("delivery.report.only.error") == "true",
        }
        if log is not None:
            callbacks["logger"] = log
        try:
            self._client: Any = confluent_kafka.Producer({**config, **callbacks})
        except confluent_kafka.KafkaException as error:
            raise errors.translate(error) from error

    @property
    def client(self) -> Any:
        """The client library's own, for its transactional calls."""
        return self._client

    def send(
        self,
        topic: str,
        values: Sequence[bytes | None],
        keys: Sequence[bytes | None] | None = None,
        headers: Sequence[Headers | None] | None = None,
        partition: int = -1,
        on_delivery: OnDelivery | Sequence[OnDelivery] | None = None,
    ) -> int:
        """See `Producer.send`."""
        if self._fatal is not None:
            raise self._fatal
        count = len(values)
        # A list's iterator knows how much is left of it: that tells where a refused record stopped the loop
        # in C.
        left = iter(values if isinstance(values, list) else list(values))
        of_keys: Iterator[bytes | None] = repeat(None) if keys is None else iter(keys)
        one = on_delivery if callable(on_delivery) or on_delivery is None else None
        many = None if callable(on_delivery) or on_delivery is None else on_delivery
        of_reports = repeat(one) if many is None else iter(many)
        calls: Any
        if headers is None:
            calls = map(self._client.produce, repeat(topic), left, of_keys, repeat(partition), of_reports)
        else:
            # By position: topic, value, key, partition, callback, its other name, timestamp (0: now),
            # headers.
            calls = map(
                self._client.produce,
                repeat(topic),
                left,
                of_keys,
                repeat(partition),
                of_reports,
                repeat(one) if many is None else iter(many),
                repeat(0),
                _as_lists(headers),
            )
        while True:
            try:
                deque(calls, maxlen=0)
            except BufferError:
                return count - length_hint(left) - 1
            except confluent_kafka.KafkaException as error:
                at = count - length_hint(left) - 1
                self._refused(
                    error,
                    RefusedRecord(
                        topic,
                        values[at],
                        None if keys is None else keys[at],
                        None if headers is None else headers[at],
                        partition,
                        error.args[0],
                    ),
                    one if many is None else many[at],
                )
            else:
                return count

    def poll(self, timeout_seconds: float = 0.0) -> int:
        """See `Producer.poll`."""
        served = self._serve(self._client.poll, max(0.0, min(timeout_seconds, _SLICE_SECONDS)))
        if self._fatal is not None:
            raise self._fatal
        return served or 0

    def flush(self, timeout_seconds: float) -> int:
        """See `Producer.flush`."""
        end = self._clock() + timeout_seconds
        left = self._serve(self._client.flush, max(0.0, min(timeout_seconds, _SLICE_SECONDS)))
        while left and self._fatal is None and (remaining := end - self._clock()) > 0:
            left = self._serve(self._client.flush, min(remaining, _SLICE_SECONDS))
        return len(self) if left is None else left

    def __len__(self) -> int:
        return len(self._client)

    def __bool__(self) -> bool:
        return True  # an empty producer is still one

    def purge(self) -> None:
        """See `Producer.purge`."""
        self._client.purge()
        self._serve(self._client.poll, 0.0)

    def close(self) -> None:
        """See `Producer.close`."""
        if not self._closed:
            self._closed = True
            self.purge()
            self._client.close()  # flushes without a limit of time, hence after the purge

    def _serve(self, call: Callable[[float], int], seconds: float) -> int | None:
        """Have the client call back; what the call gives, or None where it has raised.

        A fatal error is raised by the call that first serves it, in place of a call of `error_cb`.
        """
        try:
            return call(seconds)
        except confluent_kafka.KafkaException as error:
            self._on_error(error.args[0])
            return None

    def _refused(self, error: Any, record: RefusedRecord, on_delivery: OnDelivery | None) -> None:
        wants = [on_topic("WRITE", record.topic())]
        problem = errors.translate(error, topic=record.topic(), wants=wants, user=self._user)
        if isinstance(problem, errors.Fatal):
            self._fatal = problem
            raise problem from error
        if on_delivery is not None:
            on_delivery(record.error(), record)

    def _on_error(self, error: Any) -> None:
        problem = errors.translate(error, user=self._user)
        if isinstance(problem, errors.Fatal):
            self._fatal = problem
        else:
            self._on_problem(problem)
