"""More lazy models than there is memory for: each request is answered, and the model that was set eager stays."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

from schemas.predict_request import PredictRequest
from schemas.servable_status import ServableState
from schemas.tensor import Tensor
from tests.kit import numpy_models
from tests.kit.deployment import Deployment, DeploymentFactory
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.kafka

LAZY = {f"m{number:02}": number + 2 for number in range(12)}
"""Each with the number of its version, by which its answers can be told from the others'."""
EAGER = "eager"
VERSIONS = {EAGER: 1, **LAZY}
FILLER_BYTES = 400_000
MEMORY_BYTES = 2_000_000
"""Of models with that filler four fit by their estimates, and at most twice as many by what was measured."""
REQUESTS = 600


def write_models(folder: Path) -> Path:
    """The models, and the file that sets them."""
    lines = []
    for name, version in VERSIONS.items():
        directory = numpy_models.write_dense(folder / name, version)
        lines += [f"[models.{name}]", f'base_path = "{folder / name}"', 'loader = "numpy"']
        if name != EAGER:
            np.save(directory / "filler.npy", np.zeros(FILLER_BYTES // 8))
            lines.append('loading = "lazy"')
    file = folder / "models.toml"
    file.write_text("\n".join(lines))
    return file


def model_of(number: int) -> str:
    """The model that a request of this number is for: any, by chance."""
    return random.Random(number).choice(list(VERSIONS))


def request(number: int) -> PredictRequest:
    """One row."""
    row = Tensor.from_numpy("x", numpy_models.pixels(1, number))
    return PredictRequest(model_of(number), inputs=(row,), id=str(number))


def assert_right(deployed: Deployment, sent: int) -> None:
    """Each request has the answer of the model that it asked for."""
    found = deployed.account()
    assert found.errors() == {}
    assert found.missing(map(str, range(sent))) == []
    for number in range(sent):
        reply, name = found.the_reply(str(number)), model_of(number)
        inputs = {"x": numpy_models.pixels(1, number)}
        expected = numpy_models.expected(VERSIONS[name], "serving_default", inputs)
        assert (reply.value.model, reply.value.version) == (name, VERSIONS[name])
        assert reply.outputs["best"].tolist() == expected["best"].tolist()
        np.testing.assert_allclose(reply.outputs["scores"], expected["scores"], atol=1e-4)


def asleep(deployed: Deployment) -> set[str]:
    """The models that `headrace status` shows as asleep."""
    done = deployed.command("status", "--output", "json")
    assert done.returncode == 0, done.stderr
    return {each["model"] for each in json.loads(done.stdout)["servables"] if each["asleep"]}


def test_twelve_lazy_models_where_few_fit_are_all_answered(
    deployment: DeploymentFactory, tmp_path: Path
) -> None:
    """They are loaded as they are asked for, in turns; whoever sets them does not wait for that."""
    file = write_models(tmp_path)
    deployed = deployment({"lifecycle.host_memory_bytes": MEMORY_BYTES, "holding.loading_seconds": 60})
    worker = deployed.start_worker()
    applied = deployed.command("models", "apply", str(file), "--wait")
    assert applied.returncode == 0, applied.stdout + applied.stderr
    assert asleep(deployed) == set(LAZY)
    worker.wait_until_assigned(4)

    with deployed.traffic(request) as traffic:
        wait_until(lambda: traffic.sent >= REQUESTS, "requests that flow")
    deployed.wait_until_answered()

    assert_right(deployed, traffic.sent)
    assert worker.metric("headrace_lazy_wakes_total") >= len(LAZY)
    assert worker.metric("headrace_lazy_unloads_total", reason="memory") > 0
    assert 0 < worker.metric("headrace_lazy_models_awake") < len(LAZY)
    assert worker.metric("headrace_model_memory_reserved_bytes", device="host") <= MEMORY_BYTES
    assert asleep(deployed) < set(LAZY)
    states = [each.state for each in deployed.status_events(EAGER)]
    assert states[-1] is ServableState.AVAILABLE
    assert ServableState.UNLOADING not in states
    assert worker.wait_for_log("a lazy model is unloaded until it is asked for again")["reason"] == "memory"


def test_no_more_lazy_models_are_loaded_than_are_allowed_and_idle_ones_go(
    deployment: DeploymentFactory, tmp_path: Path
) -> None:
    """The number holds where memory is plenty; a new version of one that sleeps is what the next request gets."""
    file = write_models(tmp_path)
    most = 3
    deployed = deployment(
        {
            "lifecycle.most_lazy_models": most,
            "lifecycle.lazy_idle_seconds": 1,
            "lifecycle.watch_seconds": 0.2,
            "holding.loading_seconds": 60,
        }
    )
    worker = deployed.start_worker()
    assert deployed.command("models", "apply", str(file), "--wait").returncode == 0
    worker.wait_until_assigned(4)
    deployed.send([request(number) for number in range(100)])
    deployed.wait_until_answered()
    assert_right(deployed, 100)
    assert worker.metric("headrace_lazy_models_awake") <= most
    assert worker.metric("headrace_lazy_unloads_total", reason="number") > 0
    wait_until(lambda: asleep(deployed) == set(LAZY), "idle models that are unloaded")
    assert worker.metric("headrace_lazy_unloads_total", reason="idle") > 0

    numpy_models.write_dense(tmp_path / "m00", 50)
    waited = deployed.command("models", "wait", "m00", "--version", "50")
    assert waited.returncode == 0, waited.stderr
    row = Tensor.from_numpy("x", numpy_models.pixels(1))
    deployed.send([PredictRequest("m00", inputs=(row,), id="new")])
    deployed.wait_until_answered()
    assert deployed.account().the_reply("new").value.version == 50
