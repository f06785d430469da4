"""Ragged dimensions: rows of unlike lengths in one array, padded at the end of each dimension that may vary.

    [[1, 2, 3]]                 [[1, 2, 3, 0],
    [[4], [5]]          ->       [4, 0, 0, 0],      with buckets (4, 8) and a pad value of 0
                                 [5, 0, 0, 0]]

TensorFlow Serving's `pad_variable_length_inputs`, which pads with the first element of each tensor.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from batching import errors, merging

Array = npt.NDArray[Any]
Shape = tuple[int, ...]
PadValue = bool | int | float | str | bytes
Key = str | int
"""Which array: its name in a mapping, its position in a tuple; 0 is one alone."""

MAX_BATCH_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Ragged:
    """Which dimensions may vary from task to task, and how far and with what they are padded.

    Attributes:
        dimensions: of each array, counted as NumPy does, without dimension 0; arrays that are not named have none.
            None: all dimensions of all arrays.
        buckets: sizes to pad to, increasing: the largest of the batch goes up to the next one, and one that is larger
            than every bucket stays as it is. Without any, the largest of the batch. For functions that compile a
            program for each shape.
        pad_values: of arrays that want their own, such as the number of a padding token. All others: zero, False, an
            empty string.
        max_batch_bytes: of the arrays of one call, padded: where one long task would make many short ones too large,
            the tasks of a batch are run in several calls. A task alone may be larger. Elements of strings count as
            they are in the array, 8 bytes where that refers to them.

    Raises:
        InvalidOptions: a number is out of range, or buckets do not increase.
    """

    dimensions: Mapping[Key, Sequence[int]] | None = None
    buckets: tuple[int, ...] = ()
    pad_values: Mapping[Key, PadValue] = field(default_factory=lambda: MappingProxyType({}))
    max_batch_bytes: int = MAX_BATCH_BYTES

    def __post_init__(self) -> None:
        if any(bucket < 1 for bucket in self.buckets):
            raise errors.InvalidOptions(f"buckets must be at least 1, not {self.buckets}")
        if any(a >= b for a, b in itertools.pairwise(self.buckets)):
            raise errors.InvalidOptions(f"buckets must increase: {self.buckets}")
        if self.max_batch_bytes < 1:
            raise errors.InvalidOptions(f"max_batch_bytes must be at least 1, not {self.max_batch_bytes}")
        for key, dimensions in (self.dimensions or {}).items():
            if any(dimension < 1 for dimension in dimensions):
                raise errors.InvalidOptions(
                    f"dimensions of {key!r} must be at least 1, not {tuple(dimensions)}: dimension 0 is that of rows"
                )

    def varies(self, key: Key, dimension: int) -> bool:
        """Whether that dimension of an array is ragged."""
        return self.dimensions is None or dimension in self.dimensions.get(key, ())

    def inner_shape(self, key: Key, shapes: Sequence[Shape]) -> Shape:
        """The shape after dimension 0 of arrays that are padded together; those of *shapes* have equal ranks."""
        return tuple(
            self._padded(max(sizes)) if self.varies(key, dimension) else sizes[0]
            for dimension, sizes in enumerate(zip(*shapes, strict=True), 1)
        )

    def check(self, key: Key, dtype: np.dtype[Any]) -> None:
        """Raise InvalidOptions where the pad value chosen for an array is none of its dtype."""
        value = self.pad_values.get(key)
        if value is None or _fits(value, dtype):
            return
        raise errors.InvalidOptions(f"{value!r} cannot pad array {key!r}, which is of {dtype}")

    def merge(self, key: Key, arrays: Sequence[Array], padded_rows: int) -> Array:
        """Stack arrays of one dtype and rank along dimension 0, padded; then as `merging.merge`.

        Arrays of the padded shape are merged without a detour, and one alone is returned itself.
        """
        inner = self.inner_shape(key, [array.shape[1:] for array in arrays])
        if all(array.shape[1:] == inner for array in arrays):
            return merging.merge(arrays, padded_rows)
        return stack(arrays, inner, padded_rows, self.pad_values.get(key))

    def groups(
        self, keys: Sequence[Key], tasks: Sequence[Sequence[Array]], rows: Sequence[int]
    ) -> list[range]:
        """Tasks, in order, that are small enough together when padded: the first and the last of each group."""
        shapes = [[array.shape[1:] for array in task] for task in tasks]
        item_bytes = [array.dtype.itemsize for array in tasks[0]]
        return self.within_bytes(keys, item_bytes, shapes, rows)

    def within_bytes(
        self,
        keys: Sequence[Key],
        item_bytes: Sequence[int],
        shapes: Sequence[Sequence[Shape]],
        rows: Sequence[int],
    ) -> list[range]:
        """As `groups`, by the shape after dimension 0 of each array of each task."""
        found: list[range] = []
        start, total, row_bytes, largest = 0, 0, 0, shapes[0]
        for index, (own, count) in enumerate(zip(shapes, rows, strict=True)):
            if not index or own != shapes[index - 1]:
                joined = [self.inner_shape(key, pair) for key, *pair in zip(keys, largest, own, strict=True)]
                row_bytes, largest = _row_bytes(joined, item_bytes), joined
            if index > start and row_bytes * (total + count) > self.max_batch_bytes:
                found.append(range(start, index))
                start, total, largest = index, 0, own
                row_bytes = self.row_bytes(keys, item_bytes, own)
            total += count
        found.append(range(start, len(rows)))
        return found

    def row_bytes(self, keys: Sequence[Key], item_bytes: Sequence[int], shapes: Sequence[Shape]) -> int:
        """Bytes of a row of a task alone, padded, by the shape after dimension 0 of each of its arrays."""
        joined = [self.inner_shape(key, [shape]) for key, shape in zip(keys, shapes, strict=True)]
        return _row_bytes(joined, item_bytes)

    def __hash__(self) -> int:
        dimensions = None if self.dimensions is None else frozenset(self.dimensions)
        return hash((dimensions, self.buckets, frozenset(self.pad_values.items()), self.max_batch_bytes))

    def _padded(self, size: int) -> int:
        return next((bucket for bucket in self.buckets if bucket >= size), size)


def _row_bytes(shapes: Sequence[Shape], item_bytes: Sequence[int]) -> int:
    return sum(math.prod(shape) * size for shape, size in zip(shapes, item_bytes, strict=True))


def stack(arrays: Sequence[Array], inner_shape: Shape, padded_rows: int, pad_value: PadValue | None) -> Array:
    """Stack arrays of one dtype along dimension 0, each padded at the end of its dimensions to that shape.

    Rows up to *padded_rows* repeat the last one. Without a pad value: zero, False, an empty string.
    """
    merged = merging.empty((padded_rows, *inner_shape), arrays[0].dtype)
    merged[...] = _default(arrays) if pad_value is None else pad_value
    start = 0
    for array in arrays:
        stop = start + len(array)
        merged[(slice(start, stop), *map(slice, array.shape[1:]))] = array
        start = stop
    merging.pad(merged, start)
    return merged


def joined(arrays: Sequence[Array]) -> Array:
    """Rows that came back from several calls: padded to the largest where these were padded to unlike lengths."""
    shapes = [array.shape[1:] for array in arrays]
    if all(shape == shapes[0] for shape in shapes):
        return np.concatenate(arrays, dtype=arrays[0].dtype)  # else in native byte order
    inner = tuple(map(max, zip(*shapes, strict=True)))
    return stack(arrays, inner, sum(map(len, arrays)), None)


def _default(arrays: Sequence[Array]) -> Any:
    """What pads arrays of a dtype. Objects are padded with an empty one of what they are: bytes or strings."""
    if arrays[0].dtype.kind != "O":
        return np.zeros((), arrays[0].dtype)
    first = next((array.flat[0] for array in arrays if array.size), b"")
    if isinstance(first, (str, bytes)):
        return type(first)()
    raise errors.LayoutMismatch(
        f"nothing is known to pad arrays of {type(first).__name__} with: choose a pad value"
    )


def _fits(value: PadValue, dtype: np.dtype[Any]) -> bool:
    """Whether an array of that dtype holds the value as it is, or rounded as any number of its kind is."""
    if dtype.kind == "O":
        return True
    if dtype.kind in "SUT":
        kind = bytes if dtype.kind == "S" else str
        return isinstance(value, kind) and np.array(value, dtype).item() == value
    if isinstance(value, (str, bytes)) or dtype.kind == "b":
        return isinstance(value, bool) and dtype.kind == "b"
    try:
        held = np.array(value).astype(dtype) if dtype.kind not in "iu" else np.array(value, dtype)
    except (OverflowError, TypeError, ValueError):
        return False
    return dtype.kind not in "iu" or bool(held == value)
