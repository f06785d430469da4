"""When replies come: a thread that does nothing but read them, and what their times say."""

import threading
import time
from collections.abc import Sequence
from typing import Any

import confluent_kafka
import numpy as np

from benchmarks import load
from benchmarks.schedule import Seconds, precise_waits
from worker.kafka.client_config import ClientConfig

POLL_SECONDS = 0.05


class ReplyTimes:
    """The times of all replies that come to a topic from now on; their values are looked at when all is over."""

    def __init__(self, config: ClientConfig, topic: str) -> None:
        """*config* is a reader's."""
        self._consumer: Any = confluent_kafka.Consumer(config)
        found = self._consumer.list_topics(topic, 10.0).topics[topic].partitions
        ends = [confluent_kafka.TopicPartition(topic, number) for number in found]
        for end in ends:
            end.offset = self._consumer.get_watermark_offsets(end, 10.0)[1]
        self._consumer.assign(ends)
        self._came: list[tuple[float, Any]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="replies")
        self._thread.start()

    def __bool__(self) -> bool:
        """Whether any has come."""
        return bool(self._came)

    def since(self, start: float) -> list[tuple[float, int]]:
        """The time and the request's number of each reply that came after that time.

        Raises:
            KafkaException: the client reported a problem in a reply's place.
        """
        came = [(at, message) for at, message in list(self._came) if at >= start]
        for error in (message.error() for _, message in came):
            if error is not None:
                raise confluent_kafka.KafkaException(error)
        return [(at, request_number(message.value())) for at, message in came]

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()
        self._consumer.close()

    def _read(self) -> None:
        precise_waits()
        poll, clock, keep = self._consumer.poll, time.monotonic, self._came.append
        while not self._stop.is_set():
            message = poll(POLL_SECONDS)
            if message is not None:
                keep((clock(), message))


def request_number(value: bytes) -> int:
    """Of a request or a reply: its id, which stands before the empty map of parameters at the end of both."""
    return int(value[-load.ID_DIGITS - 1 : -1])


def latencies(due: Seconds, replies: Sequence[tuple[float, int]]) -> Seconds:
    """From due to first reply for each request, given (time, request number) of each reply; NaN without one."""
    first = np.full(len(due), np.nan)
    for at, number in reversed(replies):
        first[number] = at
    return np.asarray(first - due)
