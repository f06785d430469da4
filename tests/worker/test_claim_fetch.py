"""Fetching: tried again where that may help, told in the right code where not, ended when nobody waits."""

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from schemas.claim import claims_of
from schemas.errors import Code
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from tests.fakes.clock import FakeClock
from tests.fakes.servables import ManualExecutor
from tests.fakes.stores import TroubledStore, claimed, new_root
from tests.kit.waiting import wait_until
from worker.claim_fetch import Fetch, Retries
from worker.claim_roots import Roots
from worker.claim_threads import MOST_HANGING, ClaimThreads

AT_ONCE = Retries((0.0, 0.0))
STRINGS = Tensor.from_numpy("s", np.array([b"one", b""], dtype=object))
NUMBERS = Tensor.from_numpy("x", np.arange(6.0))


@pytest.fixture(autouse=True)
def no_trouble() -> Iterator[None]:
    """The troubled store begins well, and nobody hangs in it afterwards."""
    TroubledStore.reset()
    yield
    TroubledStore.gate.set()


def fetch_of(*tensors: Tensor, **changes: Any) -> Fetch:
    """A fetch of these tensors' data out of the troubled store, not begun."""
    root = new_root("troubled")
    request = claimed(PredictRequest("m", inputs=tensors), root, **changes)
    TroubledStore.opened.clear()
    return Fetch(
        request.inputs, claims_of(request.parameters), Roots([root], "claims.roots"), retries=AT_ONCE
    )


def test_every_tensor_is_fetched() -> None:
    """Strings and numbers."""
    fetch = fetch_of(STRINGS, NUMBERS)

    fetch.run()

    assert fetch.failure is None
    assert [tensor.to_numpy().tolist() for tensor in fetch.tensors] == [[b"one", b""], list(range(6))]
    assert fetch.size_bytes == 16 + 3 + 48


def test_a_store_that_fails_twice_is_asked_a_third_time() -> None:
    """What it says meanwhile is nobody's business."""
    fetch = fetch_of(NUMBERS)
    TroubledStore.errors += [OSError("reset by peer"), ValueError("some library's own")]

    fetch.run()

    assert fetch.failure is None
    assert len(TroubledStore.opened) == 3


@pytest.mark.parametrize(
    ("error", "code", "tries"),
    [
        (OSError("key=AKIA123"), Code.UNAVAILABLE, 3),
        (TimeoutError("key=AKIA123"), Code.UNAVAILABLE, 3),
        (RuntimeError("key=AKIA123"), Code.UNAVAILABLE, 3),
        (FileNotFoundError("key=AKIA123"), Code.NOT_FOUND, 1),
        (PermissionError("key=AKIA123"), Code.PERMISSION_DENIED, 1),
        (IsADirectoryError("key=AKIA123"), Code.INVALID_ARGUMENT, 1),
        (ImportError("key=AKIA123"), Code.FAILED_PRECONDITION, 1),
    ],
)
def test_each_failure_has_its_code_and_tells_nothing_of_the_store(
    error: Exception, code: Code, tries: int
) -> None:
    """Only what may pass is tried again."""
    fetch = fetch_of(NUMBERS)
    TroubledStore.errors += [error] * 10

    fetch.run()

    assert fetch.failure is not None
    assert fetch.failure.code is code
    assert "'x'" in str(fetch.failure)
    assert "AKIA" not in str(fetch.failure)
    assert len(TroubledStore.opened) == tries


def test_strings_that_are_none_are_told() -> None:
    """The checksum is right, and what lies there is not what a tensor of strings needs."""
    fetch = fetch_of(Tensor.from_numpy("x", np.array([7, 7], np.int64)))
    fetch.tensors = (Tensor("x", STRINGS.dtype, (2,), ()),)

    fetch.run()

    assert fetch.failure is not None
    assert fetch.failure.code is Code.INVALID_ARGUMENT


def test_what_was_given_up_is_let_go_of_and_ends() -> None:
    """Although its thread hangs in the store at that moment."""
    fetch = fetch_of(NUMBERS)
    TroubledStore.gate.clear()
    thread = threading.Thread(target=fetch.run)
    thread.start()
    wait_until(TroubledStore.entered.is_set, "the thread hangs")

    fetch.give_up()
    assert fetch._buffers == {}
    TroubledStore.gate.set()
    thread.join(30.0)

    assert fetch.ended
    assert fetch.tensors[0].data == b""


def test_threads_that_hang_are_replaced_up_to_a_number() -> None:
    """Past that nobody waits for a thread that will not come: what has not begun is late at once."""
    executor, clock = ManualExecutor(), FakeClock()
    threads = ClaimThreads(executor, seconds=5.0, clock=clock)
    jobs = [fetch_of(NUMBERS) for _ in range(MOST_HANGING + 2)]
    for job in jobs:
        threads.begin(job)
        assert not threads.is_late(job)
        job.started = clock()
    clock.advance(5.0)

    for job in jobs:
        assert threads.is_late(job)
        threads.give_up(job)
    assert executor.lent == MOST_HANGING
    assert threads.is_late(fetch_of(NUMBERS))

    for job in jobs:
        job.ended = True
    threads.step()
    assert executor.lent == 0
    assert not threads.is_late(fetch_of(NUMBERS))
