"""A frozen model keeps its versions, whatever comes to its base path and whichever worker starts."""

import json
from pathlib import Path

import pytest

from tests.kit import numpy_models
from tests.kit.deployment import Deployment, DeploymentFactory

pytestmark = pytest.mark.kafka


def described(deployed: Deployment, name: str) -> dict[str, dict[str, object]]:
    """Which versions `models describe` shows, and on which workers."""
    done = deployed.command("models", "describe", name, "--output", "json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    for version in document["versions"].values():
        assert version["signatures"]["serving_default"]["inputs"] == {
            "x": {"dtype": "DT_FLOAT", "shape": [None, numpy_models.PIXELS]}
        }
    return {number: version["workers"] for number, version in document["versions"].items()}


def test_a_frozen_model_follows_nothing_new_until_it_is_unfrozen(
    deployment: DeploymentFactory, tmp_path: Path
) -> None:
    """`latest` then means again what it says; each command waits until the workers have followed."""
    base = tmp_path / "m"
    numpy_models.write_dense(base, 1)
    deployed = deployment()
    deployed.set_model("m", base)
    deployed.start_worker().wait_until_assigned(4)

    def run(*arguments: str) -> str:
        done = deployed.command("models", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("freeze", "m", "--comment", "holiday", "--wait")
    numpy_models.write_dense(base, 2)
    run("retry", "m", "--wait")
    deployed.start_worker().wait_until_assigned(2)
    assert {number: set(workers) for number, workers in described(deployed, "m").items()} == {
        "1": {"w1", "w2"}
    }
    refused = deployed.command("models", "rollback", "m")
    assert refused.returncode == 1
    assert "headrace models unfreeze m" in refused.stderr

    run("unfreeze", "m", "--wait")
    deployed.wait_until_gone("m", 1)
    assert set(described(deployed, "m")) == {"2"}
