"""A release that is wrong is not served: golden requests in the record, and beside the new version, on real workers."""

import json
from pathlib import Path

import pytest

from schemas.model_config import GOLDEN
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from tests.kit import numpy_models
from tests.kit.deployment import DeploymentFactory
from worker.request_files import GOLDEN_LINES

pytestmark = pytest.mark.kafka

MODEL = "m"
X = numpy_models.pixels(1)
LAST = 1_000_000_000


def golden(version: int) -> str:
    """A golden request that this version of the model answers as expected."""
    answer = numpy_models.expected(version, "serving_default", {"x": X})
    outputs = {name: array.tolist() for name, array in answer.items()}
    return json.dumps({"inputs": {"x": X.tolist()}, "outputs": outputs, "absolute_tolerance": 1e-3})


def request(number: int) -> PredictRequest:
    """One row for whichever version is the latest."""
    tensor = Tensor.from_numpy("x", numpy_models.pixels(1, number))
    return PredictRequest(MODEL, inputs=(tensor,), id=str(number))


def test_a_wrong_release_never_answers_a_request(deployment: DeploymentFactory, tmp_path: Path) -> None:
    """Each worker refuses it with the reason, the former version answers all, and the mended one takes over."""
    base = tmp_path / MODEL
    numpy_models.write_dense(base, 1)
    (tmp_path / "golden.jsonl").write_text(golden(1))
    deployed = deployment({"lifecycle.watch_seconds": 0.5})
    deployed.start_worker()
    deployed.start_worker()
    options = ("--base-path", str(base), "--loader", "numpy", "--golden", str(tmp_path / "golden.jsonl"))
    done = deployed.command("models", "set", MODEL, *options, "--wait", "--timeout", "60")
    assert done.returncode == 0, done.stdout + done.stderr

    with deployed.traffic(request, at_once=2) as traffic:
        second = numpy_models.write_dense(tmp_path / "new", 2)  # it answers otherwise than the record says
        second.rename(base / "2")
        for worker in ("w1", "w2"):
            failed = deployed.wait_for_state(MODEL, 2, "END", worker=worker)
            assert "the golden requests in the model's config: output 'best'[0] is" in failed.message
        deployed.set_model(MODEL, base, parameters={GOLDEN: golden(3).encode()})
        third = numpy_models.write_dense(tmp_path / "new", 3)
        (third / GOLDEN_LINES).parent.mkdir()
        (third / GOLDEN_LINES).write_text(golden(3))
        third.rename(base / "3")
        for worker in ("w1", "w2"):
            deployed.wait_for_state(MODEL, 3, "AVAILABLE", worker=worker)
    deployed.send([request(LAST)])
    deployed.wait_until_answered()

    found = deployed.account()
    assert found.errors() == {}
    assert found.missing(map(str, range(traffic.sent))) == []
    assert {reply.value.version for reply in found.all_replies()} <= {1, 3}
    assert [reply.value.version for reply in found.replies[str(LAST)]] == [3]
