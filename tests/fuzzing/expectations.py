"""What must come of one record of a request topic, said by the rules of docs/wire.md and by nothing of the worker."""

import re
from dataclasses import dataclass
from typing import Literal

from schemas import headers as names
from schemas.errors import Code
from schemas.predict_reply import PredictReply
from schemas.predict_request import PredictRequest
from tests.fakes.request_path import REPLIES
from tests.fuzzing import hostile_claims, served
from tests.fuzzing.agreement import Refusal, Verdict
from tests.fuzzing.records import Record
from worker.kafka.records import Headers

OTHER_REPLIES = "replies-a"
PARTITIONS = {REPLIES: 2, OTHER_REPLIES: 4}
"""Topics that requests may name and that exist."""
REPLY_BYTES = 40_000
"""What the reply topic takes."""
HEADER_BYTES = 65_536
ALLOWED = "replies-.*"
ECHOED = frozenset({names.CORRELATION_ID, names.PLAIN_CORRELATION_ID, names.TRACEPARENT, names.TRACESTATE})
SURELY_MS = 60_000
"""A deadline as far away as this does not pass while a request is dealt with."""
MESSAGE_BYTES = 16_400
_OVERHEAD_BYTES = 1_000
_LEGAL = re.compile(rb"[A-Za-z0-9._-]{1,249}")
NUMBERS = {names.TIMEOUT_MS: rb"[0-9]{1,12}", names.PRIORITY: rb"[0-9]"}
"""The headers whose values are numbers, and what these look like."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where headers send the reply, and until when it is wanted.

    Attributes:
        lost: why there is no way for a reply: nothing that a request may name, or something that does not exist.
        timeout_ms: from the record's timestamp; None for none.
        wrong: whether a time-out or a priority cannot be read.
    """

    topic: str = REPLIES
    partition: int = -1
    echoed: tuple[tuple[str, bytes | None], ...] = ()
    lost: Literal["NoRouteError", "ReplyTopicUnknownError"] | None = None
    timeout_ms: int | None = None
    wrong: bool = False


NOT_NAMED = Route(lost="NoRouteError")
NOT_THERE = Route(lost="ReplyTopicUnknownError")


def route_of(headers: Headers | None) -> Route:
    """What headers ask for."""
    headers = headers or ()
    size = sum(len(name) + len(value or b"") for name, value in headers)
    place = _place_of(headers) if readable(headers) and size <= HEADER_BYTES else NOT_NAMED
    if isinstance(place, Route):
        return place
    echoed = tuple(header for header in headers if header[0] in ECHOED)
    timeouts = [value for name, value in headers if name == names.TIMEOUT_MS]
    if not all(
        value is not None and re.fullmatch(NUMBERS[name], value) for name, value in headers if name in NUMBERS
    ):
        return Route(*place, echoed, wrong=True)
    return Route(*place, echoed, timeout_ms=int(timeouts[-1] or b"") if timeouts else None)


def _place_of(headers: Headers) -> tuple[str, int] | Route:
    """The topic and the partition that headers name, the last of each; or why there is no way for a reply."""
    topic, partition = REPLIES, -1
    for name, value in headers:
        if name in {names.REPLY_TOPIC, names.PLAIN_REPLY_TOPIC}:
            if value is None or not _may_be_named(value):
                return NOT_NAMED
            topic = value.decode()
        elif name == names.REPLY_PARTITION:
            if value is None or len(value) != 4 or value[0] > 127:
                return NOT_NAMED
            partition = int.from_bytes(value, "big")
    if topic not in PARTITIONS:
        return NOT_THERE
    return NOT_NAMED if partition >= PARTITIONS[topic] else (topic, partition)


def readable(headers: Headers | None) -> bool:
    """Whether every name is text; a surrogate stands for a byte that is not, as in the in-memory Kafka."""
    return all(name.isascii() or _is_text(name) for name, _ in headers or ())


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _may_be_named(value: bytes) -> bool:
    if value == REPLIES.encode():
        return True
    return bool(_LEGAL.fullmatch(value)) and value.startswith(b"replies-")


