"""Every way in which a model may fail to load, all at once, beside two that serve: each fails alone and says why."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from schemas.errors import Code
from schemas.predict_request import PredictRequest
from schemas.servable_status import ServableState, ServableStatus
from schemas.tensor import Tensor
from tests.kit import faulty_loaders, numpy_models
from tests.kit.deployment import Deployment, DeploymentFactory
from tests.kit.models import SavedModels
from tests.kit.waiting import wait_until
from tests.kit.webhdfs import WebHdfs
from tests.kit.worker import RunningWorker

pytestmark = [pytest.mark.kafka, pytest.mark.tensorflow]

LIMIT_SECONDS = 20.0
"""Of a load: the model of TensorFlow that serves has to import it in that time."""
MEMORY_BYTES = 200 << 20
SERVING = ("healthy", "served")
NOT_THERE = "not every version is there; looking again until it is"
REASONS: dict[str, tuple[Code, tuple[str, ...]]] = {
    "too_big": (
        Code.RESOURCE_EXHAUSTED,
        ("too_big/1 is too big: it needs 1.00 GiB of the host's memory", "raise lifecycle.host_memory_bytes"),
    ),
    "corrupt": (Code.FAILED_PRECONDITION, ("saved_model.pb is no SavedModel", "export the model again")),
    "wrong_op": (
        Code.FAILED_PRECONDITION,
        ("an operation that this TensorFlow lacks: 'MutMal'", "export it without"),
    ),
    "vanished": (Code.UNAVAILABLE, ("the version's directory does not exist", "put it back")),
    "no_disk": (
        Code.UNAVAILABLE,
        ("there is no room for a copy of", "whose disk has", "model_cache.most_bytes", "unload versions"),
    ),
    "hanging": (
        Code.DEADLINE_EXCEEDED,
        (
            "hanging/1 took longer than its limit of 20 s",
            "lifecycle.load_timeout_seconds",
            "restart of the worker",
        ),
    ),
    "exiting": (
        Code.UNAVAILABLE,
        ("loading exiting/1 failed", "SystemExit: no licence was found", "mend the loader"),
    ),
    "panicking": (Code.UNAVAILABLE, ("panicking/1", "PanicError: index out of bounds", "mend the loader")),
    "outofmemory": (Code.UNAVAILABLE, ("outofmemory/1", "MemoryError", "unload another version")),
}
"""What each model's status says once it has failed: the code, and the words by which a person knows what to do."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[WebHdfs]:
    """A folder that is served."""
    with WebHdfs(tmp_path / "store") as served:
        yield served


def request(number: int) -> PredictRequest:
    """One row for the two models that serve, in turns."""
    row = Tensor.from_numpy("x", numpy_models.pixels(1, number))
    return PredictRequest(SERVING[number % len(SERVING)], inputs=(row,), id=str(number))


def grow(version: Path, size_bytes: int) -> Path:
    """Have a version take so much memory, by a file that takes nothing of the disk."""
    with (version / "filler.npy").open("wb") as file:
        file.truncate(size_bytes)
    return version


