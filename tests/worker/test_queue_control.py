"""A latency objective on the whole request path: a model whose runs take time, and what becomes of its batches."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from schemas.model_config import BatchingOptions
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from tests.fakes.request_path import Lab, Worker, request
from worker.queue_reports import QueueReports

QUEUE = {"model": "m", "version": "1", "signature": "serving_default"}
SIZES = (1, 4, 16)


class Slow:
    """Makes the runs of a lab's model take time, by the rows that it is given."""

    def __init__(self, lab: Lab, seconds: Mapping[int, float], model: str = "m") -> None:
        self.seconds = seconds
        self.sizes: list[int] = []
        servable = lab.servable(model)
        run = servable.run

        def slowly(
            signature: str, inputs: Mapping[str, npt.NDArray[Any]], outputs: Sequence[str]
        ) -> Mapping[str, npt.NDArray[Any]]:
            rows = len(np.asarray(inputs["x"]))
            self.sizes.append(rows)
            lab.clock.advance(self.seconds[rows])
            return run(signature, inputs, outputs)

        servable.run = slowly  # type: ignore[method-assign]


def serve(lab: Lab, worker: Worker, requests: int, rows: int = 2) -> None:
    """Send requests one after the other, each when the one before has been run."""
    runs = lab.servable().runs
    for n in range(len(runs), len(runs) + requests):
        lab.send(request(*[1.0] * rows, id=str(n)))
        worker.until(lambda n=n: len(runs) > n, f"run {n}")  # type: ignore[misc]


def worker_of(lab: Lab, **batching: object) -> Worker:
    """One that pads batches to a few sizes."""
    return lab.worker(batching={"max_batch_rows": 16, "allowed_batch_rows": SIZES, **batching}).join()


def test_without_an_objective_nothing_is_steered() -> None:
    """No series, and the options that are set."""
    lab = Lab()
    lab.set_model()
    slow, worker = Slow(lab, dict.fromkeys(range(17), 0.2)), worker_of(lab)
    serve(lab, worker, 120)
    assert worker.metrics.registry.get_sample_value("headrace_batching_max_rows", QUEUE) is None
    assert set(slow.sizes) == {4}


@pytest.mark.parametrize("by", ["model", "worker"])
def test_the_wait_goes_down_until_the_objective_is_kept(by: str) -> None:
    """By the model's own parameter or the worker's setting."""
    lab = Lab()
    lab.set_model(parameters={"p99_ms": b"100"} if by == "model" else {})
    Slow(lab, {1: 0.01, 4: 0.01, 16: 0.02})
    worker = worker_of(lab, batch_timeout_seconds=5.0, p99_seconds=0.1 if by == "worker" else 0.0)
    serve(lab, worker, 5)
    assert worker.metric("headrace_batching_timeout_seconds", **QUEUE) == pytest.approx(0.1)
    serve(lab, worker, 600)
    assert worker.metric("headrace_objective_seconds", **QUEUE) == pytest.approx(0.1)
    assert worker.metric("headrace_batching_timeout_seconds", **QUEUE) <= 0.05
    assert worker.metric("headrace_objective_p99_seconds", **QUEUE) <= 0.1
    (report,) = QueueReports(worker.metrics.queues.counts, worker.metrics.objectives.now)()["m", 1]
    assert report.objective_kept
    assert report.objective_seconds == pytest.approx(0.1)
    assert report.max_batch_rows == worker.metric("headrace_batching_max_rows", **QUEUE)
    assert worker.metric("headrace_objective_kept", **QUEUE) == 1


def test_what_cannot_be_kept_is_said_with_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    """In the log, once in a while, and as a metric; a request that is larger than the chosen size is still taken."""
    lab = Lab()
    lab.set_model(parameters={"p99_ms": b"50"})
    slow, worker = Slow(lab, dict.fromkeys((1, 4, 16), 0.2)), worker_of(lab)
    with caplog.at_level(logging.INFO, "worker.queue_control"):
        serve(lab, worker, 500)
        (said,) = {record.getMessage() for record in caplog.records}
        assert "more workers, a larger objective" in said
        assert 1 <= len(caplog.records) <= 2
        assert worker.metric("headrace_objective_kept", **QUEUE) == 0
        slow.seconds = dict.fromkeys((1, 4, 16), 0.01)
        serve(lab, worker, 600, rows=9)
        assert "the latency objective is kept again" in caplog.messages
    assert worker.metric("headrace_objective_kept", **QUEUE) == 1
    assert set(lab.codes().values()) == {0}


def test_an_objective_that_is_taken_away_leaves_no_trace() -> None:
    """The options of before hold, and the series go."""
    lab = Lab()
    lab.set_model(parameters={"p99_ms": b"100"})
    Slow(lab, dict.fromkeys((1, 4, 16), 0.01))
    worker = worker_of(lab)
    serve(lab, worker, 10)
    assert worker.metric("headrace_batching_max_rows", **QUEUE) == 16
    lab.set_model(parameters={"p99_ms": b"0"})
    worker.run_for(20.0)
    serve(lab, worker, 5)
    assert worker.metrics.registry.get_sample_value("headrace_batching_max_rows", QUEUE) is None


def test_other_options_of_a_model_begin_anew() -> None:
    """A model whose sizes change is steered within the new ones."""
    lab = Lab()
    lab.set_model(parameters={"p99_ms": b"100"})
    Slow(lab, dict.fromkeys((1, 4, 16), 0.01))
    worker = worker_of(lab)
    serve(lab, worker, 10)
    lab.set_model(parameters={"p99_ms": b"100"}, batching=BatchingOptions(max_batch_rows=4))
    serve(lab, worker, 10)
    assert worker.metric("headrace_batching_max_rows", **QUEUE) == 4


def test_a_signature_that_takes_one_request_at_a_time_has_nothing_to_choose() -> None:
    """It is only said whether its objective is kept."""
    lab = Lab()
    lab.set_model(parameters={"p99_ms": b"100"})
    worker = worker_of(lab, batch_timeout_seconds=1.0)
    x = Tensor.from_numpy("x", np.ones((2, 2), np.float32))
    lab.send(PredictRequest("m", signature="square", inputs=(x,), id="a"))
    worker.until(lambda: bool(lab.replies()))
    square = {**QUEUE, "signature": "square"}
    assert worker.metric("headrace_batching_max_rows", **square) == 1
    assert worker.metric("headrace_batching_timeout_seconds", **square) == 0
    assert lab.codes() == {"a": 0}
