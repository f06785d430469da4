"""Replies by the column beside the general encoder's, on random outputs."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from schemas import ragged_replies, reply_columns
from schemas.codec import encode
from schemas.dtype import TWINS, DType
from schemas.errors import Code
from schemas.predict_reply import PredictReply
from schemas.predict_request import PredictRequest
from schemas.request_decoder import RequestDecoder
from schemas.status import Status
from schemas.tensor import Tensor
from tests.fuzzing.families import INNER_SHAPES, TEXTS, VERSIONS, some_id

Array = npt.NDArray[np.generic]
REQUEST = PredictRequest("m", inputs=(Tensor.from_numpy("x", np.zeros((1, 1), "<f4")),))

EncodeBlock = Callable[
    [str, int | None, Mapping[str, Array], Sequence[int] | None, Sequence[bytes]], list[bytes]
]
"""Model, version, outputs, the rows of each request (None for one that is not batchable) and ids, to replies."""


def by_column(
    model: str,
    version: int | None,
    outputs: Mapping[str, Array],
    rows: Sequence[int] | None,
    ids: Sequence[bytes],
) -> list[bytes]:
    """The replies as a worker encodes them."""
    if rows is not None and len(set(rows)) > 1:
        return ragged_replies.encode_replies(model, version, outputs, rows, ids)
    return reply_columns.encode_replies(model, version, outputs, None if rows is None else rows[0], ids)


class ReplyFuzzer:
    """Makes blocks of replies, with ids as they come out of a decoder that knows their requests' layout."""

    def __init__(self, rng: random.Random, encode_block: EncodeBlock | None = None) -> None:
        """*encode_block* takes the place of the encoders by the column."""
        self._rng = rng
        self._encode_block = encode_block or by_column
        self._decoder = RequestDecoder()

    def difference(self) -> str | None:
        """In what the replies to a random block differ from the general encoder's; None when in nothing."""
        rng = self._rng
        model, version = rng.choice(TEXTS), rng.choice(VERSIONS)
        ids = self._ids()
        if rng.random() < 0.2:
            return _error_difference(rng, model, version, ids)
        rows = self._rows(len(ids))
        arrays = {
            f"{rng.choice(TEXTS)}{number}": _output(rng, None if rows is None else sum(rows))
            for number in range(rng.choice((0, 1, 1, 2, 3)))
        }
        found = self._encode_block(model, version, arrays, rows, ids)
        stops = [0, *accumulate(rows or ())]
        for place, request_id in enumerate(ids):
            part = ... if rows is None else slice(stops[place], stops[place + 1])
            tensors = tuple(Tensor.from_numpy(name, array[part]) for name, array in arrays.items())
            expected = encode(PredictReply(model, version, tensors, None, request_id.decode()))
            if found[place] != expected:
                return f"reply {place} of {len(ids)} is {found[place].hex()}, not {expected.hex()}"
        return None if len(found) == len(ids) else f"{len(found)} replies to {len(ids)} requests"

    def _ids(self) -> Sequence[bytes]:
        """The ids of some requests of one layout, in the form in which a decoder gives them."""
        rng = self._rng
        count = rng.choice((1, 1, 2, 3, 20, 40))
        ids = [some_id(rng) for _ in range(count)]
        if rng.random() < 0.5:
            width = rng.choice((0, 1, 12, 63, 64, 128))
            ids = [rng.randbytes(width).hex()[:width] for _ in range(count)]
        blocks, _ = self._decoder.decode([encode(replace(REQUEST, id=i)) for i in ids])
        return max((block.ids for block in blocks), key=len)

    def _rows(self, requests: int) -> list[int] | None:
        """The rows of each request: equal, different and then not none, or of no account."""
        rng = self._rng
        if requests == 1 and rng.random() < 0.3:
            return None
        if rng.random() < 0.4:
            return [rng.choice((1, 2, 3, 64)) for _ in range(requests)]
        return [rng.choice((0, 1, 1, 2, 5))] * requests


def _error_difference(
    rng: random.Random, model: str, version: int | None, ids: Sequence[bytes]
) -> str | None:
    code, message = rng.choice(list(Code)), rng.choice(TEXTS) * rng.choice((0, 1, 3, 100))
    found = reply_columns.encode_errors(model, version, code, message, ids)
    expected = [encode(PredictReply(model, version, (), Status(code, message), i.decode())) for i in ids]
    return None if found == expected else f"error replies are {found}; the general encoder writes {expected}"


def _output(rng: random.Random, rows: int | None) -> Array:
    """An output of so many rows, or of none: of any dtype, byte order and order of elements."""
    dtype, inner = rng.choice(list(TWINS)), rng.choice(INNER_SHAPES)
    shape = inner if rows is None else (rows, *inner)
    size = math.prod(shape)
    if dtype is DType.DT_STRING:
        strings = np.empty(size, object)
        strings[:] = [rng.choice((rng.randbytes(3), "é", b"")) for _ in range(size)]
        return strings.reshape(shape)
    array = np.frombuffer(rng.randbytes(size * dtype.itemsize), np.uint8)
    plain: Array = (array % 2).view(np.bool_) if dtype is DType.DT_BOOL else array.view(dtype.numpy)
    plain = plain.reshape(shape)
    match rng.randrange(4):
        case 0:
            return np.asfortranarray(plain)
        case 1 if dtype.numpy.kind in "iufc" and dtype.itemsize > 1:
            return plain.astype(dtype.numpy.newbyteorder(">"))
        case 2 if shape:
            return np.repeat(plain, 2, axis=-1)[..., ::2]
        case _:
            return plain
