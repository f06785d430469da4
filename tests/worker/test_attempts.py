"""A batch whose failure may pass is run again; what fails still is answered as what may be tried again later."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from lifecycle.errors import ExecutionFailed, ExecutionInterrupted
from schemas.errors import Code
from tests.fakes.clock import FakeClock
from tests.fakes.request_path import Lab, request
from worker.attempts import Attempts, Tries, may_pass


class Busy:
    """Makes a servable fail so many times before it answers."""

    def __init__(self, run: Any, times: int) -> None:
        self._run = run
        self.left = times
        self.calls = 0

    def __call__(
        self, signature: str, inputs: Mapping[str, Any], outputs: Sequence[str]
    ) -> Mapping[str, Any]:
        """Fail, or answer."""
        self.calls += 1
        if self.left:
            self.left -= 1
            raise ExecutionInterrupted("the device is busy")
        answer: Mapping[str, Any] = self._run(signature, inputs, outputs)
        return answer


def busy(lab: Lab, monkeypatch: pytest.MonkeyPatch, times: int) -> Busy:
    """The lab's model, busy so many times."""
    made = Busy(lab.servable().run, times)
    monkeypatch.setattr(lab.servable(), "run", made)
    return made


def test_a_device_that_is_busy_twice_answers_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody hears of it; the batch is not cut."""
    lab = Lab()
    lab.set_model()
    model = busy(lab, monkeypatch, 2)
    worker = lab.worker().join()
    for n in range(8):
        lab.send(request(n, id=str(n)))

    worker.until_committed(8)

    assert set(lab.codes().values()) == {0}
    assert model.calls == 3
    assert worker.metric("headrace_batches_tried_again_total", model="m", version="1") == 2


def test_one_that_stays_busy_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A code that tells the requester to try again, after a number of runs that is bounded."""
    lab = Lab()
    lab.set_model()
    model = busy(lab, monkeypatch, 10_000)
    worker = lab.worker().join()
    for n in range(8):
        lab.send(request(n, id=str(n)))

    worker.until_committed(8)

    assert set(lab.codes().values()) == {Code.UNAVAILABLE}
    assert "the device is busy" in lab.messages()["0"]
    assert model.calls <= 3 + 2 * 8


def test_memory_that_suffices_for_half_a_batch_answers_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """When trying again does not help, halves may."""
    lab = Lab()
    lab.set_model()
    servable = lab.servable()
    run = servable.run

    def small(signature: str, inputs: Mapping[str, Any], outputs: Sequence[str]) -> Mapping[str, Any]:
        if len(inputs["x"]) > 4:
            raise ExecutionInterrupted("out of memory")
        return run(signature, inputs, outputs)

    monkeypatch.setattr(servable, "run", small)
    worker = lab.worker().join()
    for n in range(8):
        lab.send(request(n, id=str(n)))

    worker.until_committed(8)

    assert set(lab.codes().values()) == {0}


def test_attempts_end_by_number_and_by_age() -> None:
    """Pauses double; none is begun that would end too late."""
    clock, waited = FakeClock(), []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        clock.advance(seconds)

    tries = Tries(Attempts(5, 1.0, 0.1, wait), clock)
    assert [tries.another() for _ in range(4)] == [True, True, True, False]
    assert waited == pytest.approx([0.1, 0.2, 0.4])
    few = Tries(Attempts(2, 100.0, 0.1, wait), clock)
    assert [few.another() for _ in range(2)] == [True, False]


@pytest.mark.parametrize(
    ("error", "passes"),
    [(ExecutionInterrupted("x"), True), (ExecutionFailed("x"), False), (ValueError("x"), False)],
)
def test_only_what_says_so_may_pass(error: Exception, *, passes: bool) -> None:
    """Anything else is the model's fault, and trying again would only cost."""
    assert may_pass(error) == passes
