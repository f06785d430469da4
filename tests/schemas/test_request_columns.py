"""Columns: stacking, stacking into a given place, and taking a part."""

import numpy as np
import numpy.typing as npt
import pytest

from schemas.codec import encode
from schemas.dtype import TWINS, DType
from schemas.predict_request import PredictRequest
from schemas.request_columns import LARGE_BYTES, RequestColumns
from schemas.request_decoder import RequestDecoder
from schemas.tensor import Tensor


def block_of(arrays: list[npt.NDArray[np.generic]]) -> RequestColumns:
    """The block of requests that have one of these arrays each."""
    values = [
        encode(PredictRequest("m", inputs=(Tensor.from_numpy("x", a),), id=f"{n}"))
        for n, a in enumerate(arrays)
    ]
    (block,), _ = RequestDecoder().decode(values)
    return block


@pytest.mark.parametrize("dtype", sorted(set(TWINS) - {DType.DT_STRING}))
@pytest.mark.parametrize("width", [1, LARGE_BYTES])
def test_inputs_are_stacked_in_order(dtype: DType, width: int) -> None:
    """All requests' rows lie one behind the other, whatever dtype and size, also in a place given for them."""
    arrays = [np.full((2, width), n % 2, dtype.numpy) for n in range(5)]
    block = block_of(arrays)
    out = np.empty((10, width), dtype.numpy)
    block.stack_into(0, out)

    assert block.rows == 10
    assert block.stacked(0).dtype == dtype.numpy
    assert (block.stacked(0) == np.concatenate(arrays)).all()
    assert (out == np.concatenate(arrays)).all()


def test_strings_stack_to_objects() -> None:
    """DT_STRING stacks to an object array of bytes."""
    block = block_of([np.array([["a", "b"]])])
    out = np.empty((1, 2), object)
    block.stack_into(0, out)

    assert block.stacked(0).tolist() == out.tolist() == [[b"a", b"b"]]


@pytest.mark.parametrize("width", [4, LARGE_BYTES])
def test_odd_booleans_are_true_wherever_they_are_stacked(width: int) -> None:
    """A hostile boolean reaches no model as anything but 0 or 1."""
    tensor = Tensor("x", DType.DT_BOOL, (1, width), bytes([7, 0, 1, 255]) * (width // 4))
    (block,), _ = RequestDecoder().decode([encode(PredictRequest("m", inputs=(tensor,)))] * 2)
    out = np.empty((2, width), bool)
    block.stack_into(0, out)

    assert out.view(np.uint8)[1, :4].tolist() == [1, 0, 1, 1]
    assert block.stacked(0).view(np.uint8)[1, :4].tolist() == [1, 0, 1, 1]


def test_a_part_is_a_block() -> None:
    """A part of a block has its own indices, ids and rows, and shares the values."""
    block = block_of([np.full((2, 3), n, "<i8") for n in range(6)])
    part = block.take(2, 4)

    assert (part.indices, part.ids, len(part), part.rows) == ([2, 3], [b"2", b"3"], 2, 4)
    assert part.stacked(0)[:, 0].tolist() == [2, 2, 3, 3]
    assert len(part.column(0)) == 2
    assert part.take(1, 2).take(0, 1).ids == [b"3"]
    assert block.take(0, 6) is block
    assert block.take(3, 3).stacked(0).shape == (0, 3)


@pytest.mark.parametrize(
    "arrays",
    [
        [np.full((2, 3), n, "<i8") for n in range(9)],
        [np.full((1 + n % 3, 3), n, "<i8") for n in range(9)],
        [np.full((2, LARGE_BYTES), n, "<i8") for n in range(9)],
    ],
    ids=["one length", "several layouts", "large"],
)
@pytest.mark.parametrize("ids", ["{}", "{:0>20}", "{0}{0}{0}" * 30])
def test_picked_requests_are_a_block(arrays: list[npt.NDArray[np.generic]], ids: str) -> None:
    """What is picked out is what each of them is alone, in whatever form a block holds them."""
    values = [
        encode(PredictRequest("m", inputs=(Tensor.from_numpy("x", a),), id=ids.format(n * n)))
        for n, a in enumerate(arrays)
    ]
    blocks, rejected = RequestDecoder().decode(values)
    assert not rejected

    for block in blocks:
        for positions in ([0], list(range(0, len(block), 2)), list(range(len(block)))):
            picked, alone = block.pick(positions), [block.take(n, n + 1) for n in positions]
            assert list(picked.indices) == [block.indices[n] for n in positions]
            assert list(picked.ids) == [each.ids[0] for each in alone]
            assert picked.rows == sum(each.rows for each in alone)
            assert (picked.stacked(0) == np.concatenate([each.stacked(0) for each in alone])).all()
            assert list(picked.column(0)) == [each.column(0)[0] for each in alone]
            out = np.empty_like(picked.stacked(0))
            picked.stack_into(0, out)
            assert (out == picked.stacked(0)).all()
            assert picked.take(0, 1).ids[0] == picked.ids[0]


def test_a_request_of_its_own_is_picked_whole() -> None:
    """Strings and what else takes the general decoder, with its parameters."""
    request = PredictRequest("m", inputs=(Tensor.from_numpy("x", np.array([["a"]])),), parameters={"k": b"v"})
    (block,), _ = RequestDecoder().decode([encode(request)])
    picked = block.pick([0])

    assert (picked.parameters, picked.stacked(0).tolist()) == ([{"k": b"v"}], [[b"a"]])


def test_parameters_go_with_their_request() -> None:
    """A request with parameters keeps them."""
    (block,), _ = RequestDecoder().decode([encode(PredictRequest("m", parameters={"k": b"v"}))])

    assert block.parameters == [{"k": b"v"}]
    assert block.take(0, 0).parameters == []


def test_a_kind_knows_the_bytes_of_its_rows() -> None:
    """Batches are bounded by bytes too; strings have a length each, and count nothing."""
    inputs = (
        Tensor.from_numpy("x", np.zeros((2, 3, 4), "<f8")),
        Tensor.from_numpy("y", np.zeros(2, "u1")),
        Tensor.from_numpy("s", np.array(["a", "b"])),
    )
    (block,), _ = RequestDecoder().decode([encode(PredictRequest("m", inputs=inputs))])

    assert [layout.row_bytes for layout in block.kind.inputs] == [96, 1, 0]
    assert block.kind.row_bytes == 97


@pytest.mark.parametrize(
    "out",
    [np.empty((2, 3), "<f8"), np.empty((3, 2), "<f4"), np.empty((2, 6), "<f4")[:, ::2]],
    ids=["dtype", "shape", "strides"],
)
def test_a_place_that_does_not_fit_is_refused(out: npt.NDArray[np.generic]) -> None:
    """Stacking into an array of another dtype, shape or order is an error that says what was expected."""
    block = block_of([np.zeros((1, 3), "<f4")] * 2)

    with pytest.raises(ValueError, match=r"float32 and shape \(2, 3\) was expected"):
        block.stack_into(0, out)
