"""Acceptance 4: the control topic is the truth, for whoever reads it, whenever."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import Code
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from tests.kit import numpy_models
from tests.kit.deployment import Deployment, DeploymentFactory
from tests.kit.verifier import read_topic
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.kafka

UPDATES = 60
COMPACTS_SOON = {
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.01",
    "delete.retention.ms": "100",
    "min.compaction.lag.ms": "0",
    "max.compaction.lag.ms": "200",
}
"""What makes a broker compact within seconds what usually takes hours."""
X = numpy_models.pixels(2)


def ask(model: str, request_id: str, version: int | None = None) -> PredictRequest:
    """A small request."""
    return PredictRequest(model, version, inputs=(Tensor.from_numpy("x", X),), id=request_id)


def status(deployed: Deployment) -> dict[str, Any]:
    """What `headrace status` shows."""
    done = deployed.command("status", "--output", "json")
    assert done.returncode == 0, done.stderr
    shown: dict[str, Any] = json.loads(done.stdout)
    return shown


def wait_for_status(deployed: Deployment, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """What `headrace status` shows once it is so: what workers say is on its way for a moment."""
    seen: list[dict[str, Any]] = []

    def look() -> bool:
        seen.append(status(deployed))
        return holds(seen[-1])

    wait_until(look, lambda: f"another status than {seen[-1]}")
    return seen[-1]


def available(shown: dict[str, Any], worker: str) -> set[tuple[str, int]]:
    """The versions that a worker is shown to serve."""
    return {
        (each["model"], each["version"])
        for each in shown["servables"]
        if each["worker"] == worker and each["state"] == "AVAILABLE"
    }


def failed(shown: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The versions that are shown to have failed, by their models."""
    return {each["model"]: each for each in shown["servables"] if each["code"]}


def test_a_worker_started_late_reads_the_same_models_from_the_compacted_topic(
    deployment: DeploymentFactory, tmp_path: Path
) -> None:
    """After many changes and their compaction, a new worker serves what the first one serves, and no more."""
    for version in (1, 2, 3):
        numpy_models.write_dense(tmp_path / "m", version)
    deployed = deployment(topic_config={"control": COMPACTS_SOON})
    first = deployed.start_worker()
    deployed.set_model("gone", tmp_path / "m", [3])
    for n in range(UPDATES):
        deployed.set_model("often", tmp_path / "m", [1 + n % 3])
    deployed.set_model("once", tmp_path / "m", [2])
    deployed.set_model("often", tmp_path / "m", [1, 3])
    deployed.remove_model("gone")
    first.wait_until_assigned(4)

    def compacted() -> bool:
        return len(read_topic(deployed.where, deployed.control, 1)) < UPDATES // 2

    wait_until(compacted, "compaction of the control topic", every_seconds=0.5)
    late = deployed.start_worker()
    late.wait_until_assigned(2)

    served = {("often", 1), ("often", 3), ("once", 2)}
    wait_for_status(
        deployed,
        lambda shown: (
            available(shown, "w2") == available(shown, "w1") == served
            and {each["control_offset"] for each in shown["workers"]} == {UPDATES + 3}
        ),
    )
    # Partitions are shared, so that both are asked.
    deployed.send([ask("often", f"r{n}") for n in range(40)], keys=[b"%d" % n for n in range(40)])
    deployed.wait_until_answered()
    found = deployed.account()
    assert found.errors() == {}
    assert found.versions() == {3: 40}
    assert min(worker.metric("headrace_requests_total") for worker in (first, late)) > 0


def test_a_tombstone_unloads(deployment: DeploymentFactory, tmp_path: Path) -> None:
    """`headrace models remove` unloads every version; requests are then told that there is no such model."""
    numpy_models.write_dense(tmp_path / "m", 1)
    deployed = deployment()
    deployed.set_model("kept", tmp_path / "m", [1])
    deployed.set_model("removed", tmp_path / "m", [1])
    worker = deployed.start_worker()
    worker.wait_until_assigned(4)

    done = deployed.command("models", "remove", "removed", "--wait", "--timeout", "120")
    assert done.returncode == 0, done.stderr

    wait_for_status(deployed, lambda shown: available(shown, "w1") == {("kept", 1)})
    assert [str(e.state) for e in deployed.status_events("removed")][-2:] == ["UNLOADING", "END"]
    deployed.send([ask("removed", "gone"), ask("kept", "there")])
    deployed.wait_until_answered()
    found = deployed.account()
    assert found.the_reply("gone").code == Code.NOT_FOUND
    assert found.the_reply("there").code == Code.OK


def test_a_missing_path_fails_its_model_alone_and_heals_when_it_appears(
    deployment: DeploymentFactory, tmp_path: Path
) -> None:
    """The reason is shown and told, the other model serves, and no more than the path is needed to heal."""
    source = numpy_models.write_dense(tmp_path / "source", 1)
    base = tmp_path / "late"
    deployed = deployment()
    deployed.set_model("good", source.parent, [1])
    deployed.set_model("listed", base, [1])
    deployed.set_model("latest", base)
    worker = deployed.start_worker()
    worker.wait_until_assigned(4)

    shown = wait_for_status(deployed, lambda shown: failed(shown).keys() == {"listed", "latest"})
    assert available(shown, "w1") == {("good", 1)}
    for each in failed(shown).values():
        assert (each["state"], each["code"]) == ("END", int(Code.NOT_FOUND))
        assert "No such file or directory" in each["message"]
        assert str(base) in each["message"]
    waited = deployed.command("models", "wait", "listed", "--timeout", "120")
    assert waited.returncode == 1
    assert "worker w1" in waited.stderr
    assert "No such file or directory" in waited.stderr
    deployed.send([ask(model, model) for model in ("good", "listed", "latest")])
    deployed.wait_until_answered()
    early = deployed.account()
    assert early.the_reply("good").code == Code.OK
    for model in ("listed", "latest"):
        assert early.the_reply(model).code == Code.UNAVAILABLE
        assert "No such file or directory" in early.the_reply(model).message
        assert str(base) not in early.the_reply(model).message

    shutil.copytree(source, base / "1")
    for model in ("listed", "latest"):
        deployed.wait_for_state(model, 1, "AVAILABLE")
    deployed.send([ask(model, f"{model} again") for model in ("listed", "latest")])
    deployed.wait_until_answered()

    late = deployed.account()
    assert {late.the_reply(f"{model} again").code for model in ("listed", "latest")} == {Code.OK}
    served = {("good", 1), ("listed", 1), ("latest", 1)}
    wait_for_status(deployed, lambda shown: available(shown, "w1") == served and not failed(shown))
