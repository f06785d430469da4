"""Issue 5, acceptance 3: a model that takes longer than any time limit of the group costs nobody their membership."""

import time
from pathlib import Path

import pytest

from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from tests.kit import gated_models, numpy_models
from tests.kit.deployment import MISSED_SOON, DeploymentFactory
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
