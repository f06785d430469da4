"""A model that is slower than its requests: the worker waits, holds no more than its budget, and answers all."""

from pathlib import Path

import pytest

from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from tests.kit import gated_models, numpy_models
from tests.kit.deployment import Deployment, DeploymentFactory
from tests.kit.verifier import difference
from tests.kit.waiting import wait_until
from tests.kit.worker import RunningWorker

pytestmark = pytest.mark.kafka

BUDGET_BYTES = 2 << 20


def request(number: int, rows: int) -> PredictRequest:
    """A request whose rows differ from those of every other."""
    x = numpy_models.pixels(rows, seed=number)
    return PredictRequest("slow", inputs=(Tensor.from_numpy("x", x),), id=f"r{number}")


def watch_until_answered(deployed: Deployment, worker: RunningWorker, *names: str) -> dict[str, float]:
    """The highest value of each metric while requests are being answered."""
    highest = dict.fromkeys(names, 0.0)

    def look() -> bool:
        samples = worker.metrics()
        for name in names:
            highest[name] = max(highest[name], sum(value for _, value in samples.get(name, ())))
        return deployed.unanswered() == 0

    wait_until(look, "all answered", every_seconds=0.1)
    return highest


@pytest.fixture
def slow_model(tmp_path: Path) -> Path:
    """A version of a model whose every call takes 50 ms, and the first as long as the test wants."""
    return numpy_models.write_dense(tmp_path / "slow", 1, sleep_seconds=0.05)


def start(deployed: Deployment, slow_model: Path, loader: str) -> RunningWorker:
    """A worker that serves it."""
    deployed.set_model("slow", slow_model.parent, [1], loader=loader)
    worker = deployed.start_worker({"lifecycle.warmup": False})
    worker.wait_until_assigned(4)
    return worker


def wait_until_all_pause(worker: RunningWorker) -> None:
    """Wait until the budget is used up, and nothing is read any more."""
    wait_until(
        lambda: worker.metric("headrace_paused_partitions") == 4, lambda: f"pauses: {worker.log_tail()}"
    )


def test_a_slow_model_pauses_partitions_and_answers_everything(
    deployment: DeploymentFactory, slow_model: Path, gated: str
) -> None:
    """No backlog is answered with errors, and no more rows than the budget (and one poll) are held."""
    deployed = deployment(
        {"delivery.budget_rows": 256, "delivery.poll_records": 32, "batching.max_batch_rows": 64}
    )
    worker = start(deployed, slow_model, gated)

    deployed.send([request(n, 2) for n in range(2_000)])
    wait_until_all_pause(worker)
    held = worker.metric("headrace_in_flight_rows")
    gated_models.open_gate(slow_model)
    highest = watch_until_answered(deployed, worker, "headrace_in_flight_rows", "headrace_queue_rows")

    found = deployed.account()
    assert found.errors() == {}
    assert found.missing(f"r{n}" for n in range(2_000)) == []
    assert found.repeated() == {}
    # Not from 0 on: request 350 has a score of nearly 0, whose last digits depend on the rows of its batch.
    for n in range(25, 2_000, 50):
        x = numpy_models.pixels(2, seed=n)
        right = numpy_models.expected(1, "serving_default", {"x": x})
        assert difference(found.the_reply(f"r{n}").outputs, right) is None
    assert 0 < held <= 256 + 32 * 2
    assert highest["headrace_in_flight_rows"] <= 256 + 32 * 2


def test_memory_is_bounded_by_the_budget_in_bytes(
    deployment: DeploymentFactory, slow_model: Path, gated: str
) -> None:
    """48 MB of requests pass through a worker that may hold 1 MiB, and it does not grow by them."""
    deployed = deployment(
        {
            "delivery.budget_bytes": BUDGET_BYTES,
            "limits.record_bytes": BUDGET_BYTES // 2,
            "batching.max_batch_rows": 4096,
        }
    )
    worker = start(deployed, slow_model, gated)
    before = worker.metric("process_resident_memory_bytes")

    rows = 512
    record = [request(n, rows) for n in range(8)]
    size = rows * numpy_models.PIXELS * 4
    count = 48_000_000 // size
    deployed.send([record[n % 8] for n in range(count)])
    wait_until_all_pause(worker)
    gated_models.open_gate(slow_model)
    highest = watch_until_answered(
        deployed, worker, "headrace_in_flight_bytes", "process_resident_memory_bytes"
    )

    found = deployed.account()
    assert found.errors() == {}
    assert sum(map(len, found.replies.values())) == count
    # A poll may bring what the client has fetched ahead: a fourth of the budget, and one fetch of 1 MiB a partition.
    assert highest["headrace_in_flight_bytes"] <= 1.25 * BUDGET_BYTES + 4 * (1 << 20)
    grown = highest["process_resident_memory_bytes"] - before
    assert grown < 24_000_000, f"memory has grown by {grown:,.0f} bytes"
