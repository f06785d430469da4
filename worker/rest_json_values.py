"""One JSON value as a tensor, and back; `worker.rest_json` knows the documents around it.

Every error names the place of the value at fault, as a path into the document.
"""

import base64
import binascii
import json
import math
from collections.abc import Callable, Sequence

import numpy as np

from schemas.dtype import DType
from worker.rest_json_errors import InvalidJson

BASE64_KEY = "b64"
BYTES_SUFFIX = "_bytes"  # outputs that TensorFlow Serving takes for binary, by name

# The first number that rounds to infinity, and the number up to which each whole number is held exactly.
_FLOATS = {
    DType.DT_FLOAT: (2**128 - 2**103, 2**24),
    DType.DT_DOUBLE: (2**1024 - 2**970, 2**53),
    DType.DT_HALF: (2**16 - 2**4, 2**11),
    DType.DT_BFLOAT16: (2**128 - 2**119, 2**8),
}
_INTEGERS = {
    DType.DT_INT8: (-(2**7), 2**7 - 1),
    DType.DT_INT16: (-(2**15), 2**15 - 1),
    DType.DT_INT32: (-(2**31), 2**31 - 1),
    DType.DT_INT64: (-(2**63), 2**63 - 1),
    DType.DT_UINT8: (0, 2**8 - 1),
    DType.DT_UINT16: (0, 2**16 - 1),
    DType.DT_UINT32: (0, 2**32 - 1),
    DType.DT_UINT64: (0, 2**64 - 1),
}
_KINDS: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
}
_SHOWN_CHARACTERS = 40

ReadLeaf = Callable[[object], object]


class _Unfit(Exception):
    """A single value that its dtype cannot hold: it says why, its catcher knows where."""


def kind_of(value: object) -> str:
    """What JSON calls a value, with its article."""
    return _KINDS[type(value)]


def is_base64(value: object) -> bool:
    """Whether a value encodes one binary string: an object whose only key is `b64`, with a string."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(BASE64_KEY), str)


def to_tensor(value: object, place: str, dtype: DType) -> np.ndarray:
    """A scalar or nested lists as an array; a scalar has no dimensions.

    Raises:
        InvalidJson: ragged lists, or a value that is not of the dtype.
    """
    shape = _shape_of(value)
    leaves: list[object] = []
    _collect(value, place, shape, _leaf_reader(dtype), leaves)
    return _array(leaves, dtype, shape)


def join_rows(values: Sequence[object], places: Sequence[str], dtype: DType) -> np.ndarray:
    """Rows of one shape as an array with one more dimension in front.

    Raises:
        InvalidJson: a row has another shape than the first, or as `to_tensor`.
    """
    shape = _shape_of(values[0])
    read_leaf = _leaf_reader(dtype)
    leaves: list[object] = []
    for value, place in zip(values, places, strict=True):
        if (found := _shape_of(value)) != shape:
            raise InvalidJson(place, f"expected the shape of the first row, {list(shape)}, got {list(found)}")
        _collect(value, place, shape, read_leaf, leaves)
    return _array(leaves, dtype, (len(values), *shape))


def guess_dtype(value: object) -> DType:
    """The dtype that TensorFlow would give to these values, for a signature that nobody has reported yet."""
    kinds: set[type] = set()
    widest = 0
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(item)
        else:
            kinds.add(type(item))
            if type(item) is int:
                widest = max(widest, item if item >= 0 else -item - 1)
    if kinds & {str, dict}:
        return DType.DT_STRING
    if float in kinds or not kinds:
        return DType.DT_FLOAT
    if int in kinds:
        return DType.DT_INT32 if widest < 2**31 else DType.DT_INT64
    return DType.DT_BOOL


def to_json(name: str, array: np.ndarray) -> object:
    """An output as nested lists of what `json.dumps` takes; a scalar as itself.

    Raises:
        InvalidJson: the dtype has no place in JSON.
    """
    if array.dtype.kind in "biu":
        return array.tolist()
    if array.dtype.kind == "f" or array.dtype.name == "bfloat16":
        return _decimals(array)
    if array.dtype.kind == "O":
        encode = _encode_base64 if name.endswith(BYTES_SUFFIX) else _encode_text
        return np.frompyfunc(encode, 1, 1)(array).tolist() if array.ndim else encode(array.item())
    raise InvalidJson(f"output '{name}'", f"values of type {array.dtype} cannot be written as JSON")


def _shape_of(value: object) -> tuple[int, ...]:
    """The shape that the first elements suggest; `_collect` holds all others to it."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return tuple(shape)


