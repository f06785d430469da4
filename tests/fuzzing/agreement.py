"""What the general decoder says of each value, and whether a decoder of polls says the same."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from schemas.codec import Codec
from schemas.errors import Code, InvalidRequest, TooManyRows, WireError
from schemas.predict_request import PredictRequest
from schemas.request_columns import RequestColumns
from schemas.request_decoder import Rejected
from schemas.request_kind import RequestKind
from schemas.wire_limits import WireLimits

Values = Sequence[bytes | None]


class Decoder(Protocol):
    """What is compared with the general decoder."""

    def decode(self, values: Values, /) -> tuple[list[RequestColumns], list[Rejected]]:
        """Each value is in one block, or rejected."""
        ...


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a value is no request that could be run, and whom to answer."""

    error: type[WireError]
    code: Code
    message: str
    request_id: bytes | None
    model: str | None

    @classmethod
    def of(cls, error: WireError, request_id: bytes | None, model: str | None) -> "Refusal":
        """The facts of an error."""
        return cls(type(error), error.code, str(error), request_id, model)


Verdict = PredictRequest | Refusal


class Reference:
    """The general decoder, one value at a time, knowing nothing of the values before."""

    def __init__(self, limits: WireLimits) -> None:
        self._codec = Codec(limits=limits)
        self._limits = limits

    def read(self, value: bytes | None) -> Verdict:
        """What one value is."""
        try:
            request = self._codec.decode(value, PredictRequest)
            for tensor in request.inputs:
                if tensor.shape and tensor.shape[0] > self._limits.rows:
                    raise TooManyRows(
                        f"input '{tensor.name}' has {tensor.shape[0]} rows, at most {self._limits.rows} "
                        "(limit 'rows')"
                    ).of_request(request.id, request.model)
        except InvalidRequest as error:
            return Refusal.of(
                error, None if error.request_id is None else error.request_id.encode(), error.model
            )
        except WireError as error:
            return Refusal.of(error, None, None)
        return request


def difference(decoder: Decoder, values: Values, verdicts: Sequence[Verdict]) -> str | None:
    """The first thing in which a decoder differs from what is said of the values; None when in nothing."""
    try:
        blocks, rejected = decoder.decode(values)
    except Exception as error:  # noqa: BLE001  # whatever it raises is what was looked for
        return f"the decoder raised {error!r}"
    return next(_differences(blocks, rejected, verdicts), None)


def _differences(
    blocks: Sequence[RequestColumns], rejected: Sequence[Rejected], verdicts: Sequence[Verdict]
) -> Iterator[str]:
    places = [index for block in blocks for index in block.indices]
    if sorted([*places, *(one.index for one in rejected)]) != list(range(len(verdicts))):
        yield f"{len(verdicts)} values; taken {places}, rejected {[one.index for one in rejected]}"
    firsts = [block.indices[0] for block in blocks]
    if firsts != sorted(firsts):
        yield f"blocks begin with the values {firsts}, not in order"
    for one in rejected:
        found, expected = Refusal.of(one.error, one.request_id, one.model), verdicts[one.index]
        if found != expected:
            yield f"value {one.index}: rejected with {found}; the general decoder says {expected}"
    for block in blocks:
        requests = []
        for index in block.indices:
            verdict = verdicts[index]
            if isinstance(verdict, Refusal):
                yield f"value {index}: taken; the general decoder says {verdict}"
                return
            requests.append(verdict)
        yield from _block_differences(block, requests)


def _block_differences(block: RequestColumns, requests: Sequence[PredictRequest]) -> Iterator[str]:
    where = f"the block of the values {list(block.indices)}"
    if list(block.indices) != sorted(block.indices):
        yield f"{where} is not in order"
    ids = [request.id.encode() for request in requests]
    if block.ids != ids:
        yield f"{where} has the ids {block.ids}; they are {ids}"
    counts: Sequence[int | None] = block.row_counts or [block.rows_each] * len(requests)
    for request, counted in zip(requests, counts, strict=True):
        kind, rows = RequestKind.of(request)
        if (block.kind, hash(block.kind), counted) != (kind, hash(kind), rows):
            yield f"{where} has one of {counted} rows of {block.kind}; it is {rows} of {kind}"
    if block.row_counts is not None and min(block.row_counts) < 1:
        yield f"{where} has requests of {block.row_counts} rows; without rows they are a block of their own"
    parameters = [request.parameters for request in requests]
    if (block.parameters or [{}] * len(requests)) != parameters:
        yield f"{where} has the parameters {block.parameters}; they are {parameters}"
    for column in range(len(block.kind.inputs)):
        yield from _column_differences(block, column, requests, f"{where}, input {column}")


def _column_differences(
    block: RequestColumns, column: int, requests: Sequence[PredictRequest], where: str
) -> Iterator[str]:
    data = [request.inputs[column].data for request in requests]
    if list(block.column(column)) != data:
        yield f"{where}: the data is not what was sent"
    arrays = [request.inputs[column].to_numpy() for request in requests]
    whole = np.concatenate(arrays) if block.kind.batchable else arrays[0]
    if not _same(block.stacked(column), whole):
        yield f"{where}: stacked is {block.stacked(column)!r}, not {whole!r}"
    place = np.full(whole.shape, b"?" if whole.dtype == object else 1, whole.dtype)
    block.stack_into(column, place)
    if not _same(place, whole):
        yield f"{where}: stacked into a place is {place!r}, not {whole!r}"
    half = len(requests) // 2
    if half and not _same(block.take(half, len(requests)).stacked(column), np.concatenate(arrays[half:])):
        yield f"{where}: the part from {half} on is not what was sent"


def _same(one: Any, other: Any) -> bool:
    """Two arrays are the same, bit for bit."""
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    return bool(one.tolist() == other.tolist() if one.dtype == object else one.tobytes() == other.tobytes())
