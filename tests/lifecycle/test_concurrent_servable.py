"""A batch that is run row by row, several calls at once: order, failures, bounds."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from lifecycle import errors
from lifecycle.concurrent_servable import ConcurrentServable
from lifecycle.signature import Signature, TensorSpec
from lifecycle.threads import InlineExecutor, ThreadPool

WAIT_SECONDS = 30.0
ROWS = {"x": TensorSpec("x", "DT_FLOAT", (None,))}
SIGNATURES = {
    "rows": Signature("rows", "predict", ROWS, {"y": TensorSpec("y", "DT_FLOAT", (None,))}),
    "whole": Signature("whole", "predict", ROWS, {"y": TensorSpec("y", "DT_FLOAT", ())}),
}


class Inner:
    """Answers by what a test gives it, and remembers the rows of each call."""

    def __init__(self, answer: Callable[[Any], Any] = lambda x: x * 2) -> None:
        self.signatures = SIGNATURES
        self.sizes: list[int] = []
        self.threads: set[int] = set()
        self._answer = answer

    def run(self, _signature: str, inputs: Mapping[str, Any], outputs: Sequence[str]) -> dict[str, Any]:
        """One output for one input."""
        del outputs
        self.sizes.append(len(inputs["x"]))
        self.threads.add(threading.get_ident())
        return {"y": self._answer(inputs["x"])}


@pytest.fixture
def pool() -> Iterator[ThreadPool]:
    """Three threads, so that with the caller four calls are under way."""
    made = ThreadPool(3, "granular")
    yield made
    assert made.close(WAIT_SECONDS)


def run(servable: ConcurrentServable, rows: Sequence[float], signature: str = "rows") -> Any:
    """What the rows become."""
    return servable.run(signature, {"x": np.array(rows, np.float32)}, ())["y"]


def test_rows_come_back_in_their_order(pool: ThreadPool) -> None:
    """However calls end: the first row's does last."""
    last = threading.Event()

    def answer(x: Any) -> Any:
        if x[0] == 0:
            assert last.wait(WAIT_SECONDS)
        if x[0] == 9:
            last.set()
        return x * 2

    servable = ConcurrentServable(Inner(answer), {"rows": 4}, pool)

    assert run(servable, range(10)).tolist() == [2.0 * each for each in range(10)]


def test_as_many_calls_are_under_way_as_said(pool: ThreadPool) -> None:
    """Four calls wait for each other; none could end were they fewer."""
    together = threading.Barrier(4)
    inner = Inner(lambda x: (together.wait(WAIT_SECONDS), x)[1])

    found = run(ConcurrentServable(inner, {"rows": 4}, pool), range(8))

    assert found.tolist() == list(range(8))
    assert inner.sizes == [1] * 8
    assert len(inner.threads) <= 4


def test_a_batch_ends_though_the_executor_is_busy() -> None:
    """The caller's thread makes what calls no other does."""
    pool, free = ThreadPool(1, "granular"), threading.Event()
    pool.submit(lambda: assert_set(free))
    inner = Inner()

    assert run(ConcurrentServable(inner, {"rows": 2}, pool), range(5)).tolist() == [0, 2, 4, 6, 8]
    assert inner.threads == {threading.get_ident()}

    free.set()
    assert pool.close(WAIT_SECONDS)
    assert inner.sizes == [1] * 5  # the job that came late found nothing to do


def assert_set(event: threading.Event) -> None:
    """It is set within the time of a test."""
    assert event.wait(WAIT_SECONDS)


@pytest.mark.parametrize("rows", [[], [1.0]])
def test_a_single_row_or_none_is_one_call(rows: list[float]) -> None:
    """There is nothing to divide."""
    inner = Inner()

    assert run(ConcurrentServable(inner, {"rows": 4}, InlineExecutor()), rows).tolist() == [
        2 * x for x in rows
    ]
    assert inner.sizes == [len(rows)]


def test_other_signatures_are_called_with_whole_batches() -> None:
    """Only those that were named are divided."""
    inner = Inner(np.sum)

    assert run(ConcurrentServable(inner, {"rows": 4}, InlineExecutor()), [1, 2, 3], "whole") == 6
    assert inner.sizes == [3]


def test_the_first_failing_row_speaks_and_every_call_has_ended(pool: ThreadPool) -> None:
    """Two calls fail, the later row's at once; the earlier one's error is raised, after all calls."""
    together, ended = threading.Barrier(4), []

    def answer(x: Any) -> Any:
        together.wait(WAIT_SECONDS)
        ended.append(x[0])
        if x[0] in {1, 3}:
            raise errors.InvalidInput(f"row {x[0]:.0f}")
        return x

    with pytest.raises(errors.InvalidInput, match="row 1"):
        run(ConcurrentServable(Inner(answer), {"rows": 4}, pool), range(4))
    assert sorted(ended) == [0, 1, 2, 3]


def test_no_call_begins_after_one_has_failed() -> None:
    """The batch has failed; its halves are run next."""

    def answer(x: Any) -> Any:
        if x[0] == 2:
            raise errors.InvalidInput("two")
        return x

    inner = Inner(answer)
    with pytest.raises(errors.InvalidInput, match="two"):
        run(ConcurrentServable(inner, {"rows": 2}, InlineExecutor()), range(10))
    assert len(inner.sizes) == 3


@pytest.mark.parametrize(
    "answer",
    [lambda x: np.repeat(x, 2), lambda x: np.array(x[0]), lambda x: np.zeros((1, int(x[0])), np.float32)],
    ids=["two-rows", "scalar", "uneven"],
)
def test_what_makes_no_batch_is_the_models_failure(answer: Callable[[Any], Any]) -> None:
    """Nothing is given back that could be another request's."""
    with pytest.raises(errors.ExecutionFailed, match="row by row"):
        run(ConcurrentServable(Inner(answer), {"rows": 2}, InlineExecutor()), [1, 2, 3])


@pytest.mark.parametrize("calls", [{"rows": 1}, {"whole": 2}])
def test_what_cannot_be_divided_is_refused(calls: dict[str, int]) -> None:
    """One call at a time divides nothing; a signature whose outputs have no rows cannot be divided."""
    with pytest.raises(ValueError, match=r"expected 2 or more|is not batchable"):
        ConcurrentServable(Inner(), calls, InlineExecutor())