def _collect(
    value: object, place: str, shape: tuple[int, ...], read_leaf: ReadLeaf, leaves: list[object]
) -> None:
    """Append every leaf in C order. `shape` is what is left of the tensor's shape at this depth."""
    if isinstance(value, list):
        if not shape:
            raise InvalidJson(place, f"expected a single value as before it, got a list of {len(value)}")
        if len(value) != shape[0]:
            raise InvalidJson(
                place, f"expected a list of {shape[0]} as before it, got a list of {len(value)}"
            )
        if len(shape) > 1:
            for i, item in enumerate(value):
                _collect(item, f"{place}[{i}]", shape[1:], read_leaf, leaves)
            return
        for i, item in enumerate(value):
            _append(item, (place, i), read_leaf, leaves)
    elif shape:
        raise InvalidJson(place, f"expected a list of {shape[0]} as before it, got {kind_of(value)}")
    else:
        _append(value, (place, None), read_leaf, leaves)


def _append(value: object, where: tuple[str, int | None], read_leaf: ReadLeaf, leaves: list[object]) -> None:
    """Read one leaf; its place is put together only when it is wrong."""
    place, index = where
    try:
        leaves.append(read_leaf(value))
    except _Unfit as error:
        raise InvalidJson(place if index is None else f"{place}[{index}]", str(error)) from error


def _leaf_reader(dtype: DType) -> ReadLeaf:
    """What turns one leaf into what numpy takes for this dtype."""
    if dtype is DType.DT_STRING:
        return _read_string
    if dtype is DType.DT_BOOL:
        return _read_bool
    if dtype in _FLOATS:
        return _float_reader(dtype)
    if dtype in _INTEGERS:
        return _integer_reader(dtype)
    raise InvalidJson("", f"an input of type {dtype.name} cannot be given as JSON")


def _read_bool(value: object) -> bool:
    if type(value) is not bool:
        raise _Unfit(f"expected true or false (DT_BOOL), got {_shown(value)}")
    return value


def _read_string(value: object) -> bytes:
    if type(value) is str:
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            raise _Unfit('it is half a character; give bytes that are no text as {"b64": "..."}') from error
    if not is_base64(value):
        raise _Unfit(f'expected a string or {{"b64": "..."}} (DT_STRING), got {_shown(value)}')
    assert isinstance(value, dict)
    digits = "".join(value[BASE64_KEY].split()).rstrip("=")
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except binascii.Error as error:
        raise _Unfit("the value of 'b64' is not base64") from error


def _integer_reader(dtype: DType) -> ReadLeaf:
    low, high = _INTEGERS[dtype]

    def read(value: object) -> int:
        if type(value) is not int:
            raise _Unfit(f"expected a whole number ({dtype.name}), got {_shown(value)}")
        if not low <= value <= high:
            raise _Unfit(f"{value} is out of the range of {dtype.name}, {low} to {high}")
        return value

    return read


def _float_reader(dtype: DType) -> ReadLeaf:
    """Numbers that fit: a whole number exactly, a decimal to the nearest that the type has."""
    infinite, exact = _FLOATS[dtype]
    scalar = dtype.numpy.type

    def read(value: object) -> float:
        if type(value) is int:
            if -exact <= value <= exact:
                return value
            if abs(value) >= infinite or int(scalar(value)) != value:
                raise _Unfit(f"{_shown(value)} cannot be held as {dtype.name} without loss")
            return value
        if type(value) is not float:
            raise _Unfit(f"expected a number ({dtype.name}), got {_shown(value)}")
        if abs(value) >= infinite and not math.isinf(value):
            raise _Unfit(f"{value} is out of the range of {dtype.name}")
        return value

    return read


def _array(leaves: list[object], dtype: DType, shape: tuple[int, ...]) -> np.ndarray:
    """The leaves in their shape; strings as objects, not as numpy's own fixed-width type."""
    if dtype is DType.DT_STRING:
        array = np.empty(len(leaves), dtype=object)
        array[:] = leaves
        return array.reshape(shape)
    return np.array(leaves, dtype=dtype.numpy).reshape(shape)


def _decimals(array: np.ndarray) -> object:
    """Numbers with the fewest digits that read back the same in their own type: 0.2, not 0.2000000029."""
    if array.dtype.itemsize >= np.dtype(np.float64).itemsize:
        return array.tolist()
    narrow = array.astype(np.float32) if array.dtype.name == "bfloat16" else array
    return narrow.astype(np.str_).astype(np.float64).tolist()


def _encode_base64(value: bytes) -> dict[str, str]:
    return {BASE64_KEY: base64.b64encode(value).decode("ascii")}


def _encode_text(value: bytes) -> str | dict[str, str]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return _encode_base64(value)


def _shown(value: object) -> str:
    """A value for an error message, cut to a length that a terminal bears."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 200:
        return f"a whole number of {value.bit_length()} bits"
    text = json.dumps(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
