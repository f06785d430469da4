"""The columnar decoder agrees with the general one, whatever arrives and whatever it has seen before."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import Codec, encode
from schemas.dtype import DType
from schemas.errors import (
    Code,
    EmptyValue,
    InvalidRequest,
    InvalidTensor,
    LimitExceeded,
    TrailingBytes,
    WireError,
)
from schemas.layout_matcher import MATRIX_RECORDS
from schemas.predict_request import PredictRequest
from schemas.request_columns import RequestColumns, SlicedData
from schemas.request_decoder import RequestDecoder
from schemas.request_kind import RequestKind
from schemas.tensor import Tensor
from schemas.wire_limits import WireLimits
from tests.schemas import strategies
from tests.schemas.strategies import counted, long, one_by_one, request_bytes, sized, text

Values = Sequence[bytes | None]


def floats(rows: int = 1, width: int = 2, name: str = "x") -> Tensor:
    """An input of zeros."""
    return Tensor.from_numpy(name, np.zeros((rows, width), "<f4"))


def request(request_id: str = "a", rows: int = 1, model: str = "m", **more: Any) -> PredictRequest:
    """A plain request."""
    return PredictRequest(model, inputs=(floats(rows),), id=request_id, **more)


def assert_agreement(decoder: RequestDecoder, values: Values, limits: WireLimits | None = None) -> None:
    """Every value is in one block, as the general decoder reads it, or rejected with the general decoder's error."""
    codec = Codec(limits=limits or WireLimits())
    blocks, rejected = decoder.decode(values)

    assert sorted([i for b in blocks for i in b.indices] + [r.index for r in rejected]) == list(
        range(len(values))
    )
    assert [b.indices[0] for b in blocks] == sorted(b.indices[0] for b in blocks)
    for block in blocks:
        assert list(block.indices) == sorted(block.indices)
        for place, index in enumerate(block.indices):
            assert_same(block.take(place, place + 1), codec.decode(values[index], PredictRequest))
        for column in range(len(block.kind.inputs)):
            parts = [block.take(k, k + 1).stacked(column) for k in range(len(block))]
            whole = np.concatenate(parts) if block.kind.batchable else parts[0]
            assert_equal(block.stacked(column), whole)
    for one in rejected:
        with pytest.raises(WireError) as caught:
            codec.decode(values[one.index], PredictRequest)
        assert (type(caught.value), str(caught.value)) == (type(one.error), str(one.error))
        if isinstance(caught.value, InvalidRequest):
            assert one.model == caught.value.model
            assert one.request_id == (caught.value.request_id or "").encode()


def assert_same(one: RequestColumns, expected: PredictRequest) -> None:
    """A block of one is this request."""
    kind, rows = RequestKind.of(expected)
    assert (one.kind, one.rows_each, hash(one.kind)) == (kind, rows, hash(kind))
    assert one.ids == [expected.id.encode()]
    assert (one.parameters or [{}]) == [expected.parameters]
    for column, tensor in enumerate(expected.inputs):
        assert list(one.column(column)) == [tensor.data]
        assert_equal(one.stacked(column), tensor.to_numpy())


def assert_equal(one: Any, other: Any) -> None:
    """Two arrays are the same, bit for bit."""
    assert (one.dtype, one.shape) == (other.dtype, other.shape)
    assert one.tolist() == other.tolist() if one.dtype == object else one.tobytes() == other.tobytes()


def warm() -> RequestDecoder:
    """A decoder that knows the layouts of the requests below."""
    decoder = RequestDecoder()
    decoder.decode([encode(request(rows=rows)) for rows in (1, 2)])
    return decoder


