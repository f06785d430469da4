"""A request that makes its whole batch fail, among 255 others: one error reply, and 255 right ones."""

import math
from pathlib import Path

import numpy as np
import pytest

from schemas.errors import Code
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from tests.kit import numpy_models
from tests.kit.deployment import DeploymentFactory
from tests.kit.models import SavedModels

pytestmark = [pytest.mark.kafka, pytest.mark.tensorflow]

MODEL = "picky"
REQUESTS, POISONED = 256, 101


def request(number: int) -> PredictRequest:
    """A request of one row: a number in words that the model reads, or one that no batch survives."""
    text = b"" if number == POISONED else b"%d" % number
    s = Tensor.from_numpy("s", numpy_models.rows(text))
    return PredictRequest(MODEL, signature="words", inputs=(s,), id=f"{number}")


def test_one_poisoned_request_in_256_fails_alone(deployment: DeploymentFactory, tmp_path: Path) -> None:
    """The batch is searched for it, in a number of runs that grows with the logarithm of its size."""
    deployed = deployment(
        {
            "batching.max_batch_rows": REQUESTS,
            "batching.batch_timeout_seconds": 60.0,
            "lifecycle.warmup": False,
        },
        partitions=1,
    )
    deployed.set_model(MODEL, SavedModels(tmp_path / "models").picky().parent, loader="saved_model")
    worker = deployed.start_worker()
    worker.wait_until_assigned(1)
    deployed.wait_for_state(MODEL, 1, "AVAILABLE")
    deployed.send([request(number) for number in range(REQUESTS)])
    deployed.wait_until_answered()

    assert worker.metric("headrace_batch_rows_count") == 1, "all of them were one batch"
    found = deployed.account()
    assert found.missing(map(str, range(REQUESTS))) == []
    assert found.repeated() == {}
    assert {request_id for request_id, (reply, *_) in found.replies.items() if reply.code} == {f"{POISONED}"}
    assert found.the_reply(f"{POISONED}").code == Code.INVALID_ARGUMENT
    for number in set(range(REQUESTS)) - {POISONED}:
        (value,) = found.the_reply(f"{number}").outputs["number"].tolist()
        assert value == np.float32(number)
    runs = worker.metric("headrace_batch_run_seconds_count", model=MODEL)
    assert runs <= 1 + 2 * math.log2(REQUESTS)
