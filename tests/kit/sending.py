"""Puts requests on a topic, at once or without a pause in the background."""

import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from schemas import codec
from schemas.predict_request import PredictRequest
from tests.kit.waiting import PATIENCE_SECONDS
from worker.kafka import clients
from worker.kafka.client_config import Connection
from worker.kafka.errors import KafkaProblem, translate
from worker.kafka.records import Headers, Message


class Sender:
    """A producer of requests; used by one thread."""

    def __init__(self, where: Connection) -> None:
        self._producer = clients.producer(where, _ignore, queue_records=200_000)
        self._refused: list[KafkaProblem] = []

    def begin(
        self,
        topic: str,
        values: Sequence[bytes | PredictRequest],
        *,
        keys: Sequence[bytes | None] | None = None,
        headers: Sequence[Headers | None] | None = None,
        partition: int = -1,
    ) -> list[Message]:
        """Hand requests over, which are then sent in the background; `finish` fills the list of reports."""
        encoded = [each if isinstance(each, bytes) else codec.encode(each) for each in values]
        reports: list[Message] = []

        def delivered(error: Any, message: Message) -> None:
            if error is not None:
                self._refused.append(translate(error, topic=topic))
            reports.append(message)

        sent = 0
        while sent < len(encoded):
            sent += self._producer.send(
                topic,
                encoded[sent:],
                None if keys is None else keys[sent:],
                None if headers is None else headers[sent:],
                partition,
                delivered,
            )
            self._producer.poll(0.05 if sent < len(encoded) else 0.0)
        return reports

    def finish(self) -> None:
        """Wait until the broker has everything.

        Raises:
            KafkaProblem: a record was refused.
        """
        assert self._producer.flush(PATIENCE_SECONDS) == 0, "the broker has not taken the requests in time"
        if self._refused:
            raise self._refused.pop()

    def close(self) -> None:
        """Give up what is left, and the connections."""
        self._producer.close()


class Traffic:
    """Requests without a pause, from a thread of its own: a context manager, whose end waits until all are written.

    Args:
        where: the cluster.
        topic: where they go.
        request: makes the request of a number, counted from 0.
        at_once: requests in a row.
        pause_seconds: between two rows of them.
        key: makes the key of a number; none by default.
    """

    def __init__(
        self,
        where: Connection,
        topic: str,
        request: Callable[[int], bytes | PredictRequest],
        *,
        at_once: int = 5,
        pause_seconds: float = 0.01,
        key: Callable[[int], bytes] | None = None,
    ) -> None:
        self._sender = Sender(where)
        self._topic = topic
        self._request = request
        self._at_once = at_once
        self._pause_seconds = pause_seconds
        self._key = key
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)
        self.sent = 0
        """How many there were so far; the next one has this number."""

    def _run(self) -> None:
        while not self._stop.wait(self._pause_seconds):
            numbers = range(self.sent, self.sent + self._at_once)
            keys = None if self._key is None else list(map(self._key, numbers))
            self._sender.begin(self._topic, [self._request(number) for number in numbers], keys=keys)
            self.sent = numbers.stop

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        try:
            self._sender.finish()
        finally:
            self._sender.close()


def _ignore(problem: KafkaProblem) -> None:
    """A producer's troubles on the way: what counts is what came of each record."""
