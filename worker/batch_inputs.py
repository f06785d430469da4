"""The requests of a batch to one array for each input, with as few copies as there can be."""

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from batching import merging
from schemas.dtype import DType
from schemas.request_columns import LARGE_BYTES
from worker.request_block import Part


def stack(parts: Sequence[Part], index: int, padded_rows: int) -> npt.NDArray[Any]:
    """One input of all requests of a batch, padded to so many rows; called by the batch threads.

    Large data is copied once, from its record to its place in an array that TensorFlow takes as it is. Small data is
    joined part by part, and then merged: there calls cost more than copies.

    Args:
        parts: the requests, all of one kind that is batchable.
        index: which input, as `RequestKind.inputs` counts them.
        padded_rows: rows of the result, at least those of the requests.
    """
    layout = parts[0].columns.kind.inputs[index]
    rows = sum([part.tensor_rows for part in parts])
    if layout.dtype is DType.DT_STRING or layout.row_bytes * rows < LARGE_BYTES * sum(map(len, parts)):
        if len(parts) == 1 and rows == padded_rows:
            return parts[0].columns.stacked(index)
        return merging.merge([part.columns.stacked(index) for part in parts], padded_rows)
    stacked = merging.empty((padded_rows, *layout.inner_shape), layout.dtype.numpy)
    start = 0
    for part in parts:
        stop = start + part.tensor_rows
        part.columns.stack_into(index, stacked[start:stop])
        start = stop
    merging.pad(stacked, rows)
    return stacked
