"""Requests for models that are not there: held while there is hope, else told why, and nobody else waits."""

from pathlib import Path

import pytest

from schemas import headers
from schemas.errors import Code
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from tests.kit import gated_models, numpy_models
from tests.kit.deployment import Deployment, DeploymentFactory
from tests.kit.waiting import wait_until
from tests.kit.worker import RunningWorker
from worker.kafka.records import Headers

pytestmark = pytest.mark.kafka

X = numpy_models.pixels(2)


def ask(
    model: str, request_id: str = "", version: int | None = None, label: str | None = None
) -> PredictRequest:
    """A small request; its id is its model's name unless another is given."""
    return PredictRequest(model, version, label, inputs=(Tensor.from_numpy("x", X),), id=request_id or model)


def within(milliseconds: int) -> Headers:
    """The header that gives a request so much time."""
    return [(headers.TIMEOUT_MS, b"%d" % milliseconds)]


def start(deployed: Deployment, folder: Path) -> RunningWorker:
    """A worker that serves the model `ready`."""
    numpy_models.write_dense(folder / "ready", 1)
    deployed.set_model("ready", folder / "ready", [1])
    worker = deployed.start_worker()
    worker.wait_until_assigned(4)
    return worker


def test_requests_for_a_model_that_is_loading_are_held_and_then_answered(
    deployment: DeploymentFactory, tmp_path: Path, gated: str
) -> None:
    """They wait beside the flow: others are answered meanwhile."""
    deployed = deployment({"holding.loading_seconds": 600})
    worker = start(deployed, tmp_path)
    loading = numpy_models.write_dense(tmp_path / "loading", 1, load_seconds=0.01)
    deployed.set_model("loading", tmp_path / "loading", [1], loader=gated)
    deployed.wait_for_state("loading", 1, "LOADING")

    deployed.send([ask("loading", f"held {n}") for n in range(20)])
    deployed.send([ask("ready")])
    wait_until(lambda: worker.metric("headrace_held_rows", reason="loading") == 40, "40 rows that are held")
    wait_until(lambda: deployed.replies_written() == 1, "the other's reply")
    gated_models.open_gate(loading)
    deployed.wait_until_answered()

    found = deployed.account()
    assert found.errors() == {}
    held = [found.the_reply(f"held {n}") for n in range(20)]
    (loaded,) = [e for e in deployed.status_events("loading") if str(e.state) == "AVAILABLE"]
    assert found.the_reply("ready").timestamp_ms < loaded.time
    assert {reply.value.version for reply in held} == {1}
    assert found.repeated() == {}


def test_a_request_is_held_no_longer_than_its_own_time_and_the_limit(
    deployment: DeploymentFactory, tmp_path: Path
) -> None:
    """Past its deadline it is told so, past the limit that the model is still loading."""
    deployed = deployment({"holding.loading_seconds": 2})
    start(deployed, tmp_path)
    numpy_models.write_dense(tmp_path / "loading", 1, load_seconds=600)
    deployed.set_model("loading", tmp_path / "loading", [1])
    deployed.wait_for_state("loading", 1, "LOADING")

    deployed.send(
        [
            ask("loading", "short of time"),
            ask("loading", "no deadline"),
            ask("loading", "time enough"),
            ask("ready", "too late already"),
            ask("ready", "in time"),
        ],
        headers=[within(100), None, within(60_000), within(0), within(60_000)],
    )
    deployed.wait_until_answered()

    found = deployed.account()
    late = found.the_reply("short of time")
    assert late.code == found.the_reply("too late already").code == Code.DEADLINE_EXCEEDED
    assert found.the_reply("in time").code == Code.OK
    for name in ("no deadline", "time enough"):
        assert found.the_reply(name).code == Code.UNAVAILABLE
        assert "version 1 of model 'loading' is still loading" in found.the_reply(name).message
        assert found.the_reply(name).timestamp_ms > late.timestamp_ms


def test_requests_that_no_version_answers_are_told_why(deployment: DeploymentFactory, tmp_path: Path) -> None:
    """Unknown models, versions and labels; a model that has failed, with the reason, until it heals."""
    deployed = deployment({"lifecycle.load_retries": 0, "lifecycle.retry_failed_seconds": 0.5})
    start(deployed, tmp_path)
    (tmp_path / "failing" / "1").mkdir(parents=True)
    deployed.set_model("failing", tmp_path / "failing", [1])
    deployed.wait_for_state("failing", 1, "END")

    deployed.send(
        [
            ask("nobody"),
            ask("ready", "version", version=7),
            ask("ready", "label", label="best"),
            ask("failing"),
        ]
    )
    deployed.wait_until_answered()
    found = deployed.account()
    codes = {name: found.the_reply(name).code for name in ("nobody", "version", "label", "failing")}
    assert codes == {
        "nobody": Code.NOT_FOUND,
        "version": Code.NOT_FOUND,
        "label": Code.INVALID_ARGUMENT,
        "failing": Code.UNAVAILABLE,
    }
    assert "model 'nobody' is not on the control topic" in found.the_reply("nobody").message
    assert "the versions of 'ready' are: 1" in found.the_reply("version").message
    assert "has no label 'best'" in found.the_reply("label").message
    assert "model.json cannot be read: No such file or directory" in found.the_reply("failing").message
    assert str(tmp_path) not in found.the_reply("failing").message

    (tmp_path / "failing" / "1").rmdir()
    numpy_models.write_dense(tmp_path / "failing", 1)
    deployed.wait_for_state("failing", 1, "AVAILABLE")
    deployed.send([ask("failing", "healed")])
    deployed.wait_until_answered()
    assert deployed.account().the_reply("healed").code == Code.OK


def test_requests_are_told_at_their_deadline_that_a_busy_model_is_late(
    deployment: DeploymentFactory, tmp_path: Path, gated: str
) -> None:
    """While the model is still with others, which are answered whenever it is back."""
    deployed = deployment(
        {"batching.max_batch_rows": 2, "batching.max_enqueued_batches": 16, "lifecycle.warmup": False},
        partitions=1,
    )
    busy = numpy_models.write_dense(tmp_path / "busy", 1, sleep_seconds=0.01)
    deployed.set_model("busy", tmp_path / "busy", [1], loader=gated)
    worker = deployed.start_worker()
    worker.wait_until_assigned(1)
    deployed.wait_for_state("busy", 1, "AVAILABLE")

    patient = [f"patient {n}" for n in range(6)]
    urgent = [f"urgent {n}" for n in range(40)]
    deployed.send([ask("busy", name) for name in patient])
    deployed.send([ask("busy", name) for name in urgent], headers=[within(500)] * len(urgent))
    wait_until(lambda: deployed.replies_written() == len(urgent), lambda: f"refusals: {worker.log_tail()}")
    early = deployed.account().replies
    gated_models.open_gate(busy)
    deployed.wait_until_answered()

    assert set(early) == set(urgent)
    found = deployed.account()
    assert found.missing(patient + urgent) == []
    assert found.repeated() == {}
    codes = {name: found.the_reply(name).code for name in patient + urgent}
    assert codes == {**dict.fromkeys(patient, Code.OK), **dict.fromkeys(urgent, Code.DEADLINE_EXCEEDED)}
