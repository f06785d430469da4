"""Many models set by one file: those that can be served are, the others are told, and nobody else notices."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from tests.kit import numpy_models
from tests.kit.deployment import DeploymentFactory
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.kafka

MODELS, BROKEN = 1_000, 50


def write_models(folder: Path) -> dict[str, Path]:
    """Base paths by name; every twentieth model is broken in one of three ways."""
    template = numpy_models.write_dense(folder / "template")
    found = {}
    for number in range(MODELS):
        base = found[f"m{number:03}"] = folder / f"m{number:03}"
        if number % (MODELS // BROKEN):
            shutil.copytree(template, base / "1")
            continue
        match number % 3:
            case 0:
                base.mkdir()  # no version in it
            case 1:
                (base / "1").mkdir(parents=True)  # no model in it
            case 2:
                shutil.copytree(template, base / "1")
                (base / "1" / "model.json").write_text("{")
    return found


def request(number: int) -> PredictRequest:
    """One row for the model that was there before."""
    row = Tensor.from_numpy("x", numpy_models.pixels(1, number))
    return PredictRequest("before", inputs=(row,), id=str(number))


def test_a_thousand_models_in_one_file_are_served_but_for_fifty_that_are_broken(
    deployment: DeploymentFactory, tmp_path: Path
) -> None:
    """`apply --wait` says which and why; a model that is served meanwhile answers every request."""
    models = write_models(tmp_path / "models")
    broken = {name for n, name in enumerate(models) if n % (MODELS // BROKEN) == 0}
    numpy_models.write_dense(tmp_path / "before")
    file = tmp_path / "models.toml"
    file.write_text(
        "".join(
            f'[models.{name}]\nbase_path = "{base}"\nloader = "numpy"\nversions = "latest:1"\n'
            for name, base in models.items()
        )
    )
    deployed = deployment({"lifecycle.load_retries": 0})
    deployed.set_model("before", tmp_path / "before")
    deployed.start_worker().wait_until_assigned(4)

    with deployed.traffic(request) as traffic:
        wait_until(lambda: traffic.sent >= 200, "requests that flow")
        applied = deployed.command("models", "apply", str(file), "--wait", "--output", "json")
        after = traffic.sent
        wait_until(lambda: traffic.sent >= after + 200, "requests that flow")
    deployed.wait_until_answered()

    assert applied.returncode == 1, applied.stderr
    document = json.loads(applied.stdout)
    assert len(document["set"]) == MODELS
    outcomes = document["outcomes"]
    assert {name for name, outcome in outcomes.items() if not outcome["done"]} == broken
    assert all(outcome["workers"] == {"w1": [1]} for outcome in outcomes.values() if outcome["done"])
    reasons = {outcomes[name]["reason"] for name in broken}
    for why in ("no version", "model.json"):
        assert any(why in reason for reason in reasons), reasons
    assert "of 1,000 models 50 failed (m000, m020, m040, m060, m080 and 45 more)" in applied.stderr
    found = deployed.account()
    assert found.errors() == {}
    assert found.missing(map(str, range(traffic.sent))) == []

    again = deployed.command("models", "apply", str(file), "--dry-run", "--prune", "--output", "json")
    assert again.returncode == 0
    shown = json.loads(again.stdout)
    assert (len(shown["unchanged"]), shown["set"], shown["removed"]) == (MODELS, {}, ["before"])


def test_a_model_that_was_mended_is_served_at_once_after_a_retry(
    deployment: DeploymentFactory, tmp_path: Path
) -> None:
    """Nobody has to wait until the worker tries by itself, which here is a day."""
    version = numpy_models.write_dense(tmp_path / "m")
    good = (version / "model.json").read_text()
    (version / "model.json").write_text("{")
    deployed = deployment({"lifecycle.load_retries": 0, "lifecycle.retry_failed_seconds": 86_400})
    deployed.set_model("m", tmp_path / "m", [1])
    deployed.start_worker()
    deployed.wait_for_state("m", 1, "END")

    still = deployed.command("models", "retry", "m", "--wait")
    assert still.returncode == 1, still.stdout
    assert "model.json" in still.stderr
    (version / "model.json").write_text(good)
    mended = deployed.command("models", "retry", "m", "--wait")
    assert mended.returncode == 0, mended.stderr
    deployed.send(
        [PredictRequest("m", inputs=(Tensor.from_numpy("x", np.zeros((1, 64), np.float32)),), id="a")]
    )
    deployed.wait_until_answered()
    assert deployed.account().errors() == {}


def test_a_model_that_was_mended_is_served_by_itself(deployment: DeploymentFactory, tmp_path: Path) -> None:
    """Its files are looked at; whoever mends them need not say so."""
    version = numpy_models.write_dense(tmp_path / "m")
    good = (version / "model.json").read_text()
    (version / "model.json").write_text("{")
    settings = {"load_retries": 0, "retry_failed_seconds": 86_400, "watch_seconds": 0.5}
    deployed = deployment({f"lifecycle.{name}": value for name, value in settings.items()})
    deployed.set_model("m", tmp_path / "m", [1])
    worker = deployed.start_worker()
    deployed.wait_for_state("m", 1, "END")
    worker.wait_until_assigned(4)

    # What is mended before it is first looked at is not seen to change: so it goes on changing until it is.
    def mended() -> bool:
        (version / "model.json").write_text(good + " ")
        return "it is tried again" in worker.log_tail(50)

    (version / "model.json").write_text(good)
    wait_until(mended, "a change that is seen", every_seconds=3.0)
    deployed.wait_for_state("m", 1, "AVAILABLE")
