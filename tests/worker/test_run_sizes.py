"""Models that run out of memory: their batches are run in smaller parts for a while, and everybody is answered."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from lifecycle.errors import OutOfMemory
from lifecycle.servable_id import ServableId
from schemas.errors import Code
from tests.fakes.clock import FakeClock
from tests.fakes.request_path import Lab, Worker, request
from worker.run_sizes import RunSizes, SizeKey, smaller

KEY: SizeKey = (ServableId("m", 1), "serving_default", ())
LOWERED = "headrace_lowered_run_rows"
OF_M = {"model": "m", "version": "1"}


class Narrow:
    """Makes a servable run out of memory with more than so many rows.

    Attributes:
        sizes: rows of each run, in order.
        room_rows: how many it has room for.
    """

    def __init__(self, lab: Lab, monkeypatch: pytest.MonkeyPatch, room_rows: int, error: Exception) -> None:
        self.sizes: list[int] = []
        self.room_rows = room_rows
        self._run = lab.servable().run
        self._error = error
        monkeypatch.setattr(lab.servable(), "run", self)

    def __call__(
        self, signature: str, inputs: Mapping[str, Any], outputs: Sequence[str]
    ) -> Mapping[str, Any]:
        """Run, where there is room."""
        self.sizes.append(len(inputs["x"]))
        if len(inputs["x"]) > self.room_rows:
            raise self._error
        answer: Mapping[str, Any] = self._run(signature, inputs, outputs)
        return answer


def narrow(
    monkeypatch: pytest.MonkeyPatch, room_rows: int, error: Exception | None = None, **batching: Any
) -> tuple[Lab, Worker, Narrow]:
    """A worker whose model has room for so many rows."""
    lab = Lab()
    lab.set_model()
    model = Narrow(lab, monkeypatch, room_rows, error or OutOfMemory("no memory"))
    return lab, lab.worker(batching=batching).join(), model


def ask(lab: Lab, worker: Worker, requests: int, *, first: int = 0) -> None:
    """Send requests of one row, which are one batch, and have them answered."""
    for n in range(first, first + requests):
        lab.send(request(n, id=str(n)))
    worker.until_committed(first + requests)


@pytest.mark.parametrize("error", [OutOfMemory("no memory"), MemoryError()], ids=["named", "python's own"])
def test_a_batch_without_memory_is_run_in_halves_that_have_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """Each gets its own rows; no size is tried again that was too large; an operator reads what to do."""
    lab, worker, model = narrow(monkeypatch, 40, error)

    ask(lab, worker, 256)

    answers = {reply.id: reply.outputs[0].to_numpy()[0, 0] for reply in lab.replies()}
    assert answers == {str(n): 2.0 * n + 1 for n in range(256)}
    assert model.sizes == [256, 128, 64] + [32] * 8
    assert worker.metric("headrace_runs_out_of_memory_total", **OF_M) == 3
    assert worker.metric("headrace_batches_bisected_total", **OF_M) == 0
    assert worker.metric("headrace_batches_tried_again_total", **OF_M) == 0
    assert "set a smaller max_batch_rows for it" in caplog.text
    assert "a model failed to run" not in caplog.text


def test_the_next_batches_are_run_at_that_size_until_it_has_grown_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """At once for a minute, with twice the rows then, and whole at last; the metric says so, and then goes."""
    caplog.set_level("INFO")
    lab, worker, model = narrow(monkeypatch, 32)
    ask(lab, worker, 128)
    worker.run_for(2.0)
    assert worker.metric(LOWERED, **OF_M) == 32

    model.sizes.clear()
    model.room_rows = 1024
    ask(lab, worker, 128, first=128)
    assert model.sizes == [32] * 4
    worker.run_for(61.0)
    assert worker.metric(LOWERED, **OF_M) == 64
    ask(lab, worker, 128, first=256)
    assert model.sizes == [32] * 4 + [64] * 2
    worker.run_for(61.0)
    ask(lab, worker, 128, first=384)

    assert model.sizes[6:] == [128]
    assert worker.metrics.registry.get_sample_value(LOWERED, OF_M) is None
    assert "a model that ran out of memory is run with as many rows as before" in caplog.text
    assert set(lab.codes().values()) == {0}


def test_without_a_time_each_batch_is_tried_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is remembered; the batch itself is run in halves all the same."""
    lab, worker, model = narrow(monkeypatch, 4, out_of_memory_seconds=0)

    ask(lab, worker, 8)
    ask(lab, worker, 8, first=8)

    assert model.sizes == [8, 4, 4] * 2
    assert set(lab.codes().values()) == {0}


