"""Batches as models see them, and what becomes of requests when a model fails."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from schemas.tensor import Tensor
from tests.fakes.lab_servable import POISON
from tests.fakes.request_path import EPOCH_SECONDS, Lab, Worker, request

INTERNAL, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED, UNAVAILABLE = 13, 3, 8, 4, 14


def serving(**settings: Any) -> tuple[Lab, Worker]:
    """A worker with the model `m`, version 1."""
    lab = Lab()
    lab.set_model()
    batching = {"batching": settings} if settings else {}
    return lab, lab.worker(**batching).join()


@pytest.mark.parametrize("at", [0, 1, 31, 62, 63])
def test_a_request_that_fails_the_model_fails_alone(at: int) -> None:
    """Wherever it stands in its batch, the neighbours are answered, and the search for it is short."""
    lab, worker = serving()
    for n in range(64):
        lab.send(request(POISON if n == at else n, id=f"{n}"))

    worker.until_committed(64)

    assert lab.codes() == {f"{n}": INTERNAL if n == at else 0 for n in range(64)}
    assert len(lab.servable().runs) <= 2 * 7


def test_a_search_is_counted() -> None:
    """One batch, and the runs that it took; a batch that goes well counts nothing."""
    lab, worker = serving()
    for n in range(256):
        lab.send(request(POISON if n == 77 else n, id=f"{n}"))
    worker.until_committed(256)
    runs = len(lab.servable().runs)
    lab.send(request(1, id="good"))
    worker.until_committed(257)

    of_m = {"model": "m", "version": "1"}
    assert lab.codes() == {"good": 0} | {f"{n}": INTERNAL if n == 77 else 0 for n in range(256)}
    assert worker.metric("headrace_batches_bisected_total", **of_m) == 1
    assert worker.metric("headrace_search_runs_total", **of_m) == runs - 1 == 2 * 8


def test_a_search_for_very_many_bad_requests_ends() -> None:
    """Some good ones are told that they may ask again, and nobody that it was his fault; each bad one has an error."""
    lab, worker = serving()
    bad = {n for n in range(1024) if n % 3 == 0}
    for n in range(1024):
        lab.send(request(POISON if n in bad else n, id=f"{n}"))

    worker.until_committed(1024)

    codes = lab.codes()
    assert {codes[f"{n}"] for n in bad} == {INTERNAL, UNAVAILABLE}
    assert {codes[f"{n}"] for n in range(1024) if n not in bad} == {0, UNAVAILABLE}
    assert "fails for very many requests of one batch" in next(
        said for name, said in lab.messages().items() if codes[name] == UNAVAILABLE
    )
    assert len(lab.servable().runs) <= 33 * 11


def test_many_bad_requests_of_one_batch_fail_alone_too() -> None:
    """Each good one among them is answered; a batch of n makes at most 2 n runs."""
    lab, worker = serving()
    bad = {n for n in range(64) if n % 3 == 0}
    for n in range(64):
        lab.send(request(POISON if n in bad else n, id=f"{n}"))

    worker.until_committed(64)

    assert lab.codes() == {f"{n}": INTERNAL if n in bad else 0 for n in range(64)}
    assert len(lab.servable().runs) < 2 * 64


def test_a_model_that_fails_whatever_it_is_given_is_given_up_soon() -> None:
    """Its requests all get the error, after a number of runs that grows with the logarithm of the batch."""
    lab, worker = serving()
    lab.servable().broken = True
    for n in range(256):
        lab.send(request(n, id=f"{n}"))

    worker.until_committed(256)

    assert set(lab.codes().values()) == {INTERNAL}
    assert len(lab.servable().runs) <= 40


def test_what_a_model_says_in_its_error_stays_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """A requester learns the kind of error, not what a stack would tell; the log tells it once a batch."""
    lab, worker = serving()
    for n in range(8):
        lab.send(request(POISON if n in {2, 5} else n, id=f"{n}"))

    worker.until_committed(8)

    assert lab.messages()["2"] == "model m/1 failed with ValueError; the worker's log has the details"
    assert [record.getMessage() for record in caplog.records].count("a model failed to run") == 1
    assert "does not like that number" in caplog.text
    assert "During handling" not in caplog.text


def test_what_a_model_quotes_of_one_request_is_told_to_no_other() -> None:
    """A model that refuses a batch may quote what is in it; only who was asked about alone is told what it said."""
    lab, worker = serving()
    lab.servable().quoting = True
    for n in range(256):
        lab.send(request(n, id=f"{n}"))

    worker.until_committed(256)

    assert set(lab.codes().values()) == {INVALID_ARGUMENT}
    together = "signature 'serving_default' refused the inputs of"
    alone = {name: said for name, said in lab.messages().items() if not said.startswith(together)}
    assert 0 < len(alone) < 256
    assert alone == {name: f"not these: [{float(name)}]" for name in alone}


def test_a_model_that_loses_rows_is_not_asked_again() -> None:
    """Fewer rows out than in: nobody can say whose they are, so all of the batch get the error, after one run."""
    lab, worker = serving()
    lab.servable().short = True
    for n in range(8):
        lab.send(request(n, id=f"{n}"))

    worker.until_committed(8)

    assert set(lab.codes().values()) == {INTERNAL}
    assert len(lab.servable().runs) == 1


@pytest.mark.parametrize("failure", [SystemExit(3), GeneratorExit()])
def test_a_model_that_exits_leaves_no_request_without_an_answer(
    failure: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails alone, as one that raises anything else does, and its words stay in the log."""
    lab, worker = serving()
    servable = lab.servable()
    run = servable.run

    def leave(signature: str, inputs: dict[str, Any], outputs: Sequence[str]) -> Any:
        if (inputs["x"] == POISON).any():
            raise failure
        return run(signature, inputs, outputs)

    monkeypatch.setattr(servable, "run", leave)
    for n in range(8):
        lab.send(request(POISON if n == 5 else n, id=f"{n}"))

    worker.until_committed(8)

    assert lab.codes() == {f"{n}": INTERNAL if n == 5 else 0 for n in range(8)}
    assert (
        lab.messages()["5"] == f"model m/1: it raised {type(failure).__name__}, which would end its process"
    )


