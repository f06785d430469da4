"""The codec against hostile values: each is refused by name, and nothing else ever comes out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import Codec, Record, decode, encode
from schemas.dtype import DType
from schemas.errors import (
    Code,
    DecodeError,
    EncodeError,
    InvalidRequest,
    InvalidStructure,
    InvalidTensor,
    LimitExceeded,
    TrailingBytes,
    Truncated,
    WireError,
    WrongRecord,
)
from schemas.predict_reply import PredictReply
from schemas.predict_request import PredictRequest
from schemas.status import Status
from schemas.tensor import Tensor
from schemas.wire_limits import WireLimits
from tests.schemas import strategies
from tests.schemas.strategies import long, one_by_one, request_bytes, sized, tensor_bytes, text

X = Tensor.from_numpy("x", np.zeros((1, 2), "<f4"))
REQUEST = PredictRequest("m", inputs=(X,), id="a")
START = strategies.header("PredictRequest") + text("m") + long(0) + long(0) + text("s")


def many(count: int, item: bytes, *, claimed: int | None = None) -> bytes:
    """A request whose inputs are one block of so many items, which may claim another count."""
    return (
        START + b"\0" + long(count if claimed is None else claimed) + item * count + b"\0" + text("a") + b"\0"
    )


EMPTY_TENSOR = text("") + long(1) + b"\0" + long(0) + text("")
HOSTILE = {
    "200,000 empty tensors": (
        many(200_000, EMPTY_TENSOR),
        LimitExceeded,
        "200000 items, at most 256 .limit 'tensors'",
    ),
    "a huge count and no bytes": (many(0, b"", claimed=2**60), LimitExceeded, "limit 'tensors'"),
    "a count beyond the bytes": (many(1, EMPTY_TENSOR, claimed=200), Truncated, "200 items do not fit"),
    "many dimensions": (
        many(1, text("x") + long(1) + long(65) + b"\0" * 66 + long(0) + text("")),
        LimitExceeded,
        "Tensor.shape: 65 items, at most 64 .limit 'dims'",
    ),
    "many output names": (
        START + long(257) + text("") * 257 + b"\0" + b"\0" + text("") + b"\0",
        LimitExceeded,
        "PredictRequest.outputs: 257 items, at most 256 .limit 'output_names'",
    ),
    "many parameters": (
        request_bytes(PredictRequest("m", parameters={str(n): b"" for n in range(65)})),
        LimitExceeded,
        "PredictRequest.parameters: 65 items, at most 64 .limit 'parameters'",
    ),
    "a large parameter": (
        request_bytes(PredictRequest("m", parameters={"k": b"x" * 65_537})),
        LimitExceeded,
        "65537 bytes, at most 65536 .limit 'parameter_bytes'",
    ),
    "a long name": (
        request_bytes(PredictRequest("m" * 65_537)),
        LimitExceeded,
        "PredictRequest.model: 65537 bytes, at most 65536 .limit 'string_bytes'",
    ),
    "many strings": (
        request_bytes(
            PredictRequest("m", inputs=(Tensor("x", DType.DT_STRING, (70_000,), (b"",) * 70_000),))
        ),
        LimitExceeded,
        "Tensor.data: 70000 items, at most 65536",
    ),
    "many strings in several tensors": (
        request_bytes(
            PredictRequest(
                "m", inputs=tuple(Tensor(n, DType.DT_STRING, (60_000,), (b"",) * 60_000) for n in "abc")
            )
        ),
        LimitExceeded,
        "more than 131072 items in the record",
    ),
    "a data length beyond the bytes": (
        many(1, text("x") + long(1) + b"\0" + long(0) + long(2**40)),
        Truncated,
        "Tensor.data: a length of 1099511627776",
    ),
    "a negative data length": (
        many(1, text("x") + long(1) + b"\0" + long(0) + long(-4)),
        InvalidStructure,
        "negative length",
    ),
    "an unknown dtype": (
        many(1, text("x") + long(99) + b"\0" + long(0) + text("")),
        InvalidStructure,
        "Tensor.dtype: enum symbol 99",
    ),
    "an unknown branch": (
        many(1, text("x") + long(1) + b"\0" + long(2) + text("")),
        InvalidStructure,
        "Tensor.data: union branch 2",
    ),
    "trailing bytes": (encode(REQUEST) + b"\0", TrailingBytes, "1 more follow"),
    "an id that is no text": (
        request_bytes(REQUEST, tail=text(b"\xff") + b"\0"),
        InvalidStructure,
        "PredictRequest.id: the text is not UTF-8",
    ),
    "an overlong length": (
        request_bytes(REQUEST, tail=long(1, padding=1) + b"a\0"),
        InvalidStructure,
        "overlong",
    ),
    "another record": (
        encode(PredictReply("m")),
        WrongRecord,
        "is a PredictReply; a PredictRequest belongs here",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_value_is_refused_by_name(case: str) -> None:
    """Each lie has its own error, which says where, how much, and which limit."""
    value, error, message = HOSTILE[case]

    with pytest.raises(error, match=message):
        decode(value, PredictRequest)


def wire_tensor(
    dtype: DType, shape: tuple[int, ...], data: bytes | tuple[bytes, ...], name: str = "x"
) -> bytes:
    """A tensor's bytes, whether they make sense or not."""
    return tensor_bytes(Tensor(name, dtype, shape, data))


