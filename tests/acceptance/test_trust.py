"""Who writes control records gets no further than the operator allows, and nobody else notices."""

from pathlib import Path

import pytest

from schemas.predict_request import PredictRequest
from schemas.servable_status import ServableStatus
from schemas.tensor import Tensor
from tests.kit import numpy_models
from tests.kit.deployment import DeploymentFactory
from tests.kit.waiting import wait_until
from worker.status_topic import WHOLE_MODEL

pytestmark = pytest.mark.kafka


def request(number: int) -> PredictRequest:
    """One row for the model that is in order."""
    row = Tensor.from_numpy("x", numpy_models.pixels(1, number))
    return PredictRequest("good", inputs=(row,), id=str(number))


def test_records_reach_nothing_outside_the_roots_and_no_loader_that_is_not_enabled(
    deployment: DeploymentFactory, tmp_path: Path
) -> None:
    """By name, by `..`, by a link in the base path or as a version: each is told, and the good model answers."""
    root, outside = tmp_path / "models", tmp_path / "outside"
    numpy_models.write_dense(root / "good")
    numpy_models.write_dense(outside)
    (root / "linked").symlink_to(outside)
    (root / "version").mkdir()
    (root / "version" / "1").symlink_to(outside / "1")
    deployed = deployment(
        {
            "lifecycle.base_path_roots": [str(root)],
            "lifecycle.loaders": ["numpy"],
            "lifecycle.load_retries": 0,
        }
    )
    deployed.set_model("good", root / "good")
    worker = deployed.start_worker()
    worker.wait_until_assigned(4)

    with deployed.traffic(request, at_once=2) as traffic:
        deployed.set_model("named", outside)
        deployed.set_model("climbing", root / ".." / "outside")
        deployed.set_model("foreign", root / "good", loader="saved_model")
        deployed.set_model("linked", root / "linked")
        deployed.set_model("version", root / "version", [1])
        deployed.set_model("good", outside)

        def end(model: str, version: int = WHOLE_MODEL) -> ServableStatus:
            return deployed.wait_for_state(model, version, "END")

        assert "lies under none of lifecycle.base_path_roots" in end("named").message
        assert "has '..' in it" in end("climbing").message
        assert "loader 'saved_model' is not enabled on this worker" in end("foreign").message
        assert f"leads to '{outside}'" in end("linked").message
        assert f"leads to '{outside / '1'}'" in end("version", 1).message
        assert "lies under none of lifecycle.base_path_roots" in end("good").message
        before = traffic.sent
        wait_until(lambda: traffic.sent >= before + 100, "requests that flow")
    deployed.wait_until_answered()

    assert deployed.account().errors() == {}
