"""Replies are matched with their requests."""

import numpy as np

from benchmarks import load
from benchmarks.reply_times import latencies, request_number
from schemas import codec
from schemas.predict_reply import PredictReply
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor


def test_a_request_and_its_reply_have_its_number() -> None:
    """The number is read from both, so that echo and headrace are measured by one rule."""
    request = next(load.values(8))[7]
    outputs = (Tensor.from_numpy("scores", np.zeros((1, 10), np.float32)),)
    reply = codec.encode(
        PredictReply(load.MODEL, 1, outputs=outputs, id=codec.decode(request, PredictRequest).id)
    )

    assert request_number(request) == 7
    assert request_number(reply) == 7


def test_latency_counts_from_due_to_the_first_reply() -> None:
    """Replies come in any order and maybe twice; the first one counts."""
    due = np.array([1.0, 2.0, 3.0])

    found = latencies(due, [(2.5, 1), (3.5, 0), (4.0, 2), (9.0, 1)])

    assert found.tolist() == [2.5, 0.5, 1.0]


def test_a_request_without_reply_has_no_latency() -> None:
    """It is not counted as fast."""
    found = latencies(np.array([1.0, 2.0]), [(1.5, 0)])

    assert found[0] == 0.5
    assert np.isnan(found[1])
