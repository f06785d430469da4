"""The loop that one would write, and write well: batch consume, fastavro, one TensorFlow call, fastavro, produce.

What a profile of it asks for is done. Nothing is copied or looked up a record that can be a batch; the replies of a
batch are handed over together, when all of them are encoded: one by one, tens of microseconds apart, they would leave
in small requests to the broker, which cost a third of the whole loop; and garbage collector, allocator and TensorFlow's
threads are set as headrace's are.
"""

import io
import time
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.contender import COMMIT_SECONDS, Clients, Job, stop_event, tune_process
from benchmarks.dense_model import INPUTS, OUTPUTS
from schemas.catalog import default_catalog
from schemas.framing import header

BATCH = 1024
HEADER_BYTES = 10  # C3 01 and the schema's fingerprint
ROW_BYTES = OUTPUTS * 4


class Model:
    """The SavedModel, called as its users call it."""

    def __init__(self, directory: str) -> None:
        import tensorflow as tf

        # As many as the core that the process is pinned to can use; fewer hand-overs between them cost less.
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        self._loaded = tf.saved_model.load(directory)
        self._call: Any = self._loaded.signatures["serving_default"]
        self._constant: Any = tf.constant
        self.scores(np.zeros((BATCH, INPUTS), np.float32))

    def scores(self, rows: npt.NDArray[np.float32]) -> bytes:
        """The answers to a batch, `OUTPUTS` floats for each row, one after the other."""
        scores: npt.NDArray[np.float32] = self._call(x=self._constant(rows))["scores"].numpy()
        return scores.tobytes()


class Codec:
    """Requests out of records and records out of replies, by fastavro."""

    def __init__(self) -> None:
        import fastavro

        catalog = default_catalog()
        self._request = catalog.current("PredictRequest").parsed
        self._reply = catalog.current("PredictReply").parsed
        self._reply_header = header(catalog.current("PredictReply").fingerprint)
        self._read, self._write = fastavro.schemaless_reader, fastavro.schemaless_writer

    def requests(self, messages: list[Any]) -> list[Any]:
        """What each record asks for."""
        read, schema, stream_of = self._read, self._request, io.BytesIO
        requests = []
        for message in messages:
            stream = stream_of(message.value())
            stream.seek(HEADER_BYTES)
            requests.append(read(stream, schema))
        return requests

    def replies(self, requests: list[Any], scores: bytes) -> list[bytes]:
        """The record of each reply."""
        write, schema = self._write, self._reply
        replies = []
        stream = io.BytesIO()
        stream.write(self._reply_header)
        for number, request in enumerate(requests):
            data = scores[number * ROW_BYTES : (number + 1) * ROW_BYTES]
            output = {"name": "scores", "dtype": "DT_FLOAT", "shape": [1, OUTPUTS], "data": data}
            reply = {"model": request["model"], "version": 1, "outputs": [output], "id": request["id"]}
            stream.seek(HEADER_BYTES)
            write(stream, schema, reply)
            stream.truncate()
            replies.append(stream.getvalue())
        return replies


def rows(requests: list[Any]) -> npt.NDArray[np.float32]:
    """The inputs of a batch, one row for each request."""
    data = b"".join([request["inputs"][0]["data"] for request in requests])
    return np.frombuffer(data, np.float32).reshape(-1, INPUTS)


def run(job: Job) -> None:
    """Answer each request by the model until told to end."""
    model, codec = Model(job.model), Codec()
    clients, stop = Clients(job), stop_event()
    tune_process()
    committed = time.monotonic()
    while not stop.is_set():
        messages = clients.consume(BATCH)
        if messages:
            requests = codec.requests(messages)
            replies = codec.replies(requests, model.scores(rows(requests)))
            clients.send(messages, replies)
        if time.monotonic() - committed >= COMMIT_SECONDS:
            clients.commit()
            committed = time.monotonic()
    clients.commit()
    clients.consumer.close()
