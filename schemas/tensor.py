"""One tensor of a request or a reply: its checks, and its way to and from numpy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from schemas.dtype import DType
from schemas.errors import InvalidTensor

LARGEST_BYTES = 2**31 - 1
"""What no Kafka record can exceed. An empty tensor may claim no more either: stacked, or in a model, a huge dimension
beside one of 0 would be allocated, or overflow."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A named tensor as it is on the wire.

    Attributes:
        name: the input's or output's name in the signature.
        dtype: its TensorFlow dtype.
        shape: its dimensions; empty for a scalar. Dimension 0 is the batch.
        data: the elements in C order, little-endian; for DT_STRING one `bytes` per element.
    """

    record_name: ClassVar[str] = "Tensor"

    name: str
    dtype: DType
    shape: tuple[int, ...]
    data: bytes | memoryview | tuple[bytes, ...]

    @classmethod
    def from_numpy(cls, name: str, array: npt.ArrayLike) -> Self:
        """The tensor of an array, sharing its memory where it is little-endian and contiguous already.

        Arrays of `str`, `bytes` or objects of either become DT_STRING (text as UTF-8).

        Raises:
            UnsupportedDType: no TensorFlow dtype stands for the array's.
            InvalidTensor: an object array holds something other than text or bytes.
        """
        given = np.asarray(array)
        dtype = DType.from_numpy(given.dtype)
        if dtype is DType.DT_STRING:
            return cls(name, dtype, given.shape, _as_bytes(name, given.reshape(-1).tolist()))
        plain = np.asarray(given, dtype=dtype.numpy, order="C")
        return cls(name, dtype, given.shape, plain.reshape(-1).view(np.uint8).data)

    def to_numpy(self) -> npt.NDArray[Any]:
        """The elements as a read-only array over this tensor's own bytes; DT_STRING as an array of `bytes`.

        Raises:
            InvalidTensor: the tensor contradicts itself.
        """
        self.check()
        if isinstance(self.data, tuple):
            return strings_to_numpy(self.data, self.shape)
        return numbers_to_numpy(self.data, self.dtype, self.shape)

    def check(self) -> None:
        """Compare shape, dtype and data, allocating nothing.

        Raises:
            InvalidTensor: they do not belong together; the message says what was expected.
        """
        elements = self._checked_elements()
        if self.dtype is DType.DT_STRING:
            if not isinstance(self.data, tuple):
                raise InvalidTensor(
                    f"tensor '{self.name}': DT_STRING needs an array of bytes as its data, not plain bytes"
                )
            expected, given, unit = elements, len(self.data), "strings"
        else:
            if isinstance(self.data, tuple):
                raise InvalidTensor(
                    f"tensor '{self.name}': {self.dtype.name} needs plain bytes as its data, not an array"
                )
            expected, given, unit = elements * self.dtype.itemsize, len(self.data), "bytes"
        if expected != given:
            raise InvalidTensor(
                f"tensor '{self.name}': {self.dtype.name} of shape {list(self.shape)} "
                f"takes {expected} {unit} of data, given {given}"
            )

    def check_empty(self) -> None:
        """Compare shape and dtype of a tensor whose data lies elsewhere.

        Raises:
            InvalidTensor: they do not belong together, or the tensor has data all the same.
        """
        self._checked_elements()
        if len(self.data):
            raise InvalidTensor(
                f"tensor '{self.name}': there is a claim to its data, and it has data as well"
            )

    def _checked_elements(self) -> int:
        """The shape's product, for a dtype that is known. A zero among the dimensions hides no huge one."""
        if self.dtype is DType.UNKNOWN:
            raise InvalidTensor(
                f"tensor '{self.name}': unknown dtype; known are DT_FLOAT, DT_INT64, DT_STRING and the like"
            )
        elements, bound = 1, LARGEST_BYTES // self.dtype.numpy.itemsize
        without_zeros = 1
        for dimension in self.shape:
            if dimension < 0:
                raise InvalidTensor(f"tensor '{self.name}': negative dimension in shape {list(self.shape)}")
            elements *= dimension
            without_zeros *= dimension or 1
            if without_zeros > bound:
                raise InvalidTensor(
                    f"tensor '{self.name}': shape {list(self.shape)} overflows: no record holds that much"
                )
        return elements

    def to_wire(self, *, empty: bool = False) -> dict[str, Any]:
        """The fields by their Avro names. Raises InvalidTensor as `check` does, or `check_empty`."""
        if empty:
            self.check_empty()
        else:
            self.check()
        data = list(self.data) if isinstance(self.data, tuple) else bytes(self.data)
        return {"name": self.name, "dtype": self.dtype.name, "shape": list(self.shape), "data": data}

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any], *, empty: bool = False) -> Self:
        """The checked tensor of decoded fields. Raises InvalidTensor as `check` does, or `check_empty`."""
        data = wire["data"]
        tensor = cls(
            wire["name"],
            DType[wire["dtype"]],
            tuple(wire["shape"]),
            tuple(data) if isinstance(data, list) else data,
        )
        if empty:
            tensor.check_empty()
        else:
            tensor.check()
        return tensor


def check_names(tensors: Sequence[Tensor]) -> None:
    """Raise InvalidTensor when two tensors of one record have the same name."""
    names = {tensor.name for tensor in tensors}
    if len(names) != len(tensors):
        seen: set[str] = set()
        twice = next(t.name for t in tensors if t.name in seen or seen.add(t.name))  # type: ignore[func-returns-value]
        raise InvalidTensor(f"tensor '{twice}' is given more than once")


def numbers_to_numpy(data: bytes | memoryview, dtype: DType, shape: Sequence[int]) -> npt.NDArray[Any]:
    """A read-only array over checked data of a numeric dtype.

    Bytes of a DT_BOOL that are neither 0 nor 1 count as true, at the price of a copy: C++ behind a model
    may not see them.
    """
    if not len(data):
        return np.empty(shape, dtype.numpy)
    array = np.frombuffer(data, np.uint8 if dtype is DType.DT_BOOL else dtype.numpy).reshape(shape)
    array.flags.writeable = False
    return as_bool(array) if dtype is DType.DT_BOOL else array


def as_bool(array: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Bytes as booleans: a view when each is 0 or 1."""
    return array != 0 if array.size and array.max() > 1 else array.view(np.bool_)


def strings_to_numpy(strings: Sequence[bytes], shape: Sequence[int]) -> npt.NDArray[np.object_]:
    """An object array of `bytes`; the shape's product is their number."""
    array = np.empty(len(strings), dtype=object)
    array[:] = strings
    return array.reshape(shape)


def _as_bytes(name: str, elements: Sequence[object]) -> tuple[bytes, ...]:
    try:
        return tuple(map(_element, elements))
    except (TypeError, UnicodeEncodeError) as error:
        raise InvalidTensor(f"tensor '{name}': elements of DT_STRING are bytes or text; {error}") from error


def _element(element: object) -> bytes:
    if isinstance(element, bytes):
        return element
    if isinstance(element, str):
        return element.encode()
    raise TypeError(f"given {type(element).__name__}")
