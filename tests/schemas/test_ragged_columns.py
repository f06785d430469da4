"""Requests of one kind whose rows differ are one block."""

from collections.abc import Sequence

import numpy as np
import pytest

from schemas.codec import encode
from schemas.layout_match import FEW
from schemas.predict_request import PredictRequest
from schemas.ragged_data import RaggedData
from schemas.request_columns import RequestColumns
from schemas.request_decoder import RequestDecoder
from schemas.tensor import Tensor

ROWS = (2, 1, 3, 2, 5)


def value(rows: int, number: int, model: str = "m", dtype: str = "<f4", request_id: str = "") -> bytes:
    """A request whose data tell it from others."""
    x = np.full((rows, 2), number, dtype)
    y = np.full((rows,), -number, "<i8")
    inputs = (Tensor.from_numpy("x", x), Tensor.from_numpy("y", y))
    return encode(PredictRequest(model, inputs=inputs, id=request_id or f"id-{number}"))


def decoded(values: Sequence[bytes]) -> list[RequestColumns]:
    """The blocks of a decoder that has seen such requests before."""
    decoder = RequestDecoder()
    for model in ("m", "n"):
        decoder.decode([value(rows, 0, model) for rows in range(1, 6)])
    blocks, rejected = decoder.decode(values)
    assert rejected == []
    return blocks


@pytest.fixture
def block() -> RequestColumns:
    """One block of requests with these rows."""
    (only,) = decoded([value(rows, number) for number, rows in enumerate(ROWS)])
    return only


def test_rows_that_differ_do_not_part_requests(block: RequestColumns) -> None:
    """Requests of one kind are one block, in their order, each with its own rows."""
    assert isinstance(block.data, RaggedData)
    assert (block.rows_each, block.row_counts, block.rows) == (None, list(ROWS), sum(ROWS))
    assert list(block.indices) == list(range(len(ROWS)))
    assert list(block.ids) == [f"id-{number}".encode() for number in range(len(ROWS))]


def test_inputs_are_stacked_row_by_row(block: RequestColumns) -> None:
    """Each request's rows follow those of the one before, in an array of its own and in one that is given."""
    numbers = np.repeat(np.arange(len(ROWS)), ROWS)
    x = np.repeat(numbers, 2).reshape(-1, 2).astype("<f4")
    for index, wanted in enumerate((x, -numbers.astype("<i8"))):
        np.testing.assert_array_equal(block.stacked(index), wanted)
        place = np.empty_like(wanted)
        block.stack_into(index, place)
        np.testing.assert_array_equal(place, wanted)


def test_a_part_has_its_own_requests(block: RequestColumns) -> None:
    """A part from the middle keeps rows, ids and data together; where its rows are equal, it says so."""
    part, one = block.take(1, 3), block.take(3, 4)
    assert (part.row_counts, list(part.ids), part.rows) == ([1, 3], [b"id-1", b"id-2"], 4)
    np.testing.assert_array_equal(part.stacked(0)[:, 0], [1, 2, 2, 2])
    assert (one.rows_each, one.row_counts) == (2, None)


def test_kinds_stay_apart() -> None:
    """Requests for another model, mixed in between, are another block."""
    blocks = decoded([value(rows, n, "mn"[n % 2]) for n, rows in enumerate(ROWS)])
    assert [(each.kind.model, each.row_counts) for each in blocks] == [("m", [2, 3, 5]), ("n", [1, 2])]


def test_many_of_one_layout_stay_apart_from_the_few() -> None:
    """A layout that has enough records is a block of its own, which costs less."""
    values = [value(1, n) for n in range(FEW)] + [value(2, 100), value(3, 101)]
    blocks = decoded(values)
    assert [(each.rows_each, each.row_counts) for each in blocks] == [(1, None), (None, [2, 3])]


@pytest.mark.parametrize("request_id", ["i" * 64, "é" * 40], ids=["long", "long and not ASCII"])
def test_ids_that_are_not_short_are_read_too(request_id: str) -> None:
    """An id whose length takes two bytes does not keep its request, or its neighbours, from their block."""
    (block,) = decoded([value(2, 0), value(1, 1, request_id=request_id), value(3, 2)])
    assert list(block.ids) == [b"id-0", request_id.encode(), b"id-2"]


def test_a_damaged_neighbour_is_alone() -> None:
    """A record that only begins like a known layout is judged by the general decoder, the others are not touched."""
    decoder = RequestDecoder()
    decoder.decode([value(rows, 0) for rows in (1, 2, 3)])
    good = [value(rows, rows) for rows in (1, 2, 3)]
    lying = value(2, 7)[:-1] + b"\x02"

    blocks, rejected = decoder.decode([good[0], lying, good[1], good[2], good[0] + b"\x00"])

    assert [list(each.indices) for each in blocks] == [[0, 2, 3]]
    assert [each.index for each in rejected] == [1, 4]


def test_bytes_that_are_no_booleans_count_as_true() -> None:
    """A DT_BOOL with other bytes than 0 and 1 is stacked as booleans, whatever the rows."""
    decoder = RequestDecoder()

    def flags(rows: int, byte: int) -> bytes:
        tensor = Tensor.from_numpy("b", np.ones((rows,), np.bool_))
        text = encode(PredictRequest("m", inputs=(tensor,), id="i"))
        ending = b"\x00\x02i\x00"  # of the inputs, the id, no parameters
        return text.removesuffix(b"\x01" * rows + ending) + bytes([byte]) * rows + ending

    decoder.decode([flags(rows, 1) for rows in (1, 2)])
    ((block,), _) = decoder.decode([flags(1, 2), flags(2, 0)])
    place = np.empty(3, np.bool_)
    block.stack_into(0, place)
    assert place.tolist() == block.stacked(0).tolist() == [True, False, False]
    assert place.view(np.uint8).max() == 1