@st.composite
def damaged(draw: st.DrawFn, values: st.SearchStrategy[bytes]) -> bytes:
    """A value with a few of its bytes changed, cut, repeated or added."""
    value = bytearray(draw(values))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(value)))
        match draw(st.sampled_from(["change", "cut", "insert", "append"])):
            case "change":
                value[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case "cut":
                del value[at:]
            case "insert":
                value[at:at] = draw(st.binary(min_size=1, max_size=3))
            case _:
                value += draw(st.binary(min_size=1, max_size=3))
    return bytes(value)


@given(
    st.lists(
        st.one_of(
            damaged(strategies.batchable_requests().map(encode)),
            damaged(strategies.requests().map(encode)),
            strategies.batchable_requests().map(lambda r: request_bytes(r, sized)),
            st.just(None),
        ),
        max_size=12,
    ),
    st.integers(1, 3),
)
def test_columns_say_what_the_general_decoder_says(values: Values, max_layouts: int) -> None:
    """Requests whole and damaged, alike and unlike, are read the same by the column, cold, warm and forgetful."""
    decoder, sorting = RequestDecoder(), RequestDecoder(many_alike=2)

    for each in (decoder, sorting):
        assert_agreement(each, values)
        assert_agreement(each, list(reversed(values)))
    assert_agreement(RequestDecoder(max_layouts=max_layouts), values)


TAILS = {
    "an id that claims more": long(9) + b"a\0",
    "an id that claims less": long(0) + b"a\0",
    "a negative id length": long(-1) + b"a\0",
    "an overlong id length": long(1, padding=1) + b"a\0",
    "no parameters": long(1) + b"a",
    "no end": text("a"),
    "another end": text("a") + b"\1",
    "nothing": b"",
    "one zero byte": b"\0",
    "two zero bytes": b"\0\0",
    "three zero bytes": b"\0\0\0",
    "one byte of 01": b"\1",
    "parameters": text("a") + counted([text("k") + text("v")]),
    "parameters in a sized block": text("a") + sized([text("k") + text("v")]),
    "trailing byte": text("a") + b"\0\0",
    "an id of zero bytes": text("\0\0") + b"\0",
    "an id that is no text": text(b"\xff") + b"\0",
    "half a character": text(b"\xc3") + b"\0",
    "the other half": text(b"\xa9") + b"\0",
    "an encoded surrogate": text(b"\xed\xa0\x80") + b"\0",
    "63 bytes": text("x" * 63) + b"\0",
    "64 bytes": text("x" * 64) + b"\0",
    "8192 bytes": text("x" * 8192) + b"\0",
    "63 bytes in two": long(63, padding=1) + b"x" * 63 + b"\0",
    "an id past the limit": text("x" * 65_537) + b"\0",
}


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("neighbours", [0, 1, 40])
def test_a_right_prefix_excuses_no_wrong_end(tail: str, neighbours: int) -> None:
    """A value of a known layout with another end is read as the general decoder does, neighbours unharmed."""
    good = [encode(request(f"id-{n}")) for n in range(neighbours)]
    value = request_bytes(request(), tail=TAILS[tail])

    assert_agreement(warm(), [*good, value, *good])
    assert_agreement(warm(), [value, *good, value])


def test_values_cut_off_together_are_all_rejected() -> None:
    """Many values of one length that is shorter than their layout: wherever they were cut, none is taken for whole."""
    inputs = (floats(), floats(name="y"))
    whole = encode(PredictRequest("m", inputs=inputs, id="a"))
    decoder = RequestDecoder()
    decoder.decode([whole] * 2 * MATRIX_RECORDS)

    for length in range(len(whole)):
        assert_agreement(decoder, [whole[:length]] * MATRIX_RECORDS)


def test_two_halves_make_no_character() -> None:
    """Ids that are UTF-8 only when joined are refused each."""
    halves = [request_bytes(request(), tail=text(half) + b"\0") for half in (b"\xc3", b"\xa9")]

    _, rejected = warm().decode(halves)

    assert [r.index for r in rejected] == [0, 1]


def test_requests_of_one_layout_are_one_block() -> None:
    """What is alike comes as one block, in order, also in the first poll and when interleaved."""
    values = [encode(request(f"id-{n}", rows=1 + n % 3)) for n in range(300)]
    decoder = RequestDecoder()

    for _ in range(2):
        blocks, rejected = decoder.decode(values)

        assert rejected == []
        assert [b.rows_each for b in blocks] == [1, 2, 3]
        assert list(blocks[1].indices) == list(range(1, 300, 3))
        assert blocks[1].ids == [f"id-{n}".encode() for n in range(1, 300, 3)]
        assert all(isinstance(b.data, SlicedData) for b in blocks)


def test_row_counts_share_a_kind() -> None:
    """Requests that differ in rows only are of one kind, so that they can share a batch."""
    blocks, _ = RequestDecoder().decode([encode(request(rows=1)), encode(request(rows=2))])

    assert blocks[0].kind == blocks[1].kind
    assert len({block.kind for block in blocks}) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"model": "n"},
        {"version": 1},
        {"version": 2},
        {"label": "stable"},
        {"signature": "other"},
        {"outputs": ("y",)},
    ],
)
def test_what_routes_tells_kinds_apart(change: dict[str, Any]) -> None:
    """Model, version, label, signature and outputs are part of the kind."""
    values = [encode(request()), encode(request(**change)), encode(request())]

    blocks, _ = RequestDecoder().decode(values)

    assert [list(b.indices) for b in blocks] == [[0, 2], [1]]
    assert blocks[0].kind != blocks[1].kind


@pytest.mark.parametrize("blocks_of", [counted, sized, one_by_one])
def test_each_encoders_arrays_are_learnt(blocks_of: Callable[[Sequence[bytes]], bytes]) -> None:
    """Requests from an encoder that writes other blocks are one block as well."""
    inputs = (floats(name="x"), floats(name="y", width=3))
    values = [request_bytes(PredictRequest("m", inputs=inputs, id=f"{n}"), blocks_of) for n in range(20)]
    decoder = RequestDecoder()

    (block,), _ = decoder.decode(values)

    assert len(block) == 20
    assert isinstance(block.data, SlicedData)
    assert_agreement(decoder, values)


def test_inputs_that_differ_behind_one_head_are_told_apart() -> None:
    """Requests whose first input is laid out alike and whose second is not are different blocks."""
    values = [
        encode(PredictRequest("m", inputs=(floats(), floats(name="y", width=width)), id="a"))
        for width in (2, 3, 2, 4, 3)
    ]

    blocks, _ = RequestDecoder().decode(values)

    assert [list(b.indices) for b in blocks] == [[0, 2], [1, 4], [3]]
    assert_agreement(RequestDecoder(), values)


