"""TensorProtos, encoded by TensorFlow, as NumPy arrays."""

from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest

from lifecycle import dtype_names, errors, tensor_proto
from lifecycle.saved_model_protobuf import Malformed
from lifecycle.saved_model_tensorflow import import_tensorflow
from tests.kit.numpy_models import rows

pytestmark = pytest.mark.tensorflow

DTYPES = [
    name for name in dtype_names.DTYPE_NAMES if dtype_names.numpy_dtype(name) not in {None, np.dtype(object)}
]


def proto(**fields: Any) -> Any:
    """A TensorProto of these fields; its shape is a list."""
    import_tensorflow()
    from tensorflow.core.framework import tensor_pb2

    shape = {"dim": [{"size": size} for size in fields.pop("shape", [])]}
    return tensor_pb2.TensorProto(tensor_shape=shape, **fields)


def read(message: Any) -> npt.NDArray[Any]:
    """What we read of a TensorProto."""
    return tensor_proto.to_numpy(memoryview(message.SerializeToString()))


def same(message: Any) -> None:
    """What we read is what TensorFlow reads."""
    found, expected = read(message), import_tensorflow().make_ndarray(message)
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (2, 3)], ids=str)
def test_arrays_of_each_dtype_come_back(name: str, shape: tuple[int, ...]) -> None:
    """As TensorFlow's own function encodes them: several elements as memory, one as a value."""
    dtype = dtype_names.numpy_dtype(name)
    array = (
        np.arange(-2, 4)[: max(1, int(np.prod(shape)))][: int(np.prod(shape))].astype(dtype).reshape(shape)
    )

    same(import_tensorflow().make_tensor_proto(array))


def test_strings_come_back() -> None:
    """Zero bytes and no text, too."""
    for strings in (rows(b"a\0", b"", b"\xff"), rows()):
        message = import_tensorflow().make_tensor_proto(strings)
        assert read(message).tolist() == strings.tolist()
        assert read(message).dtype == object


@pytest.mark.parametrize(
    "fields",
    [
        {"dtype": 1, "shape": [2, 2], "float_val": [1.5, -2.5, 3, 4]},
        {"dtype": 2, "shape": [3], "double_val": [1e300]},
        {"dtype": 3, "shape": [3], "int_val": [7, -(2**31)]},
        {"dtype": 4, "shape": [2], "int_val": [255, 0]},
        {"dtype": 5, "shape": [2], "int_val": [-1]},
        {"dtype": 8, "shape": [2], "scomplex_val": [1, -2, 3, 4]},
        {"dtype": 9, "shape": [2], "int64_val": [-(2**63), 2**63 - 1]},
        {"dtype": 10, "shape": [3], "bool_val": [False, True]},
        {"dtype": 14, "shape": [2], "half_val": [0x3FC0, 0xC000]},
        {"dtype": 18, "shape": [1], "dcomplex_val": [1, 2]},
        {"dtype": 19, "shape": [2], "half_val": [0x3E00]},
        {"dtype": 22, "shape": [1], "uint32_val": [2**32 - 1]},
        {"dtype": 23, "shape": [2], "uint64_val": [2**64 - 1]},
        {"dtype": 1, "shape": [2, 2]},
        {"dtype": 3, "shape": []},
    ],
    ids=str,
)
def test_values_are_read_as_tensorflow_reads_them(fields: dict[str, Any]) -> None:
    """As clients in other languages write them; the last value stands for all that follow, none for zeros."""
    same(proto(**fields))


def test_strings_are_filled_up_like_numbers() -> None:
    """With the last one, or empty ones."""
    assert read(proto(dtype=7, shape=[3], string_val=[b"a", b"b"])).tolist() == [b"a", b"b", b"b"]
    assert read(proto(dtype=7, shape=[2])).tolist() == [b"", b""]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"dtype": 1, "shape": [2], "tensor_content": b"123"}, "has 3 bytes of content"),
        ({"dtype": 1, "shape": [2], "float_val": [1, 2, 3]}, "of 2 elements has 3 values"),
        ({"dtype": 1, "shape": [2**40, 2**20], "float_val": [1]}, "more than 2,147,483,647 bytes"),
        ({"dtype": 1, "shape": [1] * 65}, "65 dimensions"),
    ],
)
def test_a_tensor_that_contradicts_itself_is_malformed(fields: dict[str, Any], said: str) -> None:
    """Nothing is allocated for what it claims."""
    with pytest.raises(Malformed, match=said):
        read(proto(**fields))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"dtype": 11, "shape": [1]}, "DT_QINT8, which has no NumPy twin"),
        ({"dtype": 20, "shape": [1]}, "DT_RESOURCE"),
        ({"shape": [1]}, "DT_INVALID"),
        ({"dtype": 99, "shape": [1]}, "dtype 99"),
        ({"dtype": 1, "shape": [-1]}, "a dimension of a tensor has the size -1"),
        ({"dtype": 7, "shape": [1], "tensor_content": b"\1a"}, "write them as string_val"),
    ],
)
def test_a_tensor_that_no_request_can_carry_is_told(fields: dict[str, Any], said: str) -> None:
    """By its dtype or its shape."""
    with pytest.raises(errors.InvalidInput, match=said):
        read(proto(**fields))


def test_an_array_is_aligned_and_its_own() -> None:
    """Whatever place its bytes had in the record."""
    found = read(proto(dtype=14, shape=[3], tensor_content=np.ones(3, ml_dtypes.bfloat16).tobytes()))

    assert found.flags.aligned
    assert found.flags.owndata or found.base is not None
    assert found.tolist() == [1.0, 1.0, 1.0]
