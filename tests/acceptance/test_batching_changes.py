"""Batching options change on the control topic while requests flow: batches follow, and nobody else notices."""

from functools import partial
from pathlib import Path

import pytest

from schemas.predict_request import PredictRequest
from tests.kit.deployment import Deployment, DeploymentFactory
from tests.kit.mixed_requests import MixedRequests, RowAnswers, wrong_replies
from tests.kit.waiting import wait_until
from tests.kit.worker import RunningWorker

pytestmark = pytest.mark.kafka

MODEL = "changing"
SMALL, LARGE = 16, 256
CHANGES = (
    ("--max-batch-rows", str(SMALL)),
    ("--max-batch-rows", str(LARGE), "--batch-timeout-seconds", "0.1"),
    ("--max-batch-rows", str(SMALL), "--allowed-batch-rows", f"4,{SMALL}", "--batch-timeout-seconds", "0.02"),
    ("--max-batch-rows", str(LARGE), "--allowed-batch-rows", f"64,{LARGE}", "--batch-timeout-seconds", "0.1"),
    ("--max-batch-rows", str(SMALL)),
)
"""Waiting so long, batches are larger than the small ones may be; not waiting, each takes what is there."""


def change(deployed: Deployment, base: Path, *options: str) -> None:
    """Say how the model's requests are batched, as a person does."""
    done = deployed.command(
        *("models", "set", MODEL, "--base-path", str(base), "--loader", "numpy", *options),
        *("--wait", "--timeout", "120"),
    )
    assert done.returncode == 0, done.stdout + done.stderr


def batches_above(worker: RunningWorker, rows: int) -> float:
    """How many batches of the model had more rows than that, so far."""
    buckets = worker.metrics()["headrace_batch_rows_bucket"]
    counts = {float(has["le"]): count for has, count in buckets if has["model"] == MODEL}
    return counts[float("inf")] - counts[rows]


def test_options_change_under_load_and_nothing_is_lost(
    deployment: DeploymentFactory, busy_model: Path, numpy_answers: RowAnswers
) -> None:
    """Small batches, large ones, sizes that need padding: each reply is right, and there is one for each request."""
    deployed = deployment({"batching.threads": 2})
    deployed.set_model(MODEL, busy_model)
    worker = deployed.start_worker()
    worker.wait_until_assigned(4)
    mixed = MixedRequests(most_rows=4)

    def request(number: int) -> PredictRequest:
        return mixed[number].record(MODEL)

    with deployed.traffic(request, pause_seconds=0.005) as traffic:

        def stays_small() -> bool:
            """Whether 500 requests further no batch was larger than the small ones may be."""
            before, first = batches_above(worker, SMALL), traffic.sent
            wait_until(lambda: traffic.sent >= first + 500, "requests that flow")
            return batches_above(worker, SMALL) == before

        def goes_beyond(batches: float) -> bool:
            """Whether there were so many batches by now that are larger than the small ones may be."""
            return batches_above(worker, SMALL) >= batches

        wait_until(lambda: traffic.sent >= 200 and deployed.replies_written() > 0, "requests that flow")
        for options in CHANGES:
            large = batches_above(worker, SMALL)
            change(deployed, busy_model, *options)
            if options[1] == str(SMALL):
                wait_until(stays_small, f"batches of at most {SMALL} rows")
            else:
                wait_until(partial(goes_beyond, large + 20), "large batches")
    deployed.wait_until_answered()

    found = deployed.account()
    requests = mixed.first(traffic.sent)
    assert found.errors() == {}
    assert found.missing(each.id for each in requests) == []
    assert found.repeated() == {}
    assert wrong_replies(requests, found.replies.__getitem__, {1: numpy_answers}) == []