def test_equal_sizes_hide_no_other_name() -> None:
    """Requests of one head and size whose second input has another name are different blocks."""
    values = [
        encode(PredictRequest("m", inputs=(floats(), floats(name=name)), id="a"))
        for name in ("y", "z", "y", "z")
    ]

    blocks, _ = RequestDecoder().decode(values)

    assert [list(b.indices) for b in blocks] == [[0, 2], [1, 3]]
    assert_agreement(RequestDecoder(), values)


NOT_STACKED = {
    "strings": PredictRequest("m", inputs=(Tensor.from_numpy("s", np.array([["a"], ["bc"]])),)),
    "a scalar": PredictRequest("m", inputs=(Tensor.from_numpy("x", np.float32(1)),)),
    "unequal rows": PredictRequest("m", inputs=(floats(1), floats(2, name="y"))),
    "no input": PredictRequest("m"),
    "parameters": request(parameters={"k": b"v"}),
}


@pytest.mark.parametrize("case", NOT_STACKED)
def test_what_cannot_be_sliced_is_a_block_of_one(case: str) -> None:
    """Strings, scalars, unequal rows, no input and parameters come as blocks of one of the same type."""
    value = encode(NOT_STACKED[case])

    blocks, _ = RequestDecoder().decode([value, value])

    assert [list(b.indices) for b in blocks] == [[0], [1]]
    assert blocks[0].kind.batchable is (case in {"strings", "parameters"})
    assert (blocks[0].rows_each is None) is (not blocks[0].kind.batchable)
    assert_agreement(RequestDecoder(), [value, encode(request()), value])


def test_a_request_of_no_rows_is_a_request() -> None:
    """Zero rows are valid, and stack to nothing."""
    (block,), _ = RequestDecoder().decode([encode(request(rows=0))] * 3)

    assert (block.rows_each, block.rows, block.stacked(0).shape) == (0, 0, (0, 2))


def test_rejected_values_say_what_is_known() -> None:
    """A value that can be answered says whom; one that cannot be decoded says only why; neighbours are unharmed."""
    lying = request_bytes(PredictRequest("m", inputs=(Tensor("x", DType.DT_FLOAT, (9,), b""),), id="lying"))
    both = request_bytes(PredictRequest("m", 3, "stable", id="both"))
    good = encode(request())
    values: Values = [None, good, lying, both, good, good + b"\0", b"", good]

    (block,), rejected = RequestDecoder().decode(values)

    assert list(block.indices) == [1, 4, 7]
    assert [(r.index, type(r.error), r.request_id, r.model) for r in rejected] == [
        (0, EmptyValue, None, None),
        (2, InvalidTensor, b"lying", "m"),
        (3, InvalidRequest, b"both", "m"),
        (5, TrailingBytes, None, None),
        (6, EmptyValue, None, None),
    ]


def test_a_value_past_the_limit_is_rejected_alone() -> None:
    """A value of more bytes than the limit is rejected, though its layout is known."""
    good, large = encode(request()), encode(request("x" * 60))
    limits = WireLimits(record_bytes=len(good))

    (block,), (one,) = RequestDecoder(limits=limits).decode([good, large, good])

    assert list(block.indices) == [0, 2]
    assert (one.index, type(one.error)) == (1, LimitExceeded)
    assert_agreement(RequestDecoder(limits=limits), [good, large, good], limits)


def test_too_many_rows_can_be_answered() -> None:
    """A request of few bytes that claims very many rows is refused, whomever it is from, and answered."""
    claims = Tensor("x", DType.DT_FLOAT, (100_000, 0), b"")
    good = encode(request())

    (block,), (one,) = RequestDecoder().decode(
        [good, encode(PredictRequest("m", inputs=(claims,), id="a")), good]
    )

    assert list(block.indices) == [0, 2]
    assert (one.error.code, one.request_id, one.model) == (Code.RESOURCE_EXHAUSTED, b"a", "m")
    assert "input 'x' has 100000 rows, at most 65536" in str(one.error)


def test_an_id_past_the_limit_is_rejected_though_its_layout_is_known() -> None:
    """The limit on text holds for ids on the fast way too."""
    limits = WireLimits(string_bytes=16)
    for sizes in ((1, 16, 17), (17, 17), (1, 16, 17, 63, 64)):
        values = [encode(request("x" * size)) for size in sizes]

        assert_agreement(RequestDecoder(limits=limits), values, limits)


def test_nothing_comes_of_nothing() -> None:
    """An empty poll has no blocks."""
    assert RequestDecoder().decode([]) == ([], [])


def test_a_flood_of_layouts_does_not_grow_memory() -> None:
    """However many layouts arrive, as many are kept as were allowed, and every request is read."""
    decoder = RequestDecoder(max_layouts=8)
    values = [encode(request("a", model=f"m{n // 2}")) for n in range(400)]

    blocks, rejected = decoder.decode(values)

    assert rejected == []
    assert sorted(i for b in blocks for i in b.indices) == list(range(400))
    assert len(decoder._layouts) <= 8
