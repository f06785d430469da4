"""The requests of the benchmarks: 64 floats and an id of their own each, with reply headers if wanted."""

from collections.abc import Iterator

import numpy as np

from benchmarks.dense_model import INPUTS
from schemas import codec
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from worker.kafka import client_config, clients
from worker.kafka.errors import KafkaProblem
from worker.kafka.records import Headers

MODEL = "dense"
CHUNK = 10_000
ID_DIGITS = 12


def values(count: int) -> Iterator[list[bytes]]:
    """Chunks of encoded requests. One is encoded; the others are made by putting their rows and ids in its place."""
    generator = np.random.default_rng(0)
    row = np.zeros((1, INPUTS), np.float32)
    template = codec.encode(PredictRequest(MODEL, inputs=(Tensor.from_numpy("x", row),), id="0" * ID_DIGITS))
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


def fill(bootstrap_servers: str, topic: str, count: int, reply_topic: str | None = None) -> None:
    """Write *count* requests to a topic, spread over its partitions; with headers where a reply topic is given."""

    def on_problem(problem: KafkaProblem) -> None:
        raise problem

    producer = clients.producer(client_config.connection(bootstrap_servers), on_problem)
    for number, chunk in enumerate(values(count)):
        headers = None if reply_topic is None else reply_headers(number * CHUNK, len(chunk), reply_topic)
        sent = 0
        while sent < len(chunk):
            sent += producer.send(topic, chunk[sent:], None, headers and headers[sent:])
            producer.poll(0.0 if sent == len(chunk) else 0.05)
    if left := producer.flush(120.0):
        raise TimeoutError(f"{left} requests did not reach the broker")
    producer.close()
