"""Models that are slower than any time limit of their group, or never return: no rebalance, and somebody is told."""

import time
from pathlib import Path

import pytest

from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from tests.kit import gated_models, numpy_models
from tests.kit.deployment import MISSED_SOON, Deployment, DeploymentFactory
from tests.kit.waiting import wait_until
from tests.kit.worker import RunningWorker

pytestmark = pytest.mark.kafka

LIMITS = {**MISSED_SOON, "kafka.consumer_properties.max.poll.interval.ms": 6000}
SLOW_SECONDS = 8.0
"""More than a member may be silent, or without a poll, here."""


def ask(model: str, number: int) -> PredictRequest:
    """A request of one row."""
    x = Tensor.from_numpy("x", numpy_models.pixels(1))
    return PredictRequest(model, inputs=(x,), id=f"{model} {number}")


def moves(worker: RunningWorker, event: str) -> float:
    """How often the group took or gave partitions."""
    return worker.metric("headrace_rebalances_total", event=event)


def test_a_model_slower_than_every_time_limit_costs_no_membership(
    deployment: DeploymentFactory, tmp_path: Path, gated: str
) -> None:
    """No rebalance while it runs; one that is wanted comes in the middle, and every request is answered."""
    deployed = deployment({**LIMITS, "delivery.revoke_drain_seconds": 2, "lifecycle.warmup": False})
    slow = numpy_models.write_dense(tmp_path / "slow", 1, sleep_seconds=0.01)
    numpy_models.write_dense(tmp_path / "quick", 1)
    for name in ("slow", "quick"):
        deployed.set_model(name, tmp_path / name, [1], loader=gated)
    first = deployed.start_worker()
    first.wait_until_assigned(4)
    assigned = moves(first, "assigned")

    deployed.send([ask("slow", n) for n in range(8)])
    wait_until(lambda: first.unanswered() == 8, "requests that are with the model, or wait for it")
    began = time.monotonic()
    wait_until(lambda: time.monotonic() > began + SLOW_SECONDS, "longer than every limit")
    assert deployed.replies_written() == 0, "the model has not answered yet"
    assert (moves(first, "assigned"), moves(first, "revoked"), moves(first, "lost")) == (assigned, 0, 0)

    second = deployed.start_worker()
    second.wait_until_assigned(2)
    assert moves(first, "revoked") == 1
    assert deployed.replies_written() == 0, "the rebalance came in the middle"
    gated_models.open_gate(slow)
    deployed.send([ask("quick", n) for n in range(40)])
    deployed.wait_until_answered()

    found = deployed.account()
    assert found.errors() == {}
    assert moves(first, "lost") == moves(second, "lost") == 0
    assert found.missing([f"slow {n}" for n in range(8)] + [f"quick {n}" for n in range(40)]) == []
    assert set(found.repeated()) <= {f"slow {n}" for n in range(8)}


def beside_one_that_hangs(deployed: Deployment, folder: Path) -> RunningWorker:
    """A worker with a quick model and one that never returns."""
    numpy_models.write_dense(folder / "hangs", 1, sleep_seconds=3600.0)
    numpy_models.write_dense(folder / "quick", 1)
    for name in ("hangs", "quick"):
        deployed.set_model(name, folder / name, [1])
    worker = deployed.start_worker()
    worker.wait_until_assigned(4)
    return worker


def test_a_partition_that_waits_for_a_model_that_hangs_is_told(
    deployment: DeploymentFactory, tmp_path: Path
) -> None:
    """The log names the partition and the model, the metric counts; partitions with other models' requests move."""
    deployed = deployment({"delivery.unmoved_seconds": 2, "lifecycle.warmup": False})
    worker = beside_one_that_hangs(deployed, tmp_path)

    deployed.send([ask("quick", n) for n in range(3)], partition=1)
    deployed.send([ask("hangs", n) for n in range(3)], partition=2)
    deployed.send([ask("quick", n) for n in range(3, 6)], partition=2)
    told = worker.wait_for_log("a partition does not move: its requests are not answered, or not even read")
    deployed.send([ask("quick", n) for n in range(6, 9)], partition=1)
    wait_until(lambda: deployed.replies_written() == 9, "the quick model's replies")

    assert told["partition"] == f"{deployed.requests}[2]"
    assert told["waits_for"].startswith("model 'hangs', which has been with one batch for ")
    assert (told["oldest_unanswered"], told["end"]) == (0, 6)
    assert worker.metric("headrace_unmoved_partition_seconds", topic=deployed.requests) >= 2
    assert len(worker.log(told["event"])) == 1


def test_a_worker_lives_until_every_batch_thread_is_in_a_model_that_hangs(
    deployment: DeploymentFactory, tmp_path: Path
) -> None:
    """`/livez` fails with the model's name; as soon as another model's request has a thread stand in, it does not."""
    deployed = deployment({"http.stuck_seconds": 2, "lifecycle.warmup": False})
    worker = beside_one_that_hangs(deployed, tmp_path)
    assert worker.get("/livez")[0] == 200

    deployed.send([ask("hangs", n) for n in range(3)])
    wait_until(lambda: worker.get("/livez")[0] == 503, "not alive")
    assert "every batch thread has been in a model for more than 2 s" in worker.get("/livez")[1]
    assert "hangs/1" in worker.get("/livez")[1]

    deployed.send([ask("quick", n) for n in range(3)])
    wait_until(lambda: deployed.replies_written() == 3, "the quick model's replies")
    assert worker.get("/livez")[0] == 200
