"""Models whose base path lies in a store: a real worker, and a store over the network."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from tests.kit import numpy_models
from tests.kit.deployment import MISSED_SOON, DeploymentFactory
from tests.kit.waiting import wait_until
from tests.kit.webhdfs import WebHdfs
from worker.status_topic import WHOLE_MODEL

pytestmark = pytest.mark.kafka

QUIET_SECONDS = 3.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[WebHdfs]:
    """A folder that is served."""
    with WebHdfs(tmp_path / "store") as served:
        yield served


def request(number: int) -> PredictRequest:
    """One row for whichever version is the latest."""
    return PredictRequest(
        "m", inputs=(Tensor.from_numpy("x", numpy_models.pixels(1, number)),), id=str(number)
    )


def copy_slowly(source: Path, target: Path, pause_seconds: float) -> None:
    """File by file, in small pieces. Its pace is what is tested."""
    pace = threading.Event()
    target.mkdir()
    for file in sorted(source.iterdir()):
        content = file.read_bytes()
        with (target / file.name).open("wb") as written:
            for half in (content[: len(content) // 2], content[len(content) // 2 :]):
                written.write(half)
                written.flush()
                pace.wait(pause_seconds)


def test_a_model_in_a_store_is_served_followed_and_found_again(
    deployment: DeploymentFactory, store: WebHdfs, tmp_path: Path
) -> None:
    """Slow copies are waited for, an outage changes nothing, a restart copies nothing; a record names no other."""
    numpy_models.write_dense(store.folder / "m", 1)
    elsewhere = numpy_models.write_dense(tmp_path / "elsewhere", 2)
    deployed = deployment(
        {
            **MISSED_SOON,
            "lifecycle.base_path_roots": [f"{store.root}/m"],
            "lifecycle.quiet_seconds": QUIET_SECONDS,
            "lifecycle.watch_seconds": 0.5,
            "lifecycle.load_retries": 0,
            "model_cache.folder": str(tmp_path / "cache"),
        }
    )
    deployed.set_model("m", f"{store.root}/m")
    worker = deployed.start_worker()
    worker.wait_until_assigned(4)

    with deployed.traffic(request, at_once=2) as traffic:
        copy_slowly(elsewhere, store.folder / "m" / "2", pause_seconds=QUIET_SECONDS / 4)
        deployed.wait_for_state("m", 2, "AVAILABLE")
        deployed.wait_until_gone("m", 1)

        store.stop()
        before = traffic.sent
        wait_until(lambda: "the base path cannot be listed" in worker.log_tail(50), "a look in vain")
        wait_until(lambda: traffic.sent >= before + 100, "requests that flow")
        store.start()
        wait_until(
            lambda: "every version that is wanted is there now" in worker.log_tail(50), "a store that is back"
        )

        asked = len(store.asked)
        deployed.set_model("other", f"{store.root}/other")
        refused = deployed.wait_for_state("other", WHOLE_MODEL, "END").message
        assert "lies under none of lifecycle.base_path_roots" in refused
        assert "/other" not in store.asked[asked:]

        copied = len(store.opened)
        worker.kill()
        deployed.start_worker().wait_until_assigned(4)
        before = traffic.sent
        wait_until(lambda: traffic.sent >= before + 100, "requests that flow")
        assert len(store.opened) == copied
    deployed.wait_until_answered()

    found = deployed.account()
    assert found.errors() == {}
    assert {reply.value.version for reply in found.all_replies()} == {1, 2}
