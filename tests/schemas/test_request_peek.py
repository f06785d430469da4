"""The model of a request, also of a damaged one."""

import numpy as np
import pytest

from schemas import codec
from schemas.predict_reply import PredictReply
from schemas.predict_request import PredictRequest
from schemas.request_peek import MOST_NAME_BYTES, model_of
from schemas.tensor import Tensor
from schemas.varint import write_long

REQUEST = codec.encode(
    PredictRequest("fraud-é", inputs=(Tensor.from_numpy("x", np.zeros((2, 3), np.float32)),), id="7")
)


def test_the_model_of_a_request_is_read() -> None:
    """Without looking at the rest."""
    assert model_of(REQUEST) == "fraud-é"
    assert model_of(codec.encode(PredictRequest(""))) == ""


def test_the_model_of_a_damaged_request_is_read() -> None:
    """As long as the damage is behind the name."""
    assert model_of(REQUEST[:-10]) == "fraud-é"
    assert model_of(REQUEST + b"more") == "fraud-é"


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"garbage",
        b'{"instances": []}',
        REQUEST[:5],
        REQUEST[:10],
        REQUEST[:14],
        REQUEST[:2] + b"12345678" + REQUEST[10:],
        codec.encode(PredictReply("m", None)),
        REQUEST[:10] + write_long(MOST_NAME_BYTES + 1) + b"m" * (MOST_NAME_BYTES + 1),
        REQUEST[:10] + write_long(-1) + b"m",
        REQUEST[:10] + write_long(1) + b"\xff",
        REQUEST[:10] + b"\xff" * 12,
    ],
)
def test_of_anything_else_there_is_none(value: bytes | None) -> None:
    """Nothing is guessed, and nothing raised."""
    assert model_of(value) is None
