"""`latest` follows the base path by itself: what is copied there is served once it is complete, and not before."""

import shutil
import threading
from pathlib import Path

import pytest

from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from tests.kit import numpy_models
from tests.kit.deployment import DeploymentFactory
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.kafka

QUIET_SECONDS = 3.0


def request(number: int) -> PredictRequest:
    """One row for whichever version is the latest."""
    return PredictRequest(
        "m", inputs=(Tensor.from_numpy("x", numpy_models.pixels(1, number)),), id=str(number)
    )


def copy_slowly(source: Path, target: Path, pause_seconds: float) -> None:
    """As a slow network does: directories first, then the files in small pieces. Its pace is what is tested."""
    pace = threading.Event()
    target.mkdir()
    for file in sorted(source.iterdir()):
        content = file.read_bytes()
        pieces = 4
        with (target / file.name).open("wb") as written:
            for n in range(pieces):
                written.write(content[n * len(content) // pieces : (n + 1) * len(content) // pieces])
                written.flush()
                pace.wait(pause_seconds)


def test_new_versions_are_served_by_themselves_once_they_are_complete(
    deployment: DeploymentFactory, tmp_path: Path
) -> None:
    """A slow copy is never loaded half; an outage of the base path changes nothing; a removed version is left."""
    base = tmp_path / "m"
    numpy_models.write_dense(base, 1)
    elsewhere = numpy_models.write_dense(tmp_path / "elsewhere", 2)
    deployed = deployment(
        {
            "lifecycle.quiet_seconds": QUIET_SECONDS,
            "lifecycle.watch_seconds": 0.5,
            "lifecycle.load_retries": 0,
        }
    )
    deployed.set_model("m", base)
    worker = deployed.start_worker()
    worker.wait_until_assigned(4)

    with deployed.traffic(request, at_once=2) as traffic:
        copy_slowly(elsewhere, base / "2", pause_seconds=QUIET_SECONDS / 4)
        deployed.wait_for_state("m", 2, "AVAILABLE")
        deployed.wait_until_gone("m", 1)

        base.rename(tmp_path / "away")
        before = traffic.sent
        wait_until(lambda: "the base path cannot be listed" in worker.log_tail(50), "a look in vain")
        wait_until(lambda: traffic.sent >= before + 100, "requests that flow")
        (tmp_path / "away").rename(base)

        shutil.rmtree(base / "2")
        deployed.wait_for_state("m", 1, "AVAILABLE")
        deployed.wait_until_gone("m", 2)
    deployed.wait_until_answered()

    assert [each for each in deployed.status_events("m") if each.code] == []
    found = deployed.account()
    assert found.errors() == {}
    assert found.missing(map(str, range(traffic.sent))) == []
    assert {reply.value.version for reply in found.all_replies()} == {1, 2}