def test_a_request_of_several_rows_is_never_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is run alone where it is larger than there is room for, and is the only one that is not answered."""
    lab, worker, model = narrow(monkeypatch, 4)
    for n, rows in enumerate((1, 3, 6, 2, 2)):
        lab.send(request(*range(rows), id=str(n)))

    worker.until_committed(5)

    assert lab.codes() == {"0": 0, "1": 0, "2": Code.UNAVAILABLE, "3": 0, "4": 0}
    assert model.sizes == [14, 1 + 3, 6, 6, 6, 2 + 2], "it is tried again, as others may let go of memory"


def test_memory_that_no_request_finds_is_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    """All are told that they may ask again, after few runs; the size is not to blame and is what it was."""
    lab, worker, model = narrow(monkeypatch, 0)

    ask(lab, worker, 256)
    failed = len(model.sizes)
    model.room_rows = 1024
    ask(lab, worker, 256, first=256)

    codes = lab.codes()
    assert {codes[str(n)] for n in range(256)} == {Code.UNAVAILABLE}
    assert failed <= 2 + 3 + 2 * 9
    assert {codes[str(n)] for n in range(256, 512)} == {0}
    assert model.sizes[failed:] == [256]


def test_a_size_that_asks_for_many_runs_ends_no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would have been made anyway: the neighbour of the last bad request is answered as that of the first."""
    lab, worker, model = narrow(monkeypatch, 3)
    bad = {0, 1021}
    for n in range(1024):
        lab.send(request(-1 if n in bad else n, id=str(n)))

    worker.until_committed(1024)

    assert lab.codes() == {str(n): Code.INTERNAL if n in bad else 0 for n in range(1024)}
    assert model.sizes.count(2) == 512
    assert worker.metric("headrace_search_runs_total", **OF_M) == 2 * 2


def test_smaller_requests_are_run_where_many_larger_ones_find_no_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who is given up is as large as one that was tried."""
    lab, worker, _ = narrow(monkeypatch, 1)
    for n in range(60):
        lab.send(request(*range(1 if n == 55 else 2), id=str(n)))

    worker.until_committed(60)

    assert lab.codes() == {str(n): 0 if n == 55 else Code.UNAVAILABLE for n in range(60)}


def test_parts_have_allowed_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device compiles nothing new because memory ran out."""
    lab, worker, model = narrow(monkeypatch, 4, max_batch_rows=16, allowed_batch_rows=[4, 12, 16])

    ask(lab, worker, 16)

    assert model.sizes == [16, 4, 4, 4, 4]
    assert set(lab.codes().values()) == {0}


def test_where_there_is_no_smaller_size_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every part would be padded to what was too large: it is tried again as it is, and then answered."""
    lab, worker, model = narrow(monkeypatch, 4, max_batch_rows=16, allowed_batch_rows=[16])

    ask(lab, worker, 16)

    assert model.sizes == [16] * 3
    assert set(lab.codes().values()) == {Code.UNAVAILABLE}


@pytest.mark.parametrize("delivery", [{"mode": "exactly_once"}, {"reply_order": "partition"}], ids=str)
def test_replies_keep_what_is_promised_of_them(
    monkeypatch: pytest.MonkeyPatch, delivery: dict[str, Any]
) -> None:
    """Once each, and in order, although their batch was run in parts and one of them failed."""
    lab = Lab()
    lab.set_model()
    Narrow(lab, monkeypatch, 24, OutOfMemory("no memory"))
    worker = lab.worker(delivery=delivery).join()
    for n in range(64):
        lab.send(request(-1 if n == 13 else n, id=str(n)))

    worker.until(lambda: lab.committed() >= 64, "all committed")

    assert [reply.id for reply in lab.replies()] == [str(n) for n in range(64)]
    assert lab.codes() == {str(n): Code.INTERNAL if n == 13 else 0 for n in range(64)}


def test_a_size_doubles_and_then_is_forgotten() -> None:
    """The fewest rows count, and the time counts from the last want of memory."""
    clock = FakeClock()
    sizes = RunSizes(60.0, clock)
    assert sizes.most_rows(KEY) is None

    sizes.lower(KEY, 1000, 500)
    sizes.lower(KEY, 500, 250)
    assert (sizes.most_rows(KEY), sizes.lowered()) == (250, {("m", 1): 250})
    clock.advance(60.0)
    assert sizes.most_rows(KEY) == 500
    sizes.lower(KEY, 500, 250)
    clock.advance(59.0)
    assert sizes.most_rows(KEY) == 250
    clock.advance(61.0)
    assert (sizes.lowered(), sizes.most_rows(KEY)) == ({}, None)

    sizes.lower(KEY, 8, 4)
    clock.advance(1e9)
    assert sizes.most_rows(KEY) is None
    sizes.lower(KEY, 8, 4)
    sizes.forget(KEY)
    assert sizes.lowered() == {}


def test_the_fewest_rows_of_a_version_are_shown() -> None:
    """Each layout has a size of its own: longer rows take more memory."""
    sizes = RunSizes(60.0, FakeClock())
    sizes.lower(KEY, 8, 4)
    sizes.lower((KEY[0], "other", ()), 64, 32)

    assert sizes.lowered() == {("m", 1): 4}
    assert sizes.most_rows((KEY[0], "other", ())) == 32


@pytest.mark.parametrize(
    ("rows", "allowed", "expected"),
    [(9, (), 4), (1, (), None), (0, (), None), (16, (4, 12, 16), 4), (16, (12, 16), 12), (16, (16,), None)],
)
def test_the_next_smaller_size(rows: int, allowed: tuple[int, ...], expected: int | None) -> None:
    """Half, as far as sizes are allowed."""
    assert smaller(rows, allowed) == expected
