"""The demo's flow of requests, with a clock and a model made by hand."""

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest

from schemas.errors import Code
from tests.fakes.clock import FakeClock
from worker.client_calls import Prediction
from worker.client_errors import NotSent, PredictError
from worker.demo.traffic import MOST_ROWS, Traffic
from worker.demo.training import Images

HELD_OUT = Images(pixels=np.eye(10, dtype=np.float32), digit=np.arange(10))


class Model:
    """Answers when told to, recognising every digit."""

    def __init__(self) -> None:
        self.asked: list[tuple[np.ndarray[Any, Any], Future[Prediction]]] = []

    def ask(self, inputs: Mapping[str, np.ndarray[Any, Any]]) -> Future[Prediction]:
        """A request under way."""
        future: Future[Prediction] = Future()
        self.asked.append((inputs["pixels"], future))
        return future

    def answer(self, version: int) -> None:
        """Answer everything that has no answer yet."""
        for images, future in self.asked:
            if not future.done():
                future.set_result(Prediction("digits", version, {"digit": np.argmax(images, axis=1)}))


@pytest.fixture
def clock() -> FakeClock:
    """Time by hand."""
    return FakeClock()


@pytest.fixture
def model() -> Model:
    """A model by hand."""
    return Model()


@pytest.fixture
def traffic(clock: FakeClock, model: Model) -> Traffic:
    """A hundred requests a second."""
    return Traffic(model.ask, HELD_OUT, 100.0, clock)


def test_the_rate_holds_however_unevenly_it_is_served(
    traffic: Traffic, clock: FakeClock, model: Model
) -> None:
    """A loop that is late sends what has become due meanwhile."""
    assert traffic.send_due() == 1
    assert traffic.send_due() == 0
    clock.advance(0.5)
    assert traffic.send_due() == 50
    clock.advance(0.004)
    assert traffic.send_due() == 0
    clock.advance(0.496)
    assert traffic.send_due() == 50
    assert len(model.asked) == 101


def test_requests_have_one_to_eight_rows_of_the_held_out_images(
    traffic: Traffic, clock: FakeClock, model: Model
) -> None:
    """Over and over, none left out."""
    traffic.send_due()
    clock.advance(1.0)
    traffic.send_due()

    sizes = {len(images) for images, _ in model.asked}
    assert sizes == set(range(1, MOST_ROWS + 1))
    every = np.concatenate([images for images, _ in model.asked])
    assert np.argmax(every, axis=1)[:20].tolist() == [*range(10), *range(10)]


def test_an_answer_becomes_a_sample(traffic: Traffic, clock: FakeClock, model: Model) -> None:
    """With its version, its time, and how many digits were right."""
    traffic.send_due()
    clock.advance(0.25)
    model.answer(2)
    traffic.collect()

    (sample,) = traffic.samples
    assert (sample.version, sample.error) == (2, None)
    assert sample.done_at - sample.sent_at == 0.25
    assert sample.correct == sample.rows
    assert traffic.outstanding == 0
    assert traffic.answered() == {2: 1}


def test_wrong_digits_are_counted(traffic: Traffic, model: Model) -> None:
    """By what the model says, against what the image shows."""
    traffic.send_due()
    images, future = model.asked[0]
    future.set_result(Prediction("digits", 1, {"digit": np.argmax(images, axis=1) + 1}))
    traffic.collect()

    assert traffic.samples[0].correct == 0


def test_what_is_under_way_is_outstanding(traffic: Traffic, model: Model) -> None:
    """A request without an end is no sample."""
    traffic.send_due()
    traffic.collect()

    assert (traffic.outstanding, len(traffic.samples)) == (1, 0)
    model.answer(1)
    traffic.collect()
    assert (traffic.outstanding, len(traffic.samples)) == (0, 1)


def test_failures_are_samples_too(traffic: Traffic, model: Model) -> None:
    """An error reply is told by its text."""
    traffic.send_due()
    model.asked[0][1].set_exception(PredictError(Code.UNAVAILABLE, "loading", model="digits"))
    traffic.collect()

    assert traffic.samples[0].error == "UNAVAILABLE: loading"
    assert traffic.samples[0].version is None


def test_a_request_that_cannot_be_sent_is_a_failure(clock: FakeClock) -> None:
    """It does not end the flow."""

    def refuse(_: object) -> Future[Prediction]:
        raise NotSent("digits", "no broker")

    traffic = Traffic(refuse, HELD_OUT, 100.0, clock)

    assert traffic.send_due() == 1
    assert traffic.samples[0].error == "UNAVAILABLE: the request was not sent: no broker"
