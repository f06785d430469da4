"""Columns to replies: what the general encoder gives for each request, made for all of them at once.

The replies of one block differ in the data of their outputs and in their ids. Everything up to the ids is
one matrix of bytes, a row for each reply, whose constant columns are written once; the rows become `bytes`
in one call.
"""

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from operator import add
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas import framing
from schemas.catalog import default_catalog
from schemas.codec import encode
from schemas.dtype import DType
from schemas.errors import Code
from schemas.predict_reply import PredictReply
from schemas.request_ids import EqualIds
from schemas.tensor import Tensor
from schemas.varint import write_bytes, write_long
from schemas.wire_limits import DEFAULT_LIMITS

END, FIRST_BRANCH, SECOND_BRANCH = b"\x00", b"\x00", b"\x02"
"""The end of an array or map; the branches of a union (the first is null, or a tensor's plain bytes)."""
NO_OUTPUTS, NO_ERROR, NO_PARAMETERS = END, FIRST_BRANCH, END
OUTPUTS_END = END + NO_ERROR
"""What stands between the last output and the id of a reply that is none of an error."""
MESSAGE_BYTES = 16 * 1024
"""Where the message of an error reply is cut: it may quote what a model said, and must fit its topic."""
Column = tuple[bytes, npt.NDArray[np.uint8]]
"""What stands before the data of one output, the same in each reply; and the data, a row for each reply."""
Output = tuple[str, np.dtype[Any], tuple[int, ...]]
"""An output's name, dtype and shape of one row."""
MOST_TEMPLATES = 4096
LARGE_BYTES = 4096
"""Replies of that size are joined one by one, with one copy of their data; smaller ones gain more from fewer calls.

Measured, µs a reply as a matrix and one by one: 0.41 and 0.61 at 1,024 bytes, 0.62 and 0.46 at 4,096, 36 and 16 at
150,528.
"""
_NOTHING = np.empty((1, 0), np.uint8)


@functools.cache
def _header() -> bytes:
    return framing.header(default_catalog().current(PredictReply.record_name).fingerprint)


@functools.cache
def _dtype_index(dtype: DType) -> bytes:
    """The symbol of a dtype as the schema counts them."""
    fields = default_catalog().current(Tensor.record_name).parsed["fields"]
    symbols: list[str] = next(f["type"]["symbols"] for f in fields if f["name"] == "dtype")
    return write_long(symbols.index(dtype.name))


def encode_replies(
    model: str,
    version: int | None,
    outputs: Mapping[str, npt.NDArray[Any]],
    rows_each: int | None,
    ids: Sequence[bytes],
) -> list[bytes]:
    """The values of the replies to the requests of one block, in the order of their ids.

    Called by whoever has run a batch, with the block's share of its outputs.

    Args:
        model: the model that was asked for.
        version: the version that answered.
        outputs: each output of all requests, of shape `(rows_each * len(ids), ...)`.
        rows_each: rows of each request; None for the single request of a kind that is not batchable, whose
            outputs are sent in the shape that they have.
        ids: the requests' ids, UTF-8.

    Raises:
        ValueError: an output's dimension 0 is not `rows_each * len(ids)`, or there are several ids without
            `rows_each`.
        UnsupportedDType: an output has a dtype that the wire has no name for.
    """
    if not ids:
        return []
    _check_rows(outputs, rows_each, len(ids))
    facts = tuple((name, array.dtype, array.shape[1:]) for name, array in outputs.items())
    template = None if rows_each is None else _template(model, version, rows_each, facts)
    if template is None:
        return [_encode_one(model, version, outputs, rows_each, place) for place in enumerate(ids)]
    data = [
        _as_bytes(array, dtype).reshape(len(ids), width)
        for array, (dtype, width) in zip(outputs.values(), template.data, strict=True)
    ]
    if template.data_bytes >= LARGE_BYTES:
        return _joined(list(zip(template.heads, data, strict=True)), tails(ids))
    if isinstance(ids, EqualIds):
        return _rows(template, data, ids.ends)
    return list(map(add, _rows(template, data, _NOTHING), tails(ids)))


