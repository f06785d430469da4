"""Replies to requests whose rows differ are the general encoder's, byte for byte."""

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import encode
from schemas.predict_reply import PredictReply
from schemas.ragged_replies import MOST_COUNTS, encode_replies
from schemas.tensor import Tensor
from tests.schemas import strategies
from tests.schemas.test_reply_columns import outputs


def expected(
    arrays: dict[str, npt.NDArray[Any]], rows: list[int], ids: list[str], version: int | None = 1
) -> list[bytes]:
    """What the general encoder writes for each request's rows."""
    edges = itertools.pairwise(itertools.accumulate(rows, initial=0))
    return [
        encode(
            PredictReply(
                "m",
                version,
                tuple(Tensor.from_numpy(name, array[start:stop]) for name, array in arrays.items()),
                None,
                request_id,
            )
        )
        for (start, stop), request_id in zip(edges, ids, strict=True)
    ]


@given(st.data(), st.lists(st.tuples(st.integers(1, 3), st.text(max_size=70)), min_size=1, max_size=5))
def test_replies_are_the_general_encoders(data: st.DataObject, requests: list[tuple[int, str]]) -> None:
    """Any outputs, rows and ids: each reply is what the general encoder writes for its rows."""
    rows, ids = [count for count, _ in requests], [request_id for _, request_id in requests]
    version = data.draw(st.none() | strategies.longs)
    arrays = data.draw(st.dictionaries(strategies.texts, outputs(sum(rows)), max_size=3))

    found = encode_replies("m", version, arrays, rows, [i.encode() for i in ids])

    assert found == expected(arrays, rows, ids, version)


def test_any_number_of_row_counts_is_answered() -> None:
    """Requests with more different numbers of rows than are remembered are answered like the others."""
    rows = list(range(1, MOST_COUNTS + 3))
    array = np.arange(sum(rows), dtype=np.uint8).reshape(-1, 1)

    found = encode_replies("m", 1, {"y": array}, rows, [b"i"] * len(rows))

    assert found[-3:] == expected({"y": array}, rows, ["i"] * len(rows))[-3:]


def test_outputs_of_other_rows_are_refused() -> None:
    """An output that has not a row for each row of the requests belongs to nobody."""
    with pytest.raises(ValueError, match="3 rows were expected in dimension 0"):
        encode_replies("m", 1, {"y": np.zeros((4, 1), np.float32)}, [1, 2], [b"a", b"b"])
