"""The requests that lie in a version's own folder: what it is warmed up by, and what it must answer as expected.

Whichever loader a version has, they stand in `assets.extra`, where TensorFlow Serving's lie, too.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, TypeVar

from lifecycle import errors, prediction_log
from lifecycle.recorded_requests import MOST_REQUESTS, RecordedRequest
from lifecycle.signature import Signature
from lifecycle.validation import Expected, GoldenRequest
from schemas import codec_files
from schemas.claim import claims_of
from schemas.codec import Record
from schemas.errors import WireError
from schemas.predict_reply import PredictReply
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from worker import request_lines
from worker.request_lines import ABSOLUTE_KEY, RELATIVE_KEY, InvalidLine

WARMUP_RECORDS = "assets.extra/headrace_warmup_requests.avro"
WARMUP_LINES = "assets.extra/headrace_warmup_requests.jsonl"
GOLDEN_REQUESTS = "assets.extra/headrace_golden_requests.avro"
GOLDEN_REPLIES = "assets.extra/headrace_golden_replies.avro"
GOLDEN_LINES = "assets.extra/headrace_golden_requests.jsonl"

T = TypeVar("T")
R = TypeVar("R", bound=Record)


def warmup_requests(directory: Path) -> Iterator[RecordedRequest]:
    """The requests of TensorFlow Serving's file, then of our own, each read when it is asked for.

    Raises:
        InvalidModel: a file is damaged, or holds what is no request; or it holds more than `MOST_REQUESTS`.
        LoadFailed: a file cannot be read; it may be on its way.
    """
    yield from prediction_log.read(directory)
    records = enumerate(_records(directory, WARMUP_RECORDS, PredictRequest), start=1)
    yield from _few((_recorded(request, _place(n, WARMUP_RECORDS)) for n, request in records), WARMUP_RECORDS)
    yield from _few(_lines(directory, WARMUP_LINES, request_lines.recorded), WARMUP_LINES)


def golden_requests(directory: Path) -> Iterator[GoldenRequest]:
    """The golden requests of both our files, each read when it is asked for. Raises as `warmup_requests` does."""
    requests = _records(directory, GOLDEN_REQUESTS, PredictRequest)
    replies = _records(directory, GOLDEN_REPLIES, PredictReply)
    pairs = enumerate(zip_longest(requests, replies), start=1)
    yield from _few((_golden(request, reply, n) for n, (request, reply) in pairs), GOLDEN_REQUESTS)
    yield from _few(_lines(directory, GOLDEN_LINES, request_lines.golden), GOLDEN_LINES)


def _records(directory: Path, name: str, record_type: type[R]) -> Iterator[R]:
    try:
        with (directory / name).open("rb") as file:
            yield from codec_files.read_records(file, record_type)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise _unreadable(name, error) from error
    except WireError as error:
        raise errors.InvalidModel(f"{name}: {error}") from error


def _lines(directory: Path, name: str, read: Callable[[Iterable[str], str], Iterator[T]]) -> Iterator[T]:
    try:
        with (directory / name).open(encoding="utf-8") as file:
            yield from read(file, name)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise _unreadable(name, error) from error
    except UnicodeDecodeError as error:
        raise errors.InvalidModel(f"{name} is not UTF-8: {error}") from error
    except InvalidLine as error:
        raise errors.InvalidModel(str(error)) from error


def _few(found: Iterable[T], name: str) -> Iterator[T]:
    rest = iter(found)
    yield from islice(rest, MOST_REQUESTS)
    if next(rest, None) is not None:
        raise errors.InvalidModel(
            f"{name} has more than {MOST_REQUESTS:,} requests; leave out those that are alike"
        )


def _recorded(request: PredictRequest, place: str) -> RecordedRequest:
    """A request of the wire; which model and version it asks does not matter."""
    if claims_of(request.parameters):
        raise errors.InvalidModel(
            f"{place} has data that lies elsewhere, which cannot be replayed; put it in"
        )
    inputs = _arrays(request.inputs)
    return RecordedRequest(place, request.signature, lambda _signature: inputs, request.outputs)


def _golden(request: PredictRequest | None, reply: PredictReply | None, number: int) -> GoldenRequest:
    if request is None or reply is None:
        more, fewer = (
            (GOLDEN_REPLIES, GOLDEN_REQUESTS) if request is None else (GOLDEN_REQUESTS, GOLDEN_REPLIES)
        )
        raise errors.InvalidModel(
            f"{more} has a record {number:,} and {fewer} has none; expected a reply for each request, in their order"
        )
    place = _place(number, GOLDEN_REQUESTS)
    if reply.error is not None or not reply.outputs or claims_of(reply.parameters):
        raise errors.InvalidModel(
            f"{_place(number, GOLDEN_REPLIES)} cannot be expected of a version: it is an error, or has no outputs, or "
            "data that lies elsewhere"
        )
    tolerances = {
        name: _tolerance(reply.parameters, key, number)
        for name, key in (("absolute", ABSOLUTE_KEY), ("relative", RELATIVE_KEY))
        if key in reply.parameters
    }
    arrays = _arrays(reply.outputs)

    def expected(_signature: Signature) -> Mapping[str, Expected]:
        return {name: Expected(array, **tolerances) for name, array in arrays.items()}

    return GoldenRequest(_recorded(request, place), expected)


def _tolerance(parameters: Mapping[str, bytes], key: str, number: int) -> float:
    try:
        found = float(parameters[key])
    except ValueError:
        found = -1.0
    if not 0 <= found < float("inf"):
        raise errors.InvalidModel(
            f"{_place(number, GOLDEN_REPLIES)}: the parameter {key!r} is {parameters[key]!r:.60}; expected a number, 0 "
            "or more, as text"
        )
    return found


def _arrays(tensors: Iterable[Tensor]) -> dict[str, Any]:
    return {tensor.name: tensor.to_numpy() for tensor in tensors}


def _place(number: int, name: str) -> str:
    return f"record {number:,} of {name}"


def _unreadable(name: str, error: OSError) -> errors.LoadFailed:
    return errors.LoadFailed(f"{name} cannot be read: {error.strerror or type(error).__name__}")
