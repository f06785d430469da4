"""Columns to replies where the requests' rows differ: what the general encoder gives for each, made for all of them.

The replies differ in their outputs' first dimension, so that there is no matrix: each is joined from pieces, of which
those in front of the data are the same for requests with as many rows.
"""

import functools
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy.typing as npt

from schemas import reply_columns
from schemas.dtype import DType
from schemas.wire_limits import DEFAULT_LIMITS

MOST_COUNTS = 1024
"""Numbers of rows of which the bytes in front of an output's data are kept, for each of the outputs last seen."""


class _Heads(dict[int, bytes]):
    """What stands in front of one output's data, by the number of rows."""

    def __init__(self, name: str, dtype: DType, inner_shape: tuple[int, ...], row_bytes: int) -> None:
        super().__init__()
        self._name = name
        self._dtype = dtype
        self._inner_shape = inner_shape
        self._row_bytes = row_bytes

    def __missing__(self, rows: int) -> bytes:
        head = reply_columns.tensor_head(
            self._name, self._dtype, (rows, *self._inner_shape), rows * self._row_bytes
        )
        if len(self) < MOST_COUNTS:
            self[rows] = head
        return head


_heads = functools.lru_cache(maxsize=64)(_Heads)


def encode_replies(
    model: str,
    version: int | None,
    outputs: Mapping[str, npt.NDArray[Any]],
    rows: Sequence[int],
    ids: Sequence[bytes],
) -> list[bytes]:
    """The values of the replies to requests of one block, in the order of their ids; called as `reply_columns` is.

    Args:
        model: the model that was asked for.
        version: the version that answered.
        outputs: each output of all requests, of shape `(sum(rows), ...)`.
        rows: the rows of each request.
        ids: the requests' ids, UTF-8.

    Raises:
        ValueError: an output's dimension 0 is not the sum of the rows.
        UnsupportedDType: an output has a dtype that the wire has no name for.
    """
    stops = list(accumulate(rows))
    for name, array in outputs.items():
        if not array.ndim or len(array) != stops[-1]:
            raise ValueError(
                f"output '{name}' has the shape {array.shape}; {stops[-1]} rows were expected in dimension 0"
            )
    dtypes = [DType.from_numpy(array.dtype) for array in outputs.values()]
    if not dtypes or DType.DT_STRING in dtypes or len(outputs) > DEFAULT_LIMITS.tensors:
        return [
            reply_columns.encode_replies(
                model,
                version,
                {name: array[stop - count : stop] for name, array in outputs.items()},
                count,
                [request_id],
            )[0]
            for stop, count, request_id in zip(stops, rows, ids, strict=True)
        ]
    head = reply_columns.reply_head(model, version, len(outputs))
    pieces: list[Sequence[bytes]] = []
    for (name, array), dtype in zip(outputs.items(), dtypes, strict=True):
        data = array.astype(dtype.numpy, copy=False).tobytes()
        row_bytes = len(data) // stops[-1]
        heads = _heads(name, dtype, array.shape[1:], row_bytes)
        pieces.append([head + heads[count] for count in rows] if head else list(map(heads.__getitem__, rows)))
        pieces.append(
            [
                data[(stop - count) * row_bytes : stop * row_bytes]
                for stop, count in zip(stops, rows, strict=True)
            ]
        )
        head = b""
    ending = reply_columns.OUTPUTS_END
    pieces.append([ending + tail for tail in reply_columns.tails(ids)])
    return list(map(b"".join, zip(*pieces, strict=True)))