def _as_bytes(array: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[np.uint8]:
    if array.dtype != dtype or not array.flags.c_contiguous:
        array = np.asarray(array, dtype=dtype, order="C")
    return array.view(np.uint8) if array.size else np.empty(0, np.uint8)


def encode_error(model: str, version: int | None, code: Code, message: str, request_id: bytes) -> bytes:
    """The value of one error reply; a message past `MESSAGE_BYTES` is cut."""
    return encode_errors(model, version, code, message, [request_id])[0]


def encode_errors(
    model: str, version: int | None, code: Code, message: str, ids: Sequence[bytes]
) -> list[bytes]:
    """The values of the error replies to requests that failed together, in the order of their ids."""
    text = message.encode(errors="replace")
    if len(text) > MESSAGE_BYTES:
        text = text[:MESSAGE_BYTES].decode(errors="ignore").encode()
    head = _header() + write_bytes(model.encode()) + _optional_long(version) + NO_OUTPUTS
    head += SECOND_BRANCH + write_long(code) + write_bytes(text)
    return [head + tail for tail in tails(ids)]


def _check_rows(outputs: Mapping[str, npt.NDArray[Any]], rows_each: int | None, requests: int) -> None:
    if rows_each is None:
        if requests != 1:
            raise ValueError(f"{requests} requests that are not batchable; one at a time was expected")
        return
    for name, array in outputs.items():
        if not array.ndim or array.shape[0] != rows_each * requests:
            raise ValueError(
                f"output '{name}' has the shape {array.shape}; {requests} requests of {rows_each} rows were "
                f"expected in dimension 0"
            )


def _optional_long(number: int | None) -> bytes:
    return FIRST_BRANCH if number is None else SECOND_BRANCH + write_long(number)


class _Template:
    """What replies to requests with as many rows have in common.

    Attributes:
        heads: what stands before each output's data.
        data: dtype and bytes of each output.
        data_bytes: bytes of all outputs.
        row: the bytes of a reply up to its id, with room for the data.
    """

    __slots__ = ("data", "data_bytes", "heads", "row")

    def __init__(self, heads: Sequence[bytes], data: Sequence[tuple[np.dtype[Any], int]]) -> None:
        self.heads = heads
        self.data = data
        self.data_bytes = sum(width for _, width in data)
        pieces = [head + bytes(width) for head, (_, width) in zip(heads, data, strict=True)]
        self.row = b"".join(pieces) + OUTPUTS_END if self.data_bytes < LARGE_BYTES else b""


@functools.lru_cache(maxsize=MOST_TEMPLATES)
def _template(
    model: str, version: int | None, rows_each: int, outputs: tuple[Output, ...]
) -> _Template | None:
    """The template of replies with these outputs; None for those that are not encoded as columns."""
    dtypes = [DType.from_numpy(dtype) for _, dtype, _ in outputs]
    if not dtypes or DType.DT_STRING in dtypes or len(outputs) > DEFAULT_LIMITS.tensors:
        return None
    head = reply_head(model, version, len(outputs))
    heads, data = [], []
    for (name, _, inner_shape), dtype in zip(outputs, dtypes, strict=True):
        data_bytes = rows_each * math.prod(inner_shape) * dtype.itemsize
        heads.append(head + tensor_head(name, dtype, (rows_each, *inner_shape), data_bytes))
        data.append((dtype.numpy, data_bytes))
        head = b""
    return _Template(heads, data)


def reply_head(model: str, version: int | None, outputs: int) -> bytes:
    """A reply up to the first of its outputs."""
    return _header() + write_bytes(model.encode()) + _optional_long(version) + write_long(outputs)


def tensor_head(name: str, dtype: DType, shape: Sequence[int], data_bytes: int) -> bytes:
    """A tensor up to its data."""
    dimensions = b"".join(map(write_long, shape))
    counted = write_long(len(shape)) + dimensions + END
    return write_bytes(name.encode()) + _dtype_index(dtype) + counted + FIRST_BRANCH + write_long(data_bytes)


class AlikeReplies(list[bytes]):
    """Replies of one length: whoever asks for the largest need look at one."""


def _rows(
    template: _Template, data: Sequence[npt.NDArray[np.uint8]], ends: npt.NDArray[np.uint8]
) -> AlikeReplies:
    """The template's bytes, the data in its places, and what ends each row, side by side."""
    stop, count = len(template.row), len(data[0])
    width = stop + ends.shape[1]
    # Repeated bytes are copied in ever larger pieces; numpy would copy the template once a row.
    rows = bytearray(template.row + bytes(ends.shape[1])) * count
    matrix = np.frombuffer(rows, np.uint8).reshape(count, width)
    matrix[:, stop:] = ends
    at = 0
    for head, of_output in zip(template.heads, data, strict=True):
        start = at + len(head)
        at = start + of_output.shape[1]
        matrix[:, start:at] = of_output
    return AlikeReplies(matrix.view(f"V{width}").reshape(count).tolist())


def _joined(columns: Sequence[Column], ends: Sequence[bytes]) -> list[bytes]:
    """Constants, data and ends one behind the other, for each reply."""
    count = len(ends)
    pieces: list[Iterable[bytes | memoryview]] = []
    for head, data in columns:
        flat, width = data.reshape(-1).data, data.shape[1]
        pieces += [repeat(head, count), [flat[at * width : (at + 1) * width] for at in range(count)]]
    return list(map(b"".join, zip(*pieces, repeat(OUTPUTS_END, count), ends, strict=True)))


def tails(ids: Sequence[bytes]) -> list[bytes]:
    """The id and the empty parameters of each reply."""
    if isinstance(ids, EqualIds):
        ends: list[bytes] = ids.ends.view(f"V{ids.ends.shape[1]}").reshape(len(ids)).tolist()
        return ends
    sizes = set(map(len, ids))
    if len(sizes) == 1:
        length = write_long(sizes.pop())
        return [length + i + NO_PARAMETERS for i in ids]
    lengths = {size: write_long(size) for size in sizes}
    return [lengths[len(i)] + i + NO_PARAMETERS for i in ids]


def _encode_one(
    model: str,
    version: int | None,
    outputs: Mapping[str, npt.NDArray[Any]],
    rows_each: int | None,
    place: tuple[int, bytes],
) -> bytes:
    """One reply through the general encoder."""
    index, request_id = place
    if rows_each is not None:
        span = slice(index * rows_each, (index + 1) * rows_each)
        outputs = {name: array[span] for name, array in outputs.items()}
    tensors = tuple(Tensor.from_numpy(name, array) for name, array in outputs.items())
    return encode(PredictReply(model, version, tensors, None, request_id.decode()))
