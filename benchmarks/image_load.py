"""Requests of 150 KB: an image of 224 x 224 x 3 bytes and an id of its own each."""

from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.image_model import IMAGE_BYTES, SHAPE
from schemas import codec
from schemas.predict_reply import PredictReply
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from worker.kafka import client_config, clients
from worker.kafka.errors import KafkaProblem

MODEL = "images"
CHUNK = 100
ID_DIGITS = 12
FILL_SECONDS = 240.0


def values(count: int) -> Iterator[list[bytes]]:
    """Chunks of encoded requests. One is encoded; the others are made by putting an image and an id in its place.

    All chunks have the same images: nothing on the way looks into them.
    """
    images = np.random.default_rng(0).integers(1, 256, (CHUNK, *SHAPE), np.uint8)
    blank = np.zeros((1, *SHAPE), np.uint8)
    template = codec.encode(
        PredictRequest(MODEL, inputs=(Tensor.from_numpy("x", blank),), id="0" * ID_DIGITS)
    )
    at = template.index(blank.tobytes())
    head, middle, end = template[:at], template[at + IMAGE_BYTES : -ID_DIGITS - 1], template[-1:]
    for start in range(0, count, CHUNK):
        yield [
            head + image.tobytes() + middle + b"%0*d" % (ID_DIGITS, start + n) + end
            for n, image in enumerate(images[: count - start])
        ]


def reply_bytes(shape: Sequence[int]) -> int:
    """The size of headrace's reply to one request, with an output of this shape."""
    output = Tensor.from_numpy("y", np.zeros((1, *shape), np.uint8))
    return len(codec.encode(PredictReply(MODEL, 1, (output,), None, "0" * ID_DIGITS)))


def fill(bootstrap_servers: str, topic: str, count: int) -> int:
    """Write *count* requests to a topic, spread over its partitions; returns the bytes of one."""

    def on_problem(_problem: KafkaProblem) -> None:
        """Nothing to do: the client goes on trying, and whoever fills a topic counts what is on it."""

    size = 0
    producer = clients.producer(client_config.connection(bootstrap_servers), on_problem)
    for chunk in values(count):
        size = len(chunk[0])
        sent = 0
        while sent < len(chunk):
            sent += producer.send(topic, chunk[sent:])
            producer.poll(0.0 if sent == len(chunk) else 0.05)
    if left := producer.flush(FILL_SECONDS):
        raise TimeoutError(f"{left} requests did not reach the broker")
    producer.close()
    return size