def write_models(
    folder: Path, store: WebHdfs, saved_models: SavedModels
) -> dict[str, tuple[Path | str, str]]:
    """Base path and loader of each model that fails, by name; the corrupt ones are copies of one that serves."""
    grow(numpy_models.write_dense(folder / "too_big"), 1 << 30)
    shutil.copytree(saved_models.corrupt(), folder / "corrupt" / "1")
    shutil.copytree(saved_models.unknown_operation(), folder / "wrong_op" / "1")
    grow(numpy_models.write_dense(folder / "vanished"), MEMORY_BYTES * 3 // 4)
    # More than the disk of the copies has free, whatever that is.
    grow(numpy_models.write_dense(store.folder / "no_disk"), 2 * shutil.disk_usage(folder).free)
    loaders = {"corrupt": "saved_model", "wrong_op": "saved_model", "vanished": "late"}
    for name in faulty_loaders.LOADERS:
        if name in REASONS:
            numpy_models.write_dense(folder / name)
            loaders[name] = name
    places: dict[str, Path | str] = {name: folder / name for name in REASONS}
    places["no_disk"] = f"{store.root}/no_disk"
    return {name: (place, loaders.get(name, "numpy")) for name, place in places.items()}


def start(deployed: Deployment, folder: Path, saved_models: SavedModels) -> RunningWorker:
    """A worker with the two models that serve, one of TensorFlow and one of NumPy."""
    shutil.copytree(saved_models.dense(), folder / "healthy" / "1")
    numpy_models.write_dense(folder / "served")
    deployed.set_model("healthy", folder / "healthy", loader="saved_model")
    deployed.set_model("served", folder / "served")
    worker = deployed.start_worker()
    worker.wait_until_assigned(4)
    for name in SERVING:
        deployed.wait_for_state(name, 1, ServableState.AVAILABLE)
    return worker


def says(deployed: Deployment, model: str, words: str) -> ServableStatus:
    """Wait until a model's status has said these words."""

    def found() -> list[ServableStatus]:
        return [each for each in deployed.status_events(model) if words in each.message]

    return wait_until(found, f"{model}: {words}", every_seconds=0.5)[-1]


def test_each_of_nine_faults_fails_alone_with_a_reason_and_nothing_else_notices(
    deployment: DeploymentFactory,
    store: WebHdfs,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Too big, corrupt, a wrong operation, gone before and after its load, a full disk, loaders that hang or crash."""
    saved_models = SavedModels(tmp_path_factory.mktemp("saved_models"))
    faulty_loaders.offer(tmp_path / "site", monkeypatch)
    folder = tmp_path / "models"
    faults = write_models(folder, store, saved_models)
    file = tmp_path / "models.toml"
    file.write_text(
        "".join(
            f'[models.{name}]\nbase_path = "{place}"\nloader = "{loader}"\nversions = "latest:1"\n'
            for name, (place, loader) in faults.items()
        )
    )
    deployed = deployment(
        {
            "lifecycle.base_path_roots": [str(folder), store.root],
            "lifecycle.host_memory_bytes": MEMORY_BYTES,
            "lifecycle.load_retries": 0,
            "lifecycle.retry_failed_seconds": 86_400,
            "lifecycle.most_retry_failed_seconds": 86_400,
            "lifecycle.load_timeout_seconds": LIMIT_SECONDS,
            # One hangs, one waits for the test; a crash that took its thread along would leave none for the others.
            "lifecycle.load_threads": 3,
            "lifecycle.watch_seconds": 0.5,
            "model_cache.folder": str(tmp_path / "cache"),
            "model_cache.most_bytes": 1 << 60,
        }
    )
    worker = start(deployed, folder, saved_models)

    with deployed.traffic(request) as traffic:
        wait_until(lambda: traffic.sent >= 100, "requests that flow")
        applied = deployed.command("models", "apply", str(file), "--output", "json")
        assert applied.returncode == 0, applied.stderr

        # While one load has most of the memory, another one waits for it and says so.
        deployed.wait_for_state("vanished", 1, ServableState.LOADING)
        grow(numpy_models.write_dense(folder / "waits"), MEMORY_BYTES // 2)
        deployed.set_model("waits", folder / "waits")
        waiting = says(deployed, "waits", "it waits until something else has ended")
        shutil.rmtree(folder / "vanished" / "1")
        faulty_loaders.let_go(folder / "vanished")
        shutil.rmtree(folder / "served" / "1")

        for name, (code, words) in REASONS.items():
            said = deployed.wait_for_state(name, 1, ServableState.END)
            assert said.code == code, said
            assert [each for each in words if each not in said.message] == [], said.message
        deployed.wait_for_state("waits", 1, ServableState.AVAILABLE)
        numpy_models.write_dense(folder / "later")
        deployed.set_model("later", folder / "later")
        deployed.wait_for_state("later", 1, ServableState.AVAILABLE)
        wait_until(
            lambda: any(line.get("model") == "served" for line in worker.log(NOT_THERE)),
            "a look in vain at what is served",
        )
        after = traffic.sent
        wait_until(lambda: traffic.sent >= after + 100, "requests that flow")
    deployed.wait_until_answered()

    assert (waiting.state, waiting.code) == (ServableState.START, Code.OK)
    assert "it needs 100.00 MiB of the host's memory" in waiting.message
    assert "vanished/1 150.00 MiB" in waiting.message
    for name in SERVING:
        states = {(each.state, each.code) for each in deployed.status_events(name)}
        assert not any(state is ServableState.END or code for state, code in states), states
    found = deployed.account()
    assert found.errors() == {}
    for number in range(traffic.sent):
        right = numpy_models.expected(1, "serving_default", {"x": numpy_models.pixels(1, number)})
        # Sums of 64 products that nearly cancel each other are as exact as their products.
        scores = found.the_reply(str(number)).outputs["scores"]
        np.testing.assert_allclose(scores, right["scores"], rtol=1e-5, atol=1e-4)
    assert json.loads(applied.stdout)["set"].keys() == REASONS.keys()
    assert worker.get("/livez")[0] == 200
    assert worker.stop() == os.EX_OK
