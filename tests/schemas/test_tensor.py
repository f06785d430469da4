"""Tensors: to and from numpy, and what they are caught lying about."""

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given

from schemas.dtype import TWINS, DType
from schemas.errors import Code, InvalidTensor
from schemas.tensor import Tensor, check_names
from tests.schemas import strategies


@given(strategies.tensors())
def test_a_tensor_survives_numpy(tensor: Tensor) -> None:
    """A tensor comes back from its array with the same dtype, shape and bytes (booleans excepted)."""
    again = Tensor.from_numpy(tensor.name, tensor.to_numpy())

    assert (again.dtype, again.shape) == (tensor.dtype, tensor.shape)
    if tensor.dtype is not DType.DT_BOOL:
        assert again.data == tensor.data


@pytest.mark.parametrize("dtype", TWINS)
@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (2, 3)])
def test_every_dtype_takes_scalars_and_empty_dimensions(dtype: DType, shape: tuple[int, ...]) -> None:
    """Each dtype goes through, whatever the shape."""
    array = np.full(shape, b"x", object) if dtype is DType.DT_STRING else np.ones(shape, dtype.numpy)

    back = Tensor.from_numpy("t", array).to_numpy()

    assert back.shape == shape
    assert back.dtype == dtype.numpy
    assert (back == array).all()


def test_numbers_are_not_copied() -> None:
    """A contiguous little-endian array and its tensor share memory, and the view cannot be written to."""
    array = np.arange(6, dtype="<f4").reshape(2, 3)
    back = Tensor.from_numpy("t", array).to_numpy()

    assert np.shares_memory(array, back)
    assert not back.flags.writeable
    assert array.flags.writeable


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=">f4").reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype="<i8").reshape(2, 3)),
        np.arange(12, dtype="<u2")[::2],
    ],
    ids=["big-endian", "Fortran order", "strided"],
)
def test_other_layouts_are_converted(array: npt.NDArray[np.generic]) -> None:
    """What is not C-ordered and little-endian becomes so."""
    back = Tensor.from_numpy("t", array).to_numpy()

    assert (back == array).all()
    assert back.flags.c_contiguous
    assert back.dtype == array.dtype.newbyteorder("<")


@pytest.mark.parametrize(
    "array",
    [np.array(["é", "b"]), np.array(["é".encode(), b"b"]), np.array(["é", b"b"], object)],
    ids=["U", "S", "O"],
)
def test_text_becomes_utf8(array: npt.NDArray[np.generic]) -> None:
    """Text and bytes become DT_STRING, text as UTF-8."""
    tensor = Tensor.from_numpy("t", array)

    assert tensor.data == ("é".encode(), b"b")
    assert tensor.to_numpy().tolist() == ["é".encode(), b"b"]


@pytest.mark.parametrize("element", [1, None, ["x"], "\ud800"])
def test_other_objects_are_refused(element: object) -> None:
    """An object array of anything but text and bytes is an error that names the tensor."""
    array = np.empty(1, object)
    array[0] = element

    with pytest.raises(InvalidTensor, match="tensor 'words'"):
        Tensor.from_numpy("words", array)


def test_bfloat16_has_its_own_dtype() -> None:
    """DT_BFLOAT16 is ml_dtypes' bfloat16."""
    array = np.array([1.5, -2.0], ml_dtypes.bfloat16)
    tensor = Tensor.from_numpy("t", array)

    assert tensor.dtype is DType.DT_BFLOAT16
    assert bytes(tensor.data) == b"\xc0\x3f\x00\xc0"  # type: ignore[arg-type]


def test_odd_booleans_are_true() -> None:
    """A byte of DT_BOOL that is neither 0 nor 1 becomes a proper true."""
    array = Tensor("t", DType.DT_BOOL, (3,), b"\x00\x01\x07").to_numpy()

    assert array.view(np.uint8).tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("dtype", "shape", "data", "message"),
    [
        (DType.DT_FLOAT, (2, 3), b"x" * 23, r"shape \[2, 3\] takes 24 bytes of data, given 23"),
        (DType.DT_FLOAT, (), b"", "takes 4 bytes of data, given 0"),
        (DType.DT_FLOAT, (-1, -1), b"x" * 4, "negative dimension"),
        (DType.DT_FLOAT, (2**62, 4), b"", "overflows"),
        (DType.DT_DOUBLE, (2**61,), b"", "overflows"),
        (DType.DT_FLOAT, (0, 2**62, 4), b"", "overflows"),
        (DType.DT_STRING, (0, 2**62), (), "overflows"),
        (DType.DT_FLOAT, (2**32, 2**32), b"", "overflows"),
        (DType.DT_INT8, (2**31,), b"", "overflows"),
        (DType.DT_FLOAT, (1, 0, 2**30), b"", "overflows"),
        (DType.DT_INT8, (2**31 - 1,), b"abc", "takes 2147483647 bytes of data, given 3"),
        (DType.DT_STRING, (2,), (b"a",), "takes 2 strings of data, given 1"),
        (DType.DT_STRING, (1,), b"a", "DT_STRING needs an array of bytes"),
        (DType.DT_INT8, (1,), (b"a",), "DT_INT8 needs plain bytes"),
        (DType.UNKNOWN, (1,), b"a", "unknown dtype"),
    ],
)
def test_a_lie_is_named(
    dtype: DType, shape: tuple[int, ...], data: bytes | tuple[bytes, ...], message: str
) -> None:
    """A tensor whose shape, dtype and data do not belong together is an INVALID_ARGUMENT that says why."""
    with pytest.raises(InvalidTensor, match=message) as caught:
        Tensor("t", dtype, shape, data).to_numpy()

    assert caught.value.code is Code.INVALID_ARGUMENT
    assert str(caught.value).startswith("tensor 't'")


def test_a_name_given_twice_is_named() -> None:
    """Two tensors of one name are refused by that name."""
    one, two = (Tensor(name, DType.DT_INT8, (1,), b"a") for name in "ab")

    check_names([one, two])
    with pytest.raises(InvalidTensor, match="'b' is given more than once"):
        check_names([one, two, two])
