"""TensorFlow's TensorProto to NumPy, without TensorFlow.

Source: tensorflow/core/framework/tensor.proto and tensor_shape.proto, for the numbers of the fields.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lifecycle import dtype_names, errors
from lifecycle.saved_model_protobuf import Malformed, fields, messages, varints

Array = npt.NDArray[Any]

LARGEST_BYTES = 2**31 - 1
"""Of one tensor; protobuf carries no more, but a single value may stand for any number of elements."""

_DTYPE, _SHAPE, _CONTENT, _STRINGS = 1, 2, 4, 8
_DIMENSION, _SIZE, _UNKNOWN_RANK = 2, 1, 3

_FIXED: Mapping[str, int] = {"DT_FLOAT": 5, "DT_DOUBLE": 6, "DT_COMPLEX64": 9, "DT_COMPLEX128": 12}
"""The field whose values lie there as they are in memory."""

_NUMBERS: Mapping[str, int] = {
    "DT_INT32": 7,
    "DT_INT16": 7,
    "DT_UINT16": 7,
    "DT_INT8": 7,
    "DT_UINT8": 7,
    "DT_INT64": 10,
    "DT_BOOL": 11,
    "DT_HALF": 13,
    "DT_BFLOAT16": 13,
    "DT_UINT32": 16,
    "DT_UINT64": 17,
}
"""The field whose values are numbers of varying length."""

_AS_BITS = frozenset({"DT_HALF", "DT_BFLOAT16"})
_ALL_ONES = 2**64 - 1
_MOST_DIMENSIONS = 64


def to_numpy(message: memoryview) -> Array:
    """The array of a serialized TensorProto; DT_STRING as an object array of bytes.

    As in TensorFlow the last value stands for all that follow, and no value for zeros or empty strings.

    Raises:
        Malformed: the bytes are no TensorProto, or contradict themselves.
        InvalidInput: its dtype has no NumPy twin, or its shape is not known.
    """
    number = 0
    shape: memoryview | None = None
    content = memoryview(b"")
    for field, value in fields(message):
        if field == _DTYPE and isinstance(value, int):
            number = value
        elif field == _SHAPE and not isinstance(value, int):
            shape = value
        elif field == _CONTENT and not isinstance(value, int):
            content = value
    name = dtype_names.DTYPE_NAMES[number] if number < len(dtype_names.DTYPE_NAMES) else f"dtype {number}"
    dtype = dtype_names.numpy_dtype(name)
    if dtype is None:
        raise errors.InvalidInput(f"a tensor is {name}, which has no NumPy twin")
    sizes = _sizes(shape if shape is not None else memoryview(b""))
    if len(sizes) > _MOST_DIMENSIONS:
        raise Malformed(f"a tensor has {len(sizes):,} dimensions; NumPy knows at most {_MOST_DIMENSIONS}")
    count = math.prod(sizes)
    if count * dtype.itemsize > LARGEST_BYTES:
        raise Malformed(f"a tensor of the shape {list(sizes)} has more than {LARGEST_BYTES:,} bytes")
    if len(content):
        return _from_content(content, dtype, sizes)
    values = _strings(message) if name == "DT_STRING" else _values(message, name, dtype)
    return _filled(values, dtype, count).reshape(sizes)


def _sizes(message: memoryview) -> tuple[int, ...]:
    sizes = []
    for field, value in fields(message):
        if field == _UNKNOWN_RANK and value:
            raise errors.InvalidInput("a tensor has no rank")
        if field == _DIMENSION and not isinstance(value, int):
            size = next((_signed(n) for f, n in fields(value) if f == _SIZE and isinstance(n, int)), 0)
            if size < 0:
                raise errors.InvalidInput(f"a dimension of a tensor has the size {size}")
            sizes.append(size)
    return tuple(sizes)


def _from_content(content: memoryview, dtype: np.dtype[Any], sizes: Sequence[int]) -> Array:
    if dtype.hasobject:
        raise errors.InvalidInput("the strings of a tensor lie in tensor_content; write them as string_val")
    if len(content) != math.prod(sizes) * dtype.itemsize:
        raise Malformed(f"a tensor of the shape {list(sizes)} has {len(content):,} bytes of content")
    if dtype.kind == "b":
        flags: Array = np.frombuffer(content, np.uint8).reshape(sizes) != 0
        return flags
    return np.array(np.frombuffer(content, dtype)).reshape(sizes)  # a copy, aligned


def _values(message: memoryview, name: str, dtype: np.dtype[Any]) -> Array:
    if name in _FIXED:
        data = b"".join(messages(message, _FIXED[name]))
        if len(data) % dtype.itemsize:
            raise Malformed(f"{len(data):,} bytes are no values of {name}")
        return np.frombuffer(data, dtype)
    numbers: list[int] = []
    for field, value in fields(message):
        if field == _NUMBERS[name]:
            numbers += [value] if isinstance(value, int) else varints(value)
    bits = np.array([each & _ALL_ONES for each in numbers], np.uint64)
    if name in _AS_BITS:
        return bits.astype(np.uint16).view(dtype)
    # Negative numbers lie there as their two's complement of 64 bits.
    return bits.astype(dtype) if dtype.kind == "b" else bits.view(np.int64).astype(dtype)


def _strings(message: memoryview) -> Array:
    found = [bytes(each) for each in messages(message, _STRINGS)]
    strings = np.empty(len(found), dtype=object)
    strings[:] = found
    return strings


def _filled(values: Array, dtype: np.dtype[Any], count: int) -> Array:
    if len(values) > count:
        raise Malformed(f"a tensor of {count:,} elements has {len(values):,} values")
    if len(values) == count:
        return values
    rest: Any = values[-1] if len(values) else (b"" if dtype.hasobject else 0)
    return np.concatenate([values, np.full(count - len(values), rest, dtype)])


def _signed(number: int) -> int:
    return number - 2**64 if number >= 2**63 else number