def test_requests_of_different_sizes_share_a_batch() -> None:
    """Rows are stacked across requests, and each gets its own back."""
    lab, worker = serving()
    for n in range(1, 9):
        lab.send(request(*range(n), id=f"{n}"))

    worker.until_committed(8)

    assert lab.servable().runs == [("serving_default", 36)]
    answers = {reply.id: reply.outputs[0].to_numpy()[:, 0].tolist() for reply in lab.replies()}
    assert answers == {f"{n}": [2.0 * m + 1 for m in range(n)] for n in range(1, 9)}


def test_batches_are_padded_to_an_allowed_size_and_trimmed() -> None:
    """The model sees allowed sizes only; requesters see their own rows only."""
    lab, worker = serving(max_batch_rows=8, allowed_batch_rows=[4, 8])
    for n in range(3):
        lab.send(request(n, id=f"{n}"))

    worker.until_committed(3)

    assert lab.servable().runs == [("serving_default", 4)]
    assert [reply.outputs[0].shape for reply in lab.replies()] == [(1, 2)] * 3


@pytest.mark.parametrize(
    "batching", [{}, {"max_batch_rows": 8, "allowed_batch_rows": [4, 8]}], ids=["as sent", "padded"]
)
def test_requests_without_rows_are_answered_without_rows(batching: dict[str, Any]) -> None:
    """Zero rows are a legal request, alone and beside others."""
    lab, worker = serving(**batching)
    lab.send(request(id="none"))
    worker.until_committed(1)
    lab.send(request(id="nothing"))
    lab.send(request(1, 2, id="two"))
    worker.until_committed(3)

    assert {reply.id: reply.outputs[0].shape for reply in lab.replies()} == {
        "none": (0, 2),
        "nothing": (0, 2),
        "two": (2, 2),
    }


