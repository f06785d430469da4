"""When a batch of a shadow is run, and when it is dropped."""

from typing import Any, cast

import pytest

from batching.batch import Batch
from lifecycle.servable_id import ServableId
from lifecycle.signature import Signature
from schemas.model_config import SHADOW
from tests.fakes.clock import FakeClock
from tests.fakes.request_path import record
from worker.metrics import Metrics, new_registry
from worker.model_table import ModelTable
from worker.request_block import Part, RequestBlock
from worker.run_options import RunOptions
from worker.shadow_room import REQUEST_BYTES, ShadowRoom
from worker.shadow_runs import LONGEST_WAIT_SECONDS, ShadowRuns

SIZE_BYTES = 2 * (100 + REQUEST_BYTES)


class _Handle:
    """A handle that says whether it was released."""

    id = ServableId("m", 2)
    released = False

    def release(self) -> None:
        """Note it."""
        self.released = True


class _Kind:
    model = "m"


class _Part:
    """Two requests of 100 bytes together."""

    size_bytes = 200

    def __len__(self) -> int:
        return 2


class _Block:
    """A block of them."""

    def __init__(self) -> None:
        self.handle = _Handle()
        self.kind = _Kind()
        self.parts = [cast("Part", _Part())]
        self.rows = 2

    def requests(self) -> int:
        """How many."""
        return 2

    def __iter__(self) -> Any:
        return iter(self.parts)


class Runs:
    """The runs of one shadow, with all that they depend on; it is the inference, too."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.table = ModelTable()
        self.table.apply(b"m", record((1, 2), parameters={SHADOW: b"2=1"}), 0)
        self.metrics = Metrics(new_registry())
        self.room = ShadowRoom(SIZE_BYTES)
        self.busy_until = 0.0
        self.ran = 0
        self.failure: Exception | None = None
        self.block = _Block()
        self.runs = ShadowRuns(
            self,
            self.table,
            self.room,
            self.metrics.shadow,
            busy=lambda: self.clock() < self.busy_until,
            clock=self.clock,
            pause=self.clock.advance,
        )

    def process(self, batch: Batch[RequestBlock], signature: Signature, options: RunOptions) -> None:
        """Run a batch, or fail."""
        self.ran += 1
        for block in batch.tasks:
            block.handle.release()
        if self.failure is not None:
            raise self.failure

    def expire(self, block: RequestBlock, signature: Signature) -> None:
        """Answer requests that are out of time, or fail."""
        block.handle.release()
        if self.failure is not None:
            raise self.failure

    def go(self) -> None:
        """Have the one batch run or dropped; whatever becomes of it, its handle and its room are given back."""
        assert self.room.take(SIZE_BYTES)
        batch: Batch[RequestBlock] = Batch()
        batch.add(cast("RequestBlock", self.block), 0.0)
        self.runs.process(batch, cast("Signature", None), RunOptions())
        assert self.block.handle.released
        assert self.room.used_bytes == 0

    def dropped(self, reason: str) -> float:
        """How many requests were dropped for that reason."""
        labels = {"model": "m", "reason": reason}
        return self.metrics.registry.get_sample_value("headrace_shadow_dropped_total", labels) or 0.0


def test_a_batch_is_run_once_no_regular_one_waits() -> None:
    """Until then it waits."""
    runs = Runs()
    runs.busy_until = LONGEST_WAIT_SECONDS / 2
    runs.go()

    assert runs.ran == 1
    assert runs.clock() >= LONGEST_WAIT_SECONDS / 2


def test_a_worker_that_has_no_moment_to_spare_drops_it() -> None:
    """Requests that somebody waits for go first, and nothing heaps up behind them."""
    runs = Runs()
    runs.busy_until = 1e9
    runs.go()

    assert (runs.ran, runs.dropped("busy")) == (0, 2)


@pytest.mark.parametrize("value", [None, record((1, 2))])
def test_what_waits_for_a_shadow_that_was_ended_is_dropped(value: bytes | None) -> None:
    """At once, so that its version can be unloaded."""
    runs = Runs()
    runs.busy_until = 1e9
    runs.table.apply(b"m", value, 1)
    runs.go()

    assert (runs.ran, runs.dropped("off"), runs.clock()) == (0, 2, 0.0)


def test_at_the_end_of_the_worker_nothing_is_begun() -> None:
    """However much waits."""
    runs = Runs()
    runs.runs.close()
    runs.go()

    assert (runs.ran, runs.dropped("off")) == (0, 2)


def test_whatever_is_raised_ends_there(caplog: pytest.LogCaptureFixture) -> None:
    """The thread goes on, the room is given back, and the log says so."""
    runs = Runs()
    runs.failure = RuntimeError("who knows")
    runs.go()

    assert "a batch of a shadow was given up" in caplog.text


def test_no_more_is_taken_than_there_is() -> None:
    """And what is given back can be taken again."""
    room = ShadowRoom(10)
    assert room.take(6)
    assert not room.take(5)
    assert room.take(4)
    room.give_back(5)
    assert room.take(5)
    assert room.used_bytes == 10


@pytest.mark.parametrize("failure", [None, RuntimeError("who knows")])
def test_what_is_out_of_time_gives_its_room_back(
    failure: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever is raised."""
    runs = Runs()
    runs.failure = failure
    assert runs.room.take(SIZE_BYTES)
    runs.runs.expire(cast("RequestBlock", runs.block), cast("Signature", None))

    assert runs.block.handle.released
    assert runs.room.used_bytes == 0
    assert ("a batch of a shadow was given up" in caplog.text) == (failure is not None)
