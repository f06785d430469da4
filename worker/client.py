"""Asking models through Kafka, from Python: send a request, get the future of its prediction.

    with Client("localhost:9092") as client:
        prediction = client.predict("digits", {"image": images})
        print(prediction.version, prediction["scores"])

Many requests may be under way at once (`submit` gives a future for each), from any number of threads;
`predict_async` is the same for asyncio. A client reads every partition of its reply topic from the moment of
its construction, without a consumer group: several clients share a topic, each sees all replies and keeps
those with its own correlation ids. Where many clients with heavy traffic share a cluster, give each (or each
few) a `reply_topic` of its own, and allow it in the workers' binding.

Neither importing nor using this loads TensorFlow. One thread of the client's own serves the replies,
deadlines and delivery reports; callbacks added to a future run on it and must not block.

Inputs that are too large for their topic can go another way, and so can outputs: by a store that both sides reach
(`claims_root`, `trusted_roots`). Then a few more threads fetch and clean up.
"""

import asyncio
import dataclasses
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

import numpy.typing as npt

from schemas import codec
from schemas import headers as names
from schemas.errors import WireError
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from worker.client_calls import Call, CallTable, Prediction
from worker.client_claims import ClientClaims
from worker.client_endpoints import Endpoints, connect
from worker.client_errors import ClientClosed, NoReply, NotSent, PredictError
from worker.client_replies import ReplyReader
from worker.client_requests import RequestEncoder
from worker.kafka.client_config import PropertyValue
from worker.kafka.errors import KafkaProblem, translate
from worker.kafka.records import Headers, Message
from worker.kafka.rights import on_topic

__all__ = ["Client", "ClientClosed", "NoReply", "NotSent", "PredictError", "Prediction", "RequestFields"]

DEFAULT_REQUEST_TOPIC = "headrace.requests"
DEFAULT_REPLY_TOPIC = "headrace.replies"

Connect = Callable[[str, str, Mapping[str, PropertyValue]], Endpoints]
Inputs = Mapping[str, npt.ArrayLike | Tensor]


class RequestFields(TypedDict, total=False):
    """What a request may say besides model and inputs; see `Client.submit`."""

    version: int | None
    label: str | None
    signature: str
    outputs: Sequence[str]
    timeout_seconds: float | None
    priority: int | None
    key: bytes | str | None
    headers: Headers


