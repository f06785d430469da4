"""TensorFlow's dtype names, their numbers and their NumPy twins, known here without TensorFlow."""

import functools
from typing import Any

import numpy as np

DTYPE_NAMES = (
    "DT_INVALID",
    "DT_FLOAT",
    "DT_DOUBLE",
    "DT_INT32",
    "DT_UINT8",
    "DT_INT16",
    "DT_INT8",
    "DT_STRING",
    "DT_COMPLEX64",
    "DT_INT64",
    "DT_BOOL",
    "DT_QINT8",
    "DT_QUINT8",
    "DT_QINT32",
    "DT_BFLOAT16",
    "DT_QINT16",
    "DT_QUINT16",
    "DT_UINT16",
    "DT_COMPLEX128",
    "DT_HALF",
    "DT_RESOURCE",
    "DT_VARIANT",
    "DT_UINT32",
    "DT_UINT64",
    "DT_FLOAT8_E5M2",
    "DT_FLOAT8_E4M3FN",
    "DT_FLOAT8_E4M3FNUZ",
    "DT_FLOAT8_E4M3B11FNUZ",
    "DT_FLOAT8_E5M2FNUZ",
    "DT_INT4",
    "DT_UINT4",
)
"""Each name at its number in TensorFlow's types.proto."""

_TWINS: dict[str, str] = {
    "DT_FLOAT": "float32",
    "DT_DOUBLE": "float64",
    "DT_HALF": "float16",
    "DT_INT8": "int8",
    "DT_INT16": "int16",
    "DT_INT32": "int32",
    "DT_INT64": "int64",
    "DT_UINT8": "uint8",
    "DT_UINT16": "uint16",
    "DT_UINT32": "uint32",
    "DT_UINT64": "uint64",
    "DT_BOOL": "bool",
    "DT_COMPLEX64": "complex64",
    "DT_COMPLEX128": "complex128",
    "DT_STRING": "object",
}


@functools.cache
def numpy_dtype(name: str) -> np.dtype[Any] | None:
    """The NumPy dtype that holds elements of that name, or None when there is none.

    DT_STRING is an object array of bytes. DT_BFLOAT16 needs `ml_dtypes`, which comes with TensorFlow.
    """
    if name == "DT_BFLOAT16":
        import ml_dtypes  # noqa: PLC0415  # only models of that dtype need it

        brain_float: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return brain_float
    twin = _TWINS.get(name)
    return None if twin is None else np.dtype(twin)


def dtype_name(dtype: np.dtype[Any]) -> str | None:
    """TensorFlow's name for a NumPy dtype, or None when it has none."""
    if dtype.name == "bfloat16":
        return "DT_BFLOAT16"
    if dtype.kind in "OS":
        return "DT_STRING"
    return _NAMES.get(dtype.name)


_NAMES = {twin: name for name, twin in _TWINS.items()}
