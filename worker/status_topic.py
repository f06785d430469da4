"""The status topic as a worker writes it: the latest word on each of its versions, and on itself.

Compacted: a key's last record counts, one without a value takes the key away. A record that could not be
delivered is not sent again by itself, since a later one may have overtaken it; who writes asks `take_lost`
and repeats what holds now.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

from schemas import codec
from schemas.servable_status import ServableStatus
from schemas.worker_status import WorkerStatus
from worker.kafka.errors import translate
from worker.kafka.producer import Producer
from worker.kafka.records import Message
from worker.kafka.rights import SOMEBODY, on_topic
from worker.log import Occasionally

WHOLE_MODEL = -1
"""In place of a version: the status is about the model as a whole (a config that cannot be applied)."""

_log = logging.getLogger(__name__)


def worker_key(worker: str) -> bytes:
    """The key of a worker's own status."""
    return worker.encode()


def servable_key(worker: str, model: str, version: int) -> bytes:
    """The key of a version's status on a worker."""
    return f"{worker}/{model}/{version}".encode()


def key_of(record: ServableStatus | WorkerStatus) -> bytes:
    """The key under which a status is kept."""
    if isinstance(record, WorkerStatus):
        return worker_key(record.worker)
    return servable_key(record.worker, record.model, record.version)


class StatusTopic:
    """Writes statuses through a producer of its own, on the control thread; only `close` waits."""

    def __init__(
        self,
        producer: Producer,
        topic: str,
        clock: Callable[[], float] = time.monotonic,
        user: str = SOMEBODY,
    ) -> None:
        """Write to *topic* as *user*, as far as the broker takes us for that."""
        self._producer = producer
        self._user = user
        self._topic = topic
        self._occasionally = Occasionally(_log, seconds=30.0, clock=clock)
        self._lost = False

    def publish(self, record: ServableStatus | WorkerStatus) -> None:
        """Send the latest word under its key."""
        self._send(key_of(record), codec.encode(record))

    def withdraw(self, key: bytes) -> None:
        """Take a key away."""
        self._send(key, None)

    def serve(self) -> None:
        """Take in delivery reports that have come.

        Raises:
            Fatal: the producer is of no use any more.
        """
        self._producer.poll(0.0)

    def take_lost(self) -> bool:
        """Whether a record has been lost since this was last asked."""
        lost, self._lost = self._lost, False
        return lost

    def close(self, timeout_seconds: float) -> None:
        """Wait until what was sent is there, at most that long, and give the producer back."""
        left = self._producer.flush(timeout_seconds)
        if left:
            _log.warning(
                "some statuses did not reach the status topic", extra={"topic": self._topic, "left": left}
            )
        self._producer.close()

    def _send(self, key: bytes, value: bytes | None) -> None:
        if not self._producer.send(self._topic, [value], [key], on_delivery=self._delivered):
            self._lose("the producer's queue is full")

    def _delivered(self, error: Any, _message: Message) -> None:
        if error is not None:
            wants = [on_topic("WRITE", self._topic)]
            self._lose(str(translate(error, topic=self._topic, wants=wants, user=self._user)))

    def _lose(self, problem: str) -> None:
        self._lost = True
        self._occasionally.warning("a status could not be sent", topic=self._topic, problem=problem)
