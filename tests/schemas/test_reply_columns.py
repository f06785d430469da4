"""Replies by the column are the general encoder's, byte for byte."""

from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import decode, encode
from schemas.dtype import TWINS, DType
from schemas.errors import Code, UnsupportedDType
from schemas.predict_reply import PredictReply
from schemas.reply_columns import LARGE_BYTES, MESSAGE_BYTES, encode_error, encode_errors, encode_replies
from schemas.status import Status
from schemas.tensor import Tensor
from tests.schemas import strategies


@st.composite
def outputs(draw: st.DrawFn, rows: int) -> npt.NDArray[Any]:
    """An output of so many rows."""
    dtype = draw(st.sampled_from(sorted(TWINS)))
    shape = (rows, *draw(strategies.shapes))
    size = int(np.prod(shape, dtype=np.int64))
    if dtype is DType.DT_STRING:
        array = np.empty(size, object)
        array[:] = draw(st.lists(st.binary(max_size=3), min_size=size, max_size=size))
        return array.reshape(shape)
    raw = draw(st.binary(min_size=size * dtype.itemsize, max_size=size * dtype.itemsize))
    if not raw:
        return np.empty(shape, dtype.numpy)
    array = np.frombuffer(raw, dtype.numpy).reshape(shape)
    return np.asfortranarray(array) if draw(st.booleans()) else array


@given(st.data(), st.integers(0, 3), st.lists(st.text(max_size=70), min_size=1, max_size=5))
def test_replies_are_the_general_encoders(data: st.DataObject, rows_each: int, ids: list[str]) -> None:
    """Any outputs, rows and ids: each reply is what the general encoder writes for its slice."""
    model, version = data.draw(strategies.texts), data.draw(st.none() | strategies.longs)
    arrays = data.draw(st.dictionaries(strategies.texts, outputs(rows_each * len(ids)), max_size=3))

    found = encode_replies(model, version, arrays, rows_each, [i.encode() for i in ids])

    for place, (value, request_id) in enumerate(zip(found, ids, strict=True)):
        part = slice(place * rows_each, (place + 1) * rows_each)
        tensors = tuple(Tensor.from_numpy(name, array[part]) for name, array in arrays.items())
        assert value == encode(PredictReply(model, version, tensors, None, request_id))


@pytest.mark.parametrize("ids", [["a", "b", "c"], ["", "longer", "ä"]])
def test_large_replies_are_the_general_encoders(ids: list[str]) -> None:
    """Replies that are joined one by one, because of their size, are the same bytes, whatever else is in them."""
    large = np.arange(6 * LARGE_BYTES, dtype="<i4").reshape(6, LARGE_BYTES)
    arrays = {
        "first": np.arange(6.0),
        "large": large,
        "empty": np.zeros((6, 0)),
        "last": np.asfortranarray(large),
    }

    found = encode_replies("m", 1, arrays, 2, [i.encode() for i in ids])

    for n, (value, request_id) in enumerate(zip(found, ids, strict=True)):
        tensors = tuple(Tensor.from_numpy(name, array[2 * n : 2 * n + 2]) for name, array in arrays.items())
        assert value == encode(PredictReply("m", 1, tensors, None, request_id))


@pytest.mark.parametrize("dtype", TWINS)
def test_each_dtype_comes_back(dtype: DType) -> None:
    """Each dtype's output is the same after the way over the wire."""
    array = np.array([[b"a"], [b"bc"]], object) if dtype is DType.DT_STRING else np.ones((2, 1), dtype.numpy)

    values = encode_replies("m", 1, {"y": array}, 1, [b"a", b"b"])

    back = [decode(value, PredictReply).outputs[0] for value in values]
    assert [tensor.dtype for tensor in back] == [dtype, dtype]
    assert np.concatenate([tensor.to_numpy() for tensor in back]).tolist() == array.tolist()


def test_big_endian_outputs_are_converted() -> None:
    """An output in another byte order is sent little-endian."""
    (value,) = encode_replies("m", 1, {"y": np.array([1.5], ">f4")}, 1, [b""])

    assert decode(value, PredictReply).outputs[0].to_numpy().tolist() == [1.5]


def test_one_request_that_is_not_batchable_gets_its_outputs_as_they_are() -> None:
    """Without rows, outputs keep the shape that they have, scalars included."""
    arrays = {"y": np.array(1.5, "<f4"), "z": np.zeros((3, 2), "<i8")}

    (value,) = encode_replies("m", 1, arrays, None, [b"a"])

    assert [tensor.shape for tensor in decode(value, PredictReply).outputs] == [(), (3, 2)]


def test_no_requests_have_no_replies() -> None:
    """Nothing is written for nobody."""
    assert encode_replies("m", 1, {"y": np.zeros((0, 2), "<f4")}, 1, []) == []


@pytest.mark.parametrize(
    ("array", "rows_each", "message"),
    [
        (np.zeros((3, 2)), 1, r"output 'y' has the shape \(3, 2\); 2 requests of 1 rows"),
        (np.zeros(()), 1, r"output 'y' has the shape \(\)"),
        (np.zeros((2, 2)), None, "not batchable"),
    ],
)
def test_outputs_that_cannot_be_split_are_refused(
    array: npt.NDArray[Any], rows_each: int | None, message: str
) -> None:
    """An output whose dimension 0 is not that of the requests is named."""
    with pytest.raises(ValueError, match=message):
        encode_replies("m", 1, {"y": array}, rows_each, [b"a", b"b"])


def test_a_dtype_without_a_name_on_the_wire_is_refused() -> None:
    """A model's output that the wire cannot carry is UNIMPLEMENTED."""
    with pytest.raises(UnsupportedDType, match="float8_e5m2") as caught:
        encode_replies("m", 1, {"y": np.zeros(2, ml_dtypes.float8_e5m2)}, 1, [b"a", b"b"])

    assert caught.value.code is Code.UNIMPLEMENTED


@given(
    strategies.texts,
    st.none() | strategies.longs,
    st.sampled_from(Code),
    strategies.texts,
    st.text(max_size=70),
)
def test_errors_are_the_general_encoders(
    model: str, version: int | None, code: Code, message: str, request_id: str
) -> None:
    """An error reply is what the general encoder writes."""
    expected = encode(PredictReply(model, version, (), Status(code, message), request_id))

    assert encode_error(model, version, code, message, request_id.encode()) == expected
    assert encode_errors(model, version, code, message, [request_id.encode()] * 2) == [expected] * 2


def test_a_long_message_is_cut_between_characters() -> None:
    """What a model said is told up to a bound, and stays text."""
    value = encode_error("m", None, Code.INTERNAL, "é" * MESSAGE_BYTES + "\ud800", b"")

    error = decode(value, PredictReply).error
    assert error is not None
    assert error.message == "é" * (MESSAGE_BYTES // 2)
