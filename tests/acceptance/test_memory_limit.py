"""A model too big for the memory that models may have: it fails alone, with a reason, and nobody else notices."""

from pathlib import Path

import numpy as np
import pytest

from schemas.errors import Code
from schemas.predict_request import PredictRequest
from schemas.servable_status import ServableState
from schemas.tensor import Tensor
from tests.kit import numpy_models
from tests.kit.deployment import DeploymentFactory
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.kafka


def request(number: int) -> PredictRequest:
    """One row for the small model."""
    row = Tensor.from_numpy("x", numpy_models.pixels(1, number))
    return PredictRequest("small", inputs=(row,), id=str(number))


def test_a_model_that_is_too_big_fails_alone_and_comes_once_it_is_not(
    deployment: DeploymentFactory, tmp_path: Path
) -> None:
    """Its status says what it needs and what there is; the small one answers every request all the while."""
    numpy_models.write_dense(tmp_path / "small")
    filler = numpy_models.write_dense(tmp_path / "big") / "filler.npy"
    np.save(filler, np.zeros(250_000))
    deployed = deployment({"lifecycle.host_memory_bytes": 1_000_000, "lifecycle.watch_seconds": 0.2})
    deployed.set_model("small", tmp_path / "small")
    worker = deployed.start_worker()
    worker.wait_until_assigned(4)

    with deployed.traffic(request) as traffic:
        wait_until(lambda: traffic.sent >= 200, "requests that flow")
        where = ("--base-path", str(tmp_path / "big"), "--loader", "numpy")
        done = deployed.command("models", "set", "big", *where, "--wait")
        after = traffic.sent
        wait_until(lambda: traffic.sent >= after + 200, "requests that flow")
    deployed.wait_until_answered()

    assert done.returncode == 1
    assert "big/1 is too big" in " ".join((done.stdout + done.stderr).split())
    said = deployed.status_events("big")[-1]
    assert (said.state, said.code) == (ServableState.END, Code.RESOURCE_EXHAUSTED)
    assert "it needs 1.91 MiB of the host's memory, and models may have 976.56 KiB" in said.message
    assert worker.metric("headrace_model_memory_limit_bytes", device="host") == 1_000_000
    assert deployed.account().errors() == {}

    filler.unlink()

    deployed.wait_for_state("big", 1, ServableState.AVAILABLE)
    assert 0 < deployed.status_events("big")[-1].memory_bytes["host"] < 10_000
