"""A batch's inputs: the same rows whatever their size, and large ones copied once."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from batching.merging import ALIGNMENT_BYTES
from schemas.codec import encode
from schemas.dtype import DType
from schemas.predict_request import PredictRequest
from schemas.request_columns import LARGE_BYTES, RequestColumns
from schemas.request_decoder import RequestDecoder
from schemas.tensor import Tensor
from tests.fakes.kafka import FakeMessage
from worker.batch_inputs import stack
from worker.polled_records import PolledRecords
from worker.request_block import Part


def parts_of(requests: Sequence[PredictRequest]) -> list[Part]:
    """The parts that a poll of these requests becomes."""
    values = [encode(request) for request in requests]
    blocks, rejected = RequestDecoder().decode(values)
    assert not rejected
    return [Part(records_of(values), block) for block in blocks]


def records_of(values: Sequence[bytes]) -> PolledRecords:
    """The poll that brought these values."""
    return PolledRecords("t", "b", [FakeMessage("t", v, offset=n) for n, v in enumerate(values)], 0)


def of_rows(rows: Sequence[int], width: int, dtype: str = "<f4") -> list[npt.NDArray[np.generic]]:
    """An array of so many rows each, no two rows alike."""
    starts = np.cumsum([0, *rows])
    return [
        np.arange(start * width, (start + count) * width).astype(dtype).reshape(count, width)
        for start, count in zip(starts[:-1], rows, strict=True)
    ]


@pytest.mark.parametrize("width", [1, LARGE_BYTES // 4 - 1, LARGE_BYTES // 4, LARGE_BYTES])
@pytest.mark.parametrize("padding", [0, 3])
def test_rows_stand_in_the_order_of_the_requests(width: int, padding: int) -> None:
    """However large a row is, the model sees the requests' rows, and the last one again where it is padded."""
    arrays = of_rows([1, 1, 2, 2, 3], width)
    requests = [PredictRequest("m", inputs=(Tensor.from_numpy("x", a),)) for a in arrays]
    # Of the usual kinds of part: several requests, one request, and one that keeps its own decoded tensors.
    requests.append(PredictRequest("m", inputs=(Tensor.from_numpy("x", arrays[0]),), parameters={"k": b"v"}))
    parts = parts_of(requests)

    stacked = stack(parts, 0, 10 + padding)

    expected = np.concatenate([part.columns.stacked(0) for part in parts])
    assert {row.tobytes() for row in expected} == {row.tobytes() for array in arrays for row in array}
    np.testing.assert_array_equal(stacked[:10], expected)
    np.testing.assert_array_equal(stacked[10:], np.repeat(expected[-1:], padding, axis=0))


def test_large_rows_lie_where_tensorflow_takes_them_as_they_are() -> None:
    """One poll's images, of which nothing has to be padded or merged, are aligned too: no second copy is made."""
    requests = [
        PredictRequest("m", inputs=(Tensor.from_numpy("x", array),)) for array in of_rows([1] * 5, 50_000)
    ]

    stacked = stack(parts_of(requests), 0, 5)

    assert stacked.ctypes.data % ALIGNMENT_BYTES == 0
    assert stacked.flags.c_contiguous


def test_large_strings_are_not_copied_at_all() -> None:
    """Encoded images are strings: the model gets references to the bytes."""
    requests = [
        PredictRequest("m", inputs=(Tensor("x", DType.DT_STRING, (1,), (bytes([n]) * LARGE_BYTES,)),))
        for n in range(3)
    ]
    parts = parts_of(requests)

    stacked = stack(parts, 0, 4)

    assert [text[0] for text in stacked] == [0, 1, 2, 2]
    data: RequestColumns = parts[0].columns
    assert stacked[0] is data.column(0)[0][0]


def test_rows_without_bytes_are_stacked() -> None:
    """Rows of nothing are still rows."""
    requests = [PredictRequest("m", inputs=(Tensor.from_numpy("x", np.empty((2, 0), "<f4")),))] * 2

    assert stack(parts_of(requests), 0, 6).shape == (6, 0)
