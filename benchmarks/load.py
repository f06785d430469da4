"""The requests of the benchmarks: 64 floats and an id of their own each, with reply headers if wanted."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.dense_model import INPUTS
from schemas import codec
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from worker.kafka import client_config, clients, errors
from worker.kafka.errors import KafkaProblem
from worker.kafka.records import Headers, Message

MODEL = "dense"
CHUNK = 10_000
ID_DIGITS = 12
ANY_PARTITION = -1


def values(count: int, input_name: str = "x") -> Iterator[list[bytes]]:
    """Chunks of encoded requests. One is encoded; the others are made by putting their rows and ids in its place."""
    generator = np.random.default_rng(0)
    row = np.zeros((1, INPUTS), np.float32)
    inputs = (Tensor.from_numpy(input_name, row),)
    template = codec.encode(PredictRequest(MODEL, inputs=inputs, id="0" * ID_DIGITS))
    at = template.index(row.tobytes())
    head, middle = template[:at], template[at + row.nbytes : -ID_DIGITS - 1]
    end = template[-1:]
    for start in range(0, count, CHUNK):
        rows = generator.standard_normal((min(CHUNK, count - start), INPUTS), dtype=np.float32)
        yield [
            head + data.tobytes() + middle + b"%0*d" % (ID_DIGITS, start + n) + end
            for n, data in enumerate(rows)
        ]


def reply_headers(start: int, count: int, reply_topic: str) -> list[Headers]:
    """A reply topic and a correlation id of its own for each request."""
    to = ("kafka_replyTopic", reply_topic.encode())
    return [[to, ("kafka_correlationId", b"%016d" % (start + n))] for n in range(count)]


def fill(
    bootstrap_servers: str,
    topic: str,
    count: int,
    reply_topic: str | None = None,
    *,
    partition: int = ANY_PARTITION,
    input_name: str = "x",
) -> None:
    """Write *count* requests to a topic, spread over its partitions, or to one; with headers if a reply topic is given.

    Raises:
        TimeoutError: the broker did not take them all.
    """
    producer = clients.producer(client_config.connection(bootstrap_servers), _go_on, only_failures=True)
    for number, chunk in enumerate(values(count, input_name)):
        headers = None if reply_topic is None else reply_headers(number * CHUNK, len(chunk), reply_topic)
        sent = 0
        while sent < len(chunk):
            sent += producer.send(
                topic, chunk[sent:], None, headers and headers[sent:], partition, on_delivery=_not_written
            )
            producer.poll(0.0 if sent == len(chunk) else 0.05)
    if left := producer.flush(120.0):
        raise TimeoutError(f"{left} requests did not reach the broker")
    producer.close()


def _go_on(_problem: KafkaProblem) -> None:
    """A broker that is busy; what is not written in the end is told by its report."""


def _not_written(error: Any, record: Message) -> None:
    raise errors.translate(error, topic=record.topic())