ONE = wire_tensor(DType.DT_FLOAT, (1,), b"1234")
LYING = {
    "shape beyond the bytes": ([wire_tensor(DType.DT_FLOAT, (2**20,), b"")], "takes 4194304 bytes"),
    "overflowing shape": ([wire_tensor(DType.DT_FLOAT, (2**62, 2**62), b"")], "overflows"),
    "negative dimension": ([wire_tensor(DType.DT_FLOAT, (-1,), b"")], "negative dimension"),
    "too few strings": ([wire_tensor(DType.DT_STRING, (3,), (b"a",))], "takes 3 strings of data, given 1"),
    "numbers in an array": ([wire_tensor(DType.DT_FLOAT, (1,), (b"1234",))], "needs plain bytes"),
    "strings in plain bytes": ([wire_tensor(DType.DT_STRING, (1,), b"1234")], "needs an array of bytes"),
    "UNKNOWN": ([text("x") + long(0) + b"\0" + long(0) + text("")], "unknown dtype"),
    "one name twice": ([ONE, ONE], "'x' is given more than once"),
}


@pytest.mark.parametrize("case", LYING)
def test_a_lying_tensor_can_be_answered(case: str) -> None:
    """A tensor that lies is an INVALID_ARGUMENT that knows whom to answer."""
    tensors, message = LYING[case]
    value = START + b"\0" + long(len(tensors)) + b"".join(tensors) + b"\0" + text("id-1") + b"\0"

    with pytest.raises(InvalidTensor, match=message) as caught:
        decode(value, PredictRequest)

    assert (caught.value.request_id, caught.value.model) == ("id-1", "m")
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_version_and_label_together_can_be_answered() -> None:
    """A request that names both is an INVALID_ARGUMENT that knows whom to answer."""
    value = request_bytes(PredictRequest("m", 3, "stable", id="id-1"))

    with pytest.raises(InvalidRequest, match="version 3 and label 'stable'") as caught:
        decode(value, PredictRequest)

    assert caught.value.request_id == "id-1"


@given(strategies.requests(), st.data())
def test_a_cut_request_is_refused(request: PredictRequest, data: st.DataObject) -> None:
    """A request cut anywhere is an error of ours."""
    value = encode(request)
    end = data.draw(st.integers(0, len(value) - 1))

    with pytest.raises(DecodeError):
        decode(value[:end], PredictRequest)


@given(strategies.requests(), st.data())
def test_a_damaged_request_is_refused_or_consistent(request: PredictRequest, data: st.DataObject) -> None:
    """Changed bytes yield an error of ours, or a request that is exactly what the changed bytes say."""
    value = bytearray(encode(request))
    for _ in range(data.draw(st.integers(1, 3))):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))

    try:
        decoded = decode(bytes(value), PredictRequest)
    except WireError:
        return
    assert decode(encode(decoded), PredictRequest) == decoded


@given(st.binary(max_size=80))
def test_garbage_behind_a_header_is_refused_or_a_request(garbage: bytes) -> None:
    """Nothing but an error of ours or a request comes of any bytes behind the header."""
    try:
        decoded = decode(strategies.header("PredictRequest") + garbage, PredictRequest)
    except WireError:
        return
    assert decode(encode(decoded), PredictRequest) == decoded


@given(strategies.requests())
def test_other_encoders_blocks_are_read(request: PredictRequest) -> None:
    """Arrays and maps in sized blocks, or in a block for each item, are the same request."""
    assert decode(request_bytes(request, sized), PredictRequest) == request
    assert decode(request_bytes(request, one_by_one), PredictRequest) == request


def test_limits_are_the_callers() -> None:
    """A codec with other limits takes and refuses by them."""
    value = encode(REQUEST)

    with pytest.raises(LimitExceeded, match=f"{len(value)} bytes, at most 20 .limit 'record_bytes'"):
        Codec(limits=WireLimits(record_bytes=20)).decode(value, PredictRequest)
    with pytest.raises(LimitExceeded, match="limit 'tensors'"):
        Codec(limits=WireLimits(tensors=0)).decode(value, PredictRequest)


@pytest.mark.parametrize(
    "record",
    [
        Status(2**31, ""),
        Status(2**70, ""),
        Status(1, None),  # type: ignore[arg-type]
        Status(1, "\ud800"),
        Status(None, ""),  # type: ignore[arg-type]
        PredictRequest("m" * 100_000),
        PredictRequest("m", version=2**63),
        PredictRequest("m", parameters={"k": "text"}),  # type: ignore[dict-item]
    ],
)
def test_what_cannot_be_read_is_not_written(record: Record) -> None:
    """A record that its reader would refuse is refused by its writer, by name."""
    with pytest.raises(EncodeError, match=f"a {record.record_name} cannot be encoded") as caught:
        encode(record)

    assert caught.value.code is Code.INTERNAL


def test_a_request_that_contradicts_itself_is_not_written() -> None:
    """A producer learns of its mistake before the record is sent."""
    with pytest.raises(InvalidRequest):
        encode(PredictRequest("m", 3, "stable"))
    with pytest.raises(InvalidTensor):
        encode(PredictRequest("m", inputs=(X, X)))
