"""Rows of many tasks in one array, and back. Functions of arrays only, usable without any scheduler."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from batching import errors

Array = npt.NDArray[Any]

ALIGNMENT_BYTES = 64
"""TensorFlow takes an array without copying it when its data starts at a multiple of this."""


def merge(arrays: Sequence[Array], padded_rows: int | None = None) -> Array:
    """Stack arrays along dimension 0, then repeat the last row until there are `padded_rows` (None: do not).

    One array that needs no padding is returned itself, without a copy. Otherwise the result is a new array in
    C order of the same dtype, aligned for TensorFlow; objects are carried over as they are.

    Raises:
        LayoutMismatch: no arrays, a scalar, or arrays of unlike dtype or unlike shape after dimension 0.
        RowCountMismatch: there are more rows than `padded_rows`, or none to repeat.
    """
    rows = _count_rows(arrays)
    total_rows = rows if padded_rows is None else padded_rows
    if rows > total_rows or (rows == 0 and total_rows):
        raise errors.RowCountMismatch(f"{rows} rows cannot be padded to {total_rows}")
    if len(arrays) == 1 and rows == total_rows:
        return arrays[0]
    merged = empty((total_rows, *arrays[0].shape[1:]), arrays[0].dtype)
    try:
        np.concatenate(arrays, out=merged[:rows], casting="no")
    except (TypeError, ValueError) as error:
        raise _layout_mismatch(arrays) from error
    pad(merged, rows)
    return merged


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """An array to be filled, aligned for TensorFlow; for whoever can put rows into their batch's array straight away.

    Objects are references, which nobody takes without a copy, so that an array of them is not aligned.
    """
    if dtype.hasobject:
        return np.empty(shape, dtype)
    size_bytes = math.prod(shape) * dtype.itemsize
    buffer = np.empty(size_bytes + ALIGNMENT_BYTES, np.uint8)
    start = -buffer.__array_interface__["data"][0] % ALIGNMENT_BYTES
    return buffer[start : start + size_bytes].view(dtype).reshape(shape)


def pad(merged: Array, rows: int) -> None:
    """Repeat the last of the first `rows` rows (there is one) down to the end of the array."""
    if rows < len(merged):
        merged[rows:] = merged[rows - 1 : rows]


def split_rows(array: Array, rows: Sequence[int], padded_rows: int | None = None) -> list[Array]:
    """Return each task's rows of a batch's output, in order, as views, without the rows of padding.

    The output must have as many rows as the batch had: the sum of `rows`, or `padded_rows` where it was
    padded.

    Raises:
        RowCountMismatch: it has other rows, or is a scalar, so that no row has an owner.
    """
    expected = sum(rows) if padded_rows is None else padded_rows
    if array.ndim == 0 or len(array) != expected or sum(rows) > expected:
        raise errors.RowCountMismatch(
            f"an output of shape {array.shape} cannot be given back to tasks of {sum(rows)} rows, "
            f"which were run as {expected}"
        )
    if len(rows) == 1 and rows[0] == expected:
        return [array]
    stops = itertools.accumulate(rows)
    return [array[stop - count : stop] for stop, count in zip(stops, rows, strict=True)]


def _count_rows(arrays: Sequence[Array]) -> int:
    if not arrays:
        raise errors.LayoutMismatch("there is no array to merge")
    try:
        return sum(map(len, arrays))
    except TypeError as error:  # a scalar has no length
        raise _layout_mismatch(arrays) from error


def _layout_mismatch(arrays: Sequence[Array]) -> errors.LayoutMismatch:
    layouts = sorted({f"{array.dtype} {array.shape[1:] if array.ndim else 'scalar'}" for array in arrays})
    return errors.LayoutMismatch(f"rows cannot be merged, as they are of {' and '.join(layouts)}")
