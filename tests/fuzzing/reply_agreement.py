"""Replies by the column beside the general encoder's, on random outputs."""

import math
import random

import numpy as np
import numpy.typing as npt

from schemas.codec import encode
from schemas.dtype import TWINS, DType
from schemas.errors import Code
from schemas.predict_reply import PredictReply
from schemas.reply_columns import encode_errors, encode_replies
from schemas.status import Status
from schemas.tensor import Tensor
from tests.fuzzing.families import INNER_SHAPES, TEXTS, VERSIONS, some_id

Array = npt.NDArray[np.generic]


def reply_difference(rng: random.Random) -> str | None:
    """In what the replies to a random block differ from the general encoder's; None when in nothing."""
    model, version = rng.choice(TEXTS), rng.choice(VERSIONS)
    requests = rng.choice((1, 1, 2, 3, 40))
    ids = [some_id(rng) for _ in range(requests)]
    if rng.random() < 0.3:
        ids = [f"{n:012}" for n in range(requests)]
    if rng.random() < 0.2:
        return _error_difference(rng, model, version, ids)
    rows = rng.choice((0, 1, 1, 2, 5)) if requests > 1 or rng.random() < 0.7 else None
    arrays = {
        f"{rng.choice(TEXTS)}{number}": _output(rng, rows, requests)
        for number in range(rng.choice((0, 1, 1, 2, 3)))
    }
    found = encode_replies(model, version, arrays, rows, [i.encode() for i in ids])
    for place, request_id in enumerate(ids):
        part = slice(None) if rows is None else slice(place * rows, (place + 1) * rows)
        tensors = tuple(
            Tensor.from_numpy(name, array if rows is None else array[part]) for name, array in arrays.items()
        )
        expected = encode(PredictReply(model, version, tensors, None, request_id))
        if found[place] != expected:
            return f"reply {place} of {requests} is {found[place].hex()}; the general encoder writes {expected.hex()}"
    return None if len(found) == requests else f"{len(found)} replies to {requests} requests"


def _error_difference(rng: random.Random, model: str, version: int | None, ids: list[str]) -> str | None:
    code, message = rng.choice(list(Code)), rng.choice(TEXTS) * rng.choice((0, 1, 3, 100))
    found = encode_errors(model, version, code, message, [i.encode() for i in ids])
    expected = [encode(PredictReply(model, version, (), Status(code, message), i)) for i in ids]
    return None if found == expected else f"error replies are {found}; the general encoder writes {expected}"


def _output(rng: random.Random, rows: int | None, requests: int) -> Array:
    """An output of these rows for so many requests: of any dtype, byte order and order of elements."""
    dtype, inner = rng.choice(list(TWINS)), rng.choice(INNER_SHAPES)
    shape = inner if rows is None else (rows * requests, *inner)
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