class Client:
    """A producer of requests and a reader of their replies. Thread-safe.

    Args:
        bootstrap_servers: brokers to start from, `host:port,host:port`.
        request_topic: where requests go; it must exist.
        reply_topic: where replies are awaited. None: the workers' default, which requests then need not name.
            Another is named in each request by a header, and the workers' binding must allow it.
        timeout_seconds: how long a request waits for its reply where it does not say itself.
        properties: librdkafka properties for every connection (security), by their dotted names.
        claims_root: a place in a store, as `s3://bucket/folder`, where large inputs go; the workers' `claims.roots`
            must allow it. The data is removed when the future is done. None: all inputs go in the record.
        claim_above_bytes: a request with more bytes of inputs than that has the largest of them stored. By default
            a little less than the 1 MiB that a topic takes by default.
        trusted_roots: where the data of outputs may lie: the workers' `claims.write_root`. None: a reply whose
            outputs lie elsewhere is an error.
        connect: what opens the connections; tests bring their own.

    Raises:
        KafkaProblem: the broker cannot be reached, or the reply topic does not exist.
        ValueError: a root is none.
    """

    def __init__(  # noqa: PLR0913 - where everything is, by keyword
        self,
        bootstrap_servers: str = "localhost:9092",
        *,
        request_topic: str = DEFAULT_REQUEST_TOPIC,
        reply_topic: str | None = None,
        timeout_seconds: float = 30.0,
        properties: Mapping[str, PropertyValue] | None = None,
        claims_root: str | None = None,
        claim_above_bytes: int = 900_000,
        trusted_roots: Sequence[str] = (),
        connect: Connect = connect,
    ) -> None:
        self._request_topic = request_topic
        self._timeout_seconds = _checked_timeout(timeout_seconds)
        self._reply_header = [] if reply_topic is None else [(names.PLAIN_REPLY_TOPIC, reply_topic.encode())]
        self._encoder = RequestEncoder()
        self._calls = CallTable(os.urandom(8), request_topic)
        self._claims = ClientClaims(
            claims_root, above_bytes=claim_above_bytes, trusted_roots=trusted_roots, owner=request_topic
        )
        try:
            endpoints = connect(bootstrap_servers, reply_topic or DEFAULT_REPLY_TOPIC, properties or {})
        except KafkaProblem:
            self._claims.close()
            raise
        self._producer = endpoints.producer
        self._user = endpoints.user
        self._replies = ReplyReader(endpoints, self._calls, self._claims, time.monotonic)
        self._thread = threading.Thread(target=self._replies.run, name="headrace-client", daemon=True)
        self._thread.start()

    def predict(self, model: str, inputs: Inputs, **fields: Unpack[RequestFields]) -> Prediction:
        """Ask and wait for the answer. Arguments are those of `submit`, errors also those of its future."""
        return self.submit(model, inputs, **fields).result()

    async def predict_async(self, model: str, inputs: Inputs, **fields: Unpack[RequestFields]) -> Prediction:
        """Ask and await the answer without blocking the event loop, as `predict`."""
        if self._claims.stores:
            submitted = await asyncio.to_thread(self.submit, model, inputs, **fields)
        else:
            submitted = self.submit(model, inputs, **fields)
        return await asyncio.wrap_future(submitted)

    def submit(  # noqa: PLR0913 - the fields of a request, by keyword
        self,
        model: str,
        inputs: Inputs,
        *,
        version: int | None = None,
        label: str | None = None,
        signature: str = "serving_default",
        outputs: Sequence[str] = (),
        timeout_seconds: float | None = None,
        priority: int | None = None,
        key: bytes | str | None = None,
        headers: Headers = (),
    ) -> Future[Prediction]:
        """Send a request; its prediction comes through the future.

        The future fails with `PredictError` (the worker's code and message), `NoReply` after the time-out,
        `NotSent`, or `ClientClosed`. Returns at once, except while the local queue of unsent records is full, or
        while an input is stored that is too large for the record (`claims_root`).

        Args:
            model: the model's name on the control topic.
            inputs: arrays by input name, of the dtypes that the signature wants (lists become float64 or
                int64, as numpy has it). Dimension 0 is the batch. Text and bytes become DT_STRING.
            version: the version to ask; by default the label's, or the workers' choice (the latest
                available).
            label: a label of the control topic instead of a version.
            signature: the signature to run.
            outputs: the outputs wanted; none: all.
            timeout_seconds: how long to wait here; sent along, so that workers need not answer later.
            priority: 0 to 9; those of a higher one are run first. By default what the model's config says.
            key: the record's key: equal keys go to one partition, and the reply has it too.
            headers: more headers for the record.

        Raises:
            WireError: the request cannot be encoded (an array without a TensorFlow dtype, version and label
                together).
            ClientClosed: the client is closed, or has lost its connection for good.
            NotSent: the local queue stayed full for the whole time-out, or a large input could not be stored.
            ValueError: the time-out or the priority is out of its range.
        """
        timeout = self._timeout_seconds if timeout_seconds is None else _checked_timeout(timeout_seconds)
        wishes = [] if priority is None else [(names.PRIORITY, _priority_text(priority))]
        tensors = tuple(_tensor(*item) for item in inputs.items())
        request = PredictRequest(model, version, label, signature, tuple(outputs), tensors)
        request, places = self._claims.stored(request)
        try:
            value = codec.encode(request) if places else self._encoder.encode(request)
            call = self._calls.open(model, time.monotonic(), timeout)
        except (WireError, ClientClosed):
            self._claims.remove(places)
            raise
        if places:
            call.future.add_done_callback(lambda _: self._claims.remove(places))
        sent_headers = [
            (names.PLAIN_CORRELATION_ID, call.correlation_id),
            *self._reply_header,
            (names.TIMEOUT_MS, b"%d" % max(1, round(timeout * 1000))),
            *wishes,
            *headers,
        ]
        self._send(call, value, key.encode() if isinstance(key, str) else key, sent_headers)
        return call.future

    def close(self) -> None:
        """Fail what is outstanding, end the thread and the connections. Calling it again does nothing."""
        self._calls.close("the client was closed")
        self._replies.stop()
        if threading.current_thread() is not self._thread:
            self._thread.join()
            self._claims.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, call: Call, value: bytes, key: bytes | None, headers: Headers) -> None:
        """Hand one record over, waiting for room in the local queue up to the call's deadline."""

        def delivered(error: Any, _: Message) -> None:
            if error is not None:
                topic = self._request_topic
                wants = [on_topic("WRITE", topic)]
                problem = translate(error, topic=topic, wants=wants, user=self._user)
                self._calls.fail(call, _not_sent(call.model, problem))

        keys = None if key is None else [key]
        try:
            while not self._producer.send(
                self._request_topic, [value], keys, [headers], on_delivery=delivered
            ):
                if time.monotonic() >= call.deadline or not self._replies.wait_for_room():
                    break
            else:
                return
            failure = NotSent(call.model, "the local queue of records stayed full for the whole time-out")
        except KafkaProblem as problem:
            failure = _not_sent(call.model, problem)
        self._calls.fail(call, failure)
        raise failure


def _tensor(name: str, value: npt.ArrayLike | Tensor) -> Tensor:
    if not isinstance(value, Tensor):
        return Tensor.from_numpy(name, value)
    return value if value.name == name else dataclasses.replace(value, name=name)


def _not_sent(model: str, problem: KafkaProblem) -> NotSent:
    failure = NotSent(model, str(problem))
    failure.__cause__ = problem
    return failure


def _priority_text(priority: int) -> bytes:
    if priority not in range(10):
        raise ValueError(f"priority is {priority}, expected 0 to 9")
    return b"%d" % priority


def _checked_timeout(seconds: float) -> float:
    if not 0 < seconds < threading.TIMEOUT_MAX:
        raise ValueError(f"timeout_seconds is {seconds}, expected a positive number of seconds")
    return float(seconds)
