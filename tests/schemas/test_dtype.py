"""DType: TensorFlow's numbers and numpy's twins."""

import ml_dtypes
import numpy as np
import pytest

from schemas.dtype import TWINS, DType
from schemas.errors import UnsupportedDType


@pytest.mark.parametrize("dtype", TWINS)
def test_each_twin_leads_back_to_its_dtype(dtype: DType) -> None:
    """A dtype's numpy twin is sent as that dtype."""
    assert DType.from_numpy(dtype.numpy) is dtype


@pytest.mark.tensorflow
@pytest.mark.parametrize("dtype", TWINS)
def test_numbers_and_twins_are_tensorflows(dtype: DType) -> None:
    """Each number and numpy twin is the one that TensorFlow itself gives to the name."""
    import tensorflow as tf

    theirs = tf.dtypes.as_dtype(int(dtype))

    assert f"DT_{theirs.name.upper().replace('FLOAT32', 'FLOAT').replace('FLOAT64', 'DOUBLE')}" in {
        dtype.name,
        dtype.name.replace("HALF", "FLOAT16"),
    }
    assert theirs.as_numpy_dtype == dtype.numpy


@pytest.mark.parametrize("code", ["f2", "f4", "f8", "i2", "i4", "i8", "u2", "u4", "u8", "c8", "c16"])
def test_byte_order_does_not_matter(code: str) -> None:
    """A big-endian dtype is sent as its little-endian twin."""
    assert DType.from_numpy(np.dtype(">" + code)) is DType.from_numpy(np.dtype("<" + code))


def test_c_names_of_one_size_are_one_dtype() -> None:
    """`long` and `long long` are the same 64 bits."""
    assert DType.from_numpy(np.dtype("q")) is DType.from_numpy(np.dtype("l")) is DType.DT_INT64


@pytest.mark.parametrize("dtype", [np.dtype(object), np.dtype("U5"), np.dtype("S5")])
def test_text_and_objects_are_strings(dtype: "np.dtype[np.generic]") -> None:
    """Arrays of text, bytes and objects are sent as DT_STRING."""
    assert DType.from_numpy(dtype) is DType.DT_STRING
    assert DType.DT_STRING.itemsize == 0


@pytest.mark.parametrize("dtype", [np.dtype("M8[s]"), np.dtype("f4,i4"), np.dtype(ml_dtypes.float8_e5m2)])
def test_dtype_without_a_twin_is_refused_by_name(dtype: "np.dtype[np.generic]") -> None:
    """A numpy dtype that has no twin is named in the error."""
    with pytest.raises(UnsupportedDType, match="has no twin"):
        DType.from_numpy(dtype)


def test_unknown_has_no_twin() -> None:
    """UNKNOWN, as a newer sender's dtype arrives, has no numpy twin."""
    with pytest.raises(UnsupportedDType, match="UNKNOWN"):
        _ = DType.UNKNOWN.numpy