@dataclass(frozen=True, slots=True)
class Expected:
    """What may come of a record.

    Attributes:
        dead: the errors for which it may become a dead letter.
        codes: the codes with which it may be answered.
        request: what it asks, where that could be read.
        reply: the key and the id that a reply has; None where nobody can be answered.
    """

    dead: frozenset[str]
    codes: frozenset[int]
    route: Route
    request: PredictRequest | None = None
    reply: tuple[bytes | None, str] | None = None
    model: str = ""

    @property
    def must_be_dead(self) -> bool:
        """Whether it cannot be answered."""
        return not self.codes

    def difference(self, reply: PredictReply, place: tuple[str, int], headers: Headers) -> str | None:
        """What is wrong with a reply; None when nothing is."""
        code = reply.error.code if reply.error else 0
        if code not in self.codes:
            said = f" ({reply.error.message[:200]})" if reply.error else ""
            return f"the code is {code}{said}, not one of {sorted(self.codes)}"
        if reply.model != self.model:
            return f"the reply names the model {reply.model[:200]!r}, not {self.model[:200]!r}"
        if place[0] != self.route.topic or self.route.partition not in {-1, place[1]}:
            return f"the reply is in {place}, not in {(self.route.topic, self.route.partition)}"
        if tuple(headers) != self.route.echoed:
            return f"the reply carries {headers}, not {self.route.echoed}"
        return None if code else self._wrong_outputs(reply)

    def _wrong_outputs(self, reply: PredictReply) -> str | None:
        assert self.request is not None
        version, outputs = served.answer_to(self.request)
        if reply.version != version:
            return f"version {reply.version} answered, not {version}"
        if [tensor.name for tensor in reply.outputs] != list(outputs):
            return f"the outputs are {[tensor.name for tensor in reply.outputs]}, not {list(outputs)}"
        for tensor in reply.outputs:
            found, right = tensor.to_numpy(), outputs[tensor.name]
            strings = right.dtype == object
            same = found.tolist() == right.tolist() if strings else found.tobytes() == right.tobytes()
            if (found.dtype, found.shape) != (right.dtype, right.shape) or not same:
                return f"output {tensor.name!r} is {found!r}, not {right!r}"
        return None


def expected(record: Record, verdict: Verdict, timestamp_ms: float, now_ms: float) -> Expected:
    """What must come of a record.

    Args:
        record: the record.
        verdict: what the general decoder says of its value.
        timestamp_ms: the record's timestamp, as it counts.
        now_ms: the time when it is read.
    """
    route = route_of(record.headers)
    nobody = isinstance(verdict, Refusal) and verdict.request_id is None
    if nobody or route.lost is not None:
        reason = verdict.error.__name__ if isinstance(verdict, Refusal) else route.lost
        reason = route.lost if route.lost == "NoRouteError" else reason
        return Expected(frozenset({reason or ""}), frozenset(), route)
    if isinstance(verdict, Refusal):
        codes, model, request_id = (
            {int(verdict.code)},
            verdict.model or "",
            (verdict.request_id or b"").decode(),
        )
    else:
        verdict, unfetched = hostile_claims.resolved(verdict)
        codes, model, request_id = _codes(verdict, route, timestamp_ms, now_ms), verdict.model, verdict.id
        if unfetched and not route.wrong:
            codes = (codes - {int(Code.OK), int(Code.INTERNAL)}) | unfetched
    beside = len(record.key or b"") + sum(len(name) + len(value or b"") + 8 for name, value in route.echoed)
    beside += len(model.encode()) + len(request_id.encode()) + _OVERHEAD_BYTES
    dead: set[str] = set()
    if route.topic == REPLIES:
        outputs = 0
        if isinstance(verdict, PredictRequest) and Code.OK in codes:
            outputs = _output_bytes(served.answer_to(verdict)[1])
        message = min(MESSAGE_BYTES, 400 + 4 * len(record.value or b""))
        if beside + max(outputs, message) > REPLY_BYTES:
            codes |= {int(Code.RESOURCE_EXHAUSTED)}
        if beside + message > REPLY_BYTES:
            dead.add("ReplyTooLargeError")
    request = verdict if isinstance(verdict, PredictRequest) else None
    return Expected(frozenset(dead), frozenset(codes), route, request, (record.key, request_id), model)


def _codes(request: PredictRequest, route: Route, timestamp_ms: float, now_ms: float) -> set[int]:
    if route.wrong:
        return {int(Code.INVALID_ARGUMENT)}
    codes = {int(served.code_of(request))}
    if route.timeout_ms is not None:
        left_ms = timestamp_ms + route.timeout_ms - now_ms
        if left_ms <= 0:
            return {int(Code.DEADLINE_EXCEEDED)}
        if left_ms < SURELY_MS:
            codes.add(int(Code.DEADLINE_EXCEEDED))
    return codes


def _output_bytes(outputs: served.Arrays) -> int:
    return sum(
        sum(map(len, array.tolist())) + 4 * array.size if array.dtype == object else array.nbytes
        for array in outputs.values()
    )
