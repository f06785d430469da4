"""Requests for many models and signatures, with any number of rows, mixed record by record.

What a request asks for is chosen at random, with a seed, so that every contender gets the same rows in the same order.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.dense_model import INPUTS
from schemas import codec
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from worker.kafka import client_config, clients
from worker.kafka.errors import KafkaProblem

CHUNK = 2_000
ID_DIGITS = 12
BANK_ROWS = 4096
"""Random rows that the requests' data are cut from."""
ROW_BYTES = INPUTS * 4
_ROWS_SEED, _TARGETS_SEED, _DATA_SEED = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Mix:
    """What requests ask for.

    Attributes:
        targets: (model, signature) of which each request takes one, all equally likely.
        most_rows: rows of a request are from 1 to this, all equally likely.
    """

    targets: Sequence[tuple[str, str]]
    most_rows: int = 1

    def rows(self, count: int) -> list[int]:
        """The rows of each of the first *count* requests; they do not depend on the targets."""
        drawn: list[int] = np.random.default_rng(_ROWS_SEED).integers(1, self.most_rows + 1, count).tolist()
        return drawn

    def choices(self, count: int) -> list[int]:
        """Which target each of the first *count* requests takes."""
        drawn: list[int] = np.random.default_rng(_TARGETS_SEED).integers(0, len(self.targets), count).tolist()
        return drawn


def values(mix: Mix, count: int) -> Iterator[list[bytes]]:
    """Chunks of encoded requests, each with an id of its own; one of each form is encoded, the others cut from it."""
    generator = np.random.default_rng(_DATA_SEED)
    bank = generator.standard_normal((BANK_ROWS, INPUTS), dtype=np.float32).tobytes()
    starts = generator.integers(0, BANK_ROWS - mix.most_rows + 1, count).tolist()
    form = functools.cache(_form)
    each = zip(mix.choices(count), mix.rows(count), starts, strict=True)
    chunk: list[bytes] = []
    for number, (choice, rows, start) in enumerate(each):
        head, middle, end = form(*mix.targets[choice], rows)
        data = bank[start * ROW_BYTES : (start + rows) * ROW_BYTES]
        chunk.append(b"%b%b%b%0*d%b" % (head, data, middle, ID_DIGITS, number, end))
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def fill(bootstrap_servers: str, topic: str, mix: Mix, count: int) -> None:
    """Write requests to a topic, spread over its partitions.

    Raises:
        KafkaProblem: the broker refused one.
        TimeoutError: the broker did not take them all.
    """
    producer = clients.producer(client_config.connection(bootstrap_servers), _raise)
    for chunk in values(mix, count):
        sent = 0
        while sent < len(chunk):
            sent += producer.send(topic, chunk[sent:])
            producer.poll(0.0 if sent == len(chunk) else 0.05)
    if left := producer.flush(120.0):
        raise TimeoutError(f"{left} requests did not reach the broker")
    producer.close()


def _form(model: str, signature: str, rows: int) -> tuple[bytes, bytes, bytes]:
    """A request with that many rows: what stands before its data, between data and id, and behind the id."""
    data = np.full((rows, INPUTS), np.nan, np.float32)
    inputs = (Tensor.from_numpy("x", data),)
    text = codec.encode(PredictRequest(model, signature=signature, inputs=inputs, id="0" * ID_DIGITS))
    at = text.index(data.tobytes())
    return text[:at], text[at + data.nbytes : -ID_DIGITS - 1], text[-1:]


def _raise(problem: KafkaProblem) -> None:
    raise problem
