"""TensorFlow's dtypes that have a numpy twin: numbers, names on the wire, and twins; without TensorFlow."""

import enum
from collections.abc import Mapping
from types import MappingProxyType

import ml_dtypes
import numpy as np

from schemas.errors import UnsupportedDType


class DType(enum.IntEnum):
    """A dtype by TensorFlow's name and number (tensorflow/core/framework/types.proto).

    The wire carries the name as an Avro enum; a name that this release does not know arrives as `UNKNOWN`.
    """

    UNKNOWN = 0
    DT_FLOAT = 1
    DT_DOUBLE = 2
    DT_INT32 = 3
    DT_UINT8 = 4
    DT_INT16 = 5
    DT_INT8 = 6
    DT_STRING = 7
    DT_COMPLEX64 = 8
    DT_INT64 = 9
    DT_BOOL = 10
    DT_BFLOAT16 = 14
    DT_UINT16 = 17
    DT_COMPLEX128 = 18
    DT_HALF = 19
    DT_UINT32 = 22
    DT_UINT64 = 23

    @property
    def numpy(self) -> "np.dtype[np.generic]":
        """The little-endian numpy twin; `object` for DT_STRING.

        Raises:
            UnsupportedDType: for UNKNOWN.
        """
        twin = TWINS.get(self)
        if twin is None:
            raise UnsupportedDType(
                f"{self.name} has no numpy twin; known are {', '.join(t.name for t in TWINS)}"
            )
        return twin

    @property
    def itemsize(self) -> int:
        """Bytes of one element on the wire; 0 for DT_STRING, whose elements have a length each."""
        return 0 if self is DType.DT_STRING else self.numpy.itemsize

    @classmethod
    def from_numpy(cls, dtype: "np.dtype[np.generic]") -> "DType":
        """The dtype that an array of this numpy dtype is sent as, whatever its byte order.

        Raises:
            UnsupportedDType: numpy dtypes without a TensorFlow twin.
        """
        found = _BY_TWIN.get(dtype)
        if found is None and dtype.kind in "iufc":
            found = _BY_TWIN.get(dtype.newbyteorder("<"))
        if found is None and dtype.kind in "OUST":
            found = cls.DT_STRING
        if found is None:
            raise UnsupportedDType(
                f"numpy's {dtype} has no twin; known are {', '.join(t.name for t in TWINS)}"
            )
        return found


TWINS: Mapping[DType, "np.dtype[np.generic]"] = MappingProxyType(
    {
        DType.DT_FLOAT: np.dtype("<f4"),
        DType.DT_DOUBLE: np.dtype("<f8"),
        DType.DT_INT32: np.dtype("<i4"),
        DType.DT_UINT8: np.dtype("u1"),
        DType.DT_INT16: np.dtype("<i2"),
        DType.DT_INT8: np.dtype("i1"),
        DType.DT_STRING: np.dtype(object),
        DType.DT_COMPLEX64: np.dtype("<c8"),
        DType.DT_INT64: np.dtype("<i8"),
        DType.DT_BOOL: np.dtype("?"),
        DType.DT_BFLOAT16: np.dtype(ml_dtypes.bfloat16),
        DType.DT_UINT16: np.dtype("<u2"),
        DType.DT_COMPLEX128: np.dtype("<c16"),
        DType.DT_HALF: np.dtype("<f2"),
        DType.DT_UINT32: np.dtype("<u4"),
        DType.DT_UINT64: np.dtype("<u8"),
    }
)
_BY_TWIN = {twin: dtype for dtype, twin in TWINS.items()}
