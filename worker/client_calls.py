"""The requests of one client that have no reply yet: by correlation id, with their deadlines.

No Kafka and no clock here: `worker.client` brings the replies and the time.
"""

import itertools
import math
import threading
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass

import numpy as np

from schemas.predict_reply import PredictReply
from worker.client_errors import ClientClosed, NoReply, PredictError

_CORRELATION_BYTES = 8


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model answered: its outputs by name, and the version that computed them."""

    model: str
    version: int | None
    outputs: dict[str, np.ndarray]

    def __getitem__(self, output: str) -> np.ndarray:
        """One output by its name."""
        return self.outputs[output]


class Call:
    """One request under way and the future of its prediction."""

    __slots__ = ("correlation_id", "deadline", "future", "model", "timeout_seconds")

    def __init__(self, correlation_id: bytes, model: str, deadline: float, timeout_seconds: float) -> None:
        self.correlation_id = correlation_id
        self.model = model
        self.deadline = deadline
        self.timeout_seconds = timeout_seconds
        self.future: Future[Prediction] = Future()

    def fail(self, error: PredictError) -> None:
        """Give the future an error, unless it was cancelled or settled meanwhile."""
        try:
            self.future.set_exception(error)
        except InvalidStateError:
            return

    def succeed(self, reply: PredictReply) -> None:
        """Give the future what a reply says, be it outputs or an error."""
        if reply.error is not None:
            self.fail(
                PredictError(reply.error.code, reply.error.message, model=reply.model, version=reply.version)
            )
            return
        outputs = {tensor.name: tensor.to_numpy() for tensor in reply.outputs}
        try:
            self.future.set_result(Prediction(reply.model, reply.version, outputs))
        except InvalidStateError:
            return


class CallTable:
    """Every call under way. Any thread may add; replies and deadlines are brought by the client's own thread.

    Correlation ids begin with eight random bytes of this client, so that several clients on one reply topic
    never meet.

    Futures are settled outside the lock, since their callbacks are the caller's code.
    """

    def __init__(self, client_id: bytes, request_topic: str) -> None:
        self._client_id = client_id
        self._request_topic = request_topic
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._calls: dict[bytes, Call] = {}
        self._earliest_deadline = math.inf
        self._closed: str | None = None

    def __len__(self) -> int:
        return len(self._calls)

    def open(self, model: str, now: float, timeout_seconds: float) -> Call:
        """A new call with a correlation id of its own.

        Raises:
            ClientClosed: no call can be answered any more.
        """
        correlation_id = self._client_id + next(self._numbers).to_bytes(_CORRELATION_BYTES)
        call = Call(correlation_id, model, now + timeout_seconds, timeout_seconds)
        with self._lock:
            if self._closed is not None:
                raise ClientClosed(model, self._closed)
            self._calls[correlation_id] = call
            self._earliest_deadline = min(self._earliest_deadline, call.deadline)
        return call

    def take(self, correlation_id: bytes) -> Call | None:
        """The call that a reply answers, once: None for others' replies, repeated ones and those too late."""
        return self._calls.pop(correlation_id, None)

    def put_back(self, call: Call) -> None:
        """A call whose reply has come, and whose outputs have not; its deadline stays."""
        with self._lock:
            if self._closed is None:
                self._calls[call.correlation_id] = call
                self._earliest_deadline = min(self._earliest_deadline, call.deadline)
                return
        call.fail(ClientClosed(call.model, self._closed))

    def expire(self, now: float) -> int:
        """Fail the calls whose deadline has passed, and say how many.

        Looks through all calls only when the earliest deadline that was ever set among them has come, which
        with equal time-outs is about once a time-out, whatever the rate.
        """
        if now < self._earliest_deadline:
            return 0
        with self._lock:
            late = [call for call in self._calls.values() if call.deadline <= now]
            for call in late:
                del self._calls[call.correlation_id]
            self._earliest_deadline = min((call.deadline for call in self._calls.values()), default=math.inf)
        for call in late:
            call.fail(NoReply(call.model, call.timeout_seconds, self._request_topic))
        return len(late)

    def close(self, reason: str) -> int:
        """Fail all that is under way, say how many, and refuse what comes after. The first reason stays."""
        with self._lock:
            if self._closed is None:
                self._closed = reason
            left, self._calls = self._calls, {}
        for call in left.values():
            call.fail(ClientClosed(call.model, reason))
        return len(left)

    def fail(self, call: Call, error: PredictError) -> None:
        """Take one call out and fail it, if it is still there."""
        if self._calls.pop(call.correlation_id, None) is not None:
            call.fail(error)
