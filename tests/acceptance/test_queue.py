"""Requests out of a queue: more workers than partitions, and what a dead or slow worker had goes to the others."""

from pathlib import Path

import pytest

from schemas.errors import Code
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from tests.kit import numpy_models
from tests.kit.deployment import Deployment, DeploymentFactory
from tests.kit.waiting import wait_until
from worker.share_group import LOCK_MS

pytestmark = pytest.mark.kafka

X = numpy_models.pixels(2)
QUEUE = {"delivery.mode": "queue", "delivery.queue_records": 20}


def requests(first: int, last: int, model: str = "ready") -> list[PredictRequest]:
    """Small requests with numbers for ids."""
    return [
        PredictRequest(model, inputs=(Tensor.from_numpy("x", X),), id=f"{model} {n}")
        for n in range(first, last)
    ]


def queue(make: DeploymentFactory, lock_seconds: float) -> Deployment:
    """A deployment with one partition, whose queue waits so long for what was taken."""
    deployed = make(QUEUE, partitions=1)
    deployed.admin.change_group_config(deployed.group, {LOCK_MS: str(int(lock_seconds * 1000))})
    return deployed


def send_in_batches(deployed: Deployment, values: list[PredictRequest]) -> None:
    """Twenty at a time: a broker deals out no less than was written together."""
    for first in range(0, len(values), 20):
        deployed.send(values[first : first + 20])


def test_more_workers_than_partitions_share_the_requests(
    deployment: DeploymentFactory, tmp_path: Path
) -> None:
    """Also those that were sent before anybody came; each request is answered once, and every worker has some."""
    deployed = queue(deployment, lock_seconds=30)
    numpy_models.write_dense(tmp_path / "ready", 1, sleep_seconds=0.01)
    deployed.set_model("ready", tmp_path / "ready", [1])
    send_in_batches(deployed, requests(0, 100))
    workers = [deployed.start_worker() for _ in range(3)]
    for worker in workers:
        worker.wait_until_ready()

    send_in_batches(deployed, requests(100, 1000))
    deployed.wait_until_answered()

    found = deployed.account()
    assert found.errors() == {}
    assert len(found.replies) == 1000
    assert found.repeated() == {}
    taken = [worker.metric("headrace_records_consumed_total", topic=deployed.requests) for worker in workers]
    assert sum(taken) == 1000
    assert all(taken), f"somebody had none: {taken}"
    for worker in workers:
        worker.terminate()
    assert [worker.wait() for worker in workers] == [0, 0, 0]


def test_what_a_killed_worker_had_taken_is_answered_by_another(
    deployment: DeploymentFactory, tmp_path: Path
) -> None:
    """When the queue has waited for it long enough."""
    deployed = queue(deployment, lock_seconds=6)
    numpy_models.write_dense(tmp_path / "ready", 1, sleep_seconds=0.01)
    deployed.set_model("ready", tmp_path / "ready", [1])
    numpy_models.write_dense(tmp_path / "stuck", 1, load_seconds=600)
    deployed.set_model("stuck", tmp_path / "stuck", [1])
    killed = deployed.start_worker({"join.timeout_seconds": 1, "holding.loading_seconds": 60})
    killed.wait_until_ready()
    send_in_batches(deployed, requests(0, 20, "stuck"))
    wait_until(lambda: killed.metric("headrace_held_rows", reason="loading") > 0, "requests that are held")
    killed.kill()
    deployed.remove_model("stuck")

    heir = deployed.start_worker()
    heir.wait_until_ready()
    send_in_batches(deployed, requests(0, 20))
    deployed.wait_until_answered()

    found = deployed.account()
    assert {found.the_reply(f"ready {n}").code for n in range(20)} == {Code.OK}
    assert {found.the_reply(f"stuck {n}").code for n in range(20)} == {Code.NOT_FOUND}


def test_requests_of_a_slow_model_go_back_and_are_given_up_at_the_limit(
    deployment: DeploymentFactory, tmp_path: Path
) -> None:
    """A model that never comes has its requests answered INTERNAL and kept; another's are answered all the while."""
    deployed = queue(deployment, lock_seconds=4)
    numpy_models.write_dense(tmp_path / "ready", 1)
    deployed.set_model("ready", tmp_path / "ready", [1])
    numpy_models.write_dense(tmp_path / "never", 1, load_seconds=600)
    deployed.set_model("never", tmp_path / "never", [1])
    worker = deployed.start_worker({"join.timeout_seconds": 1, "holding.loading_seconds": 60})
    worker.wait_until_ready()

    send_in_batches(deployed, requests(0, 3, "never"))
    send_in_batches(deployed, requests(0, 40))
    deployed.wait_until_answered()

    found = deployed.account()
    # Who is slower than the lock answers again: a queue may repeat.
    assert found.missing(f"ready {n}" for n in range(40)) == []
    assert {reply.code for n in range(40) for reply in found.replies[f"ready {n}"]} == {Code.OK}
    given_up = [found.the_reply(f"never {n}") for n in range(3)]
    assert {reply.code for reply in given_up} == {Code.INTERNAL}
    assert all("delivered 5 times" in reply.message for reply in given_up)
    assert len(found.dead_letters) == 3
    assert worker.metric("headrace_requests_released_total") >= 9