def test_a_request_larger_than_a_batch_is_refused() -> None:
    """RESOURCE_EXHAUSTED with both numbers; one of exactly that size is run."""
    lab, worker = serving(max_batch_rows=4)
    lab.send(request(*range(5), id="large"))
    lab.send(request(*range(4), id="fits"))

    worker.until_committed(2)

    assert lab.codes() == {"large": RESOURCE_EXHAUSTED, "fits": 0}
    assert lab.messages()["large"] == "the request has 5 rows; at most 4 are taken in one"


@pytest.mark.parametrize("max_batch_rows", [1, 1024])
def test_requests_that_cannot_be_stacked_run_one_by_one(max_batch_rows: int) -> None:
    """A signature with nothing free in dimension 0 sees each request as it was sent, larger than a batch or not."""
    lab, worker = serving(max_batch_rows=max_batch_rows)
    for n in range(5):
        square = Tensor.from_numpy("x", np.full((2, 2), n, np.float32))
        lab.send(request(id=f"square{n}", signature="square", inputs=(square,)))
        scalar = Tensor.from_numpy("x", np.float32(n))
        lab.send(request(id=f"scalar{n}", signature="scalar", inputs=(scalar,)))

    worker.until_committed(10)

    answers = {reply.id: reply.outputs[0].to_numpy().tolist() for reply in lab.replies()}
    assert answers == {
        **{f"square{n}": [[2.0 * n + 1] * 2] * 2 for n in range(5)},
        **{f"scalar{n}": 2.0 * n + 1 for n in range(5)},
    }
    assert sorted(lab.servable().runs) == [("scalar", 0)] * 5 + [("square", 2)] * 5


def test_a_request_of_another_size_than_a_fixed_one_is_invalid() -> None:
    """Only the number of rows differs from what fits: it is checked for each request."""
    lab, worker = serving()
    for rows in (1, 2, 3):
        lab.send(request(*range(rows), id=f"{rows}", signature="square"))

    worker.until_committed(3)

    assert lab.codes() == {"1": INVALID_ARGUMENT, "2": 0, "3": INVALID_ARGUMENT}
    assert "expected DT_FLOAT[2,2]" in lab.messages()["1"]


def test_a_request_that_fails_the_model_alone_has_no_neighbours_to_harm() -> None:
    """One by one: the error of one is not the next one's."""
    lab, worker = serving()
    for n, number in enumerate((1.0, POISON, 2.0)):
        scalar = Tensor.from_numpy("x", np.float32(number))
        lab.send(request(id=f"{n}", signature="scalar", inputs=(scalar,)))

    worker.until_committed(3)

    assert lab.codes() == {"0": 0, "1": INTERNAL, "2": 0}


def test_a_request_whose_deadline_passes_in_its_queue_is_not_run() -> None:
    """The last look at the clock is before the model runs: a wall clock that has jumped counts there."""
    lab = Lab()
    lab.set_model()
    jump = [0.0]
    lab.wall = lambda: EPOCH_SECONDS + lab.clock() + jump[0]  # type: ignore[method-assign]
    worker = lab.worker(batching={"batch_timeout_seconds": 1.0, "max_batch_rows": 2}).join()
    lab.send(request(0, id="first"))  # how long a batch runs is known then
    worker.until_committed(1)
    lab.send(request(1, id="short"), headers=[("headrace-timeout-ms", b"500")])
    worker.step()
    jump[0] = 0.5
    lab.send(request(2, id="long"), headers=[("headrace-timeout-ms", b"5000")])

    worker.until_committed(3)

    assert lab.codes() == {"first": 0, "short": DEADLINE_EXCEEDED, "long": 0}
    assert lab.servable().runs == [("serving_default", 1)] * 2


def test_outputs_are_those_asked_for() -> None:
    """A filter of outputs is part of what is batched together."""
    lab, worker = serving()
    lab.send(request(1, id="all"))
    lab.send(request(1, id="y", outputs=("y",)))

    worker.until_committed(2)

    assert {reply.id: [t.name for t in reply.outputs] for reply in lab.replies()} == {
        "all": ["y"],
        "y": ["y"],
    }
