"""What becomes of requests whose time runs out, wherever they are on their way to a model."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from schemas import headers
from schemas.codec import encode
from schemas.request_decoder import RequestDecoder
from tests.fakes.kafka import FakeMessage
from tests.fakes.request_path import Lab, Worker, request
from worker.inference import TOO_LATE
from worker.kafka.records import Headers
from worker.polled_records import PolledRecords
from worker.request_block import Part, RequestBlock

DEADLINE_EXCEEDED = 4
RUN_SECONDS = 5.0
INFINITE = float("inf")


def within(milliseconds: int) -> Headers:
    """The header that gives a request so much time."""
    return [(headers.TIMEOUT_MS, b"%d" % milliseconds)]


def slow_lab() -> Lab:
    """One whose model takes its time for each batch."""
    lab = Lab()
    lab.set_model()
    servable = lab.servable()
    run = servable.run

    def slowly(
        signature: str, inputs: Mapping[str, npt.NDArray[Any]], outputs: Sequence[str]
    ) -> Mapping[str, npt.NDArray[Any]]:
        lab.clock.advance(RUN_SECONDS)
        return run(signature, inputs, outputs)

    servable.run = slowly  # type: ignore[method-assign]
    return lab


def test_a_batch_leaves_in_time_for_its_most_urgent_request() -> None:
    """It waits for others no longer than that one can; the others of its batch are answered earlier, too."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(batching={"batch_timeout_seconds": 60.0}).join()
    lab.send(request(1, id="short"), headers=within(500))
    lab.send(request(2, id="patient"))
    worker.until_committed(2)

    assert lab.codes() == {"short": 0, "patient": 0}
    assert lab.servable().runs == [("serving_default", 2)]
    assert lab.clock() < 60.0
    closed = {"model": "m", "version": "1", "signature": "serving_default", "reason": "deadline"}
    assert worker.metric("headrace_batches_closed_total", **closed) == 1


@pytest.mark.parametrize("queued", [1, 8])
def test_requests_of_one_block_expire_each_for_itself(queued: int) -> None:
    """Behind a slow batch, in the queue or before it: those that have time are run together, in order."""
    lab = slow_lab()
    worker = lab.worker(batching={"max_batch_rows": 16, "max_enqueued_batches": queued}).join()
    lab.send(request(*range(16), id="before"))
    for n in range(40):
        lab.send(request(n, id=f"{n:02}"), headers=within(1000) if n % 2 else None)
    worker.until_committed(41)

    expected = {f"{n:02}": DEADLINE_EXCEEDED if n % 2 else 0 for n in range(40)}
    assert lab.codes() == {"before": 0, **expected}
    assert [rows for _, rows in lab.servable().runs] in ([16, 16, 4], [16, 4, 16])
    assert set(lab.messages().values()) == {TOO_LATE}
    answered = {reply.id: reply.outputs[0].to_numpy()[0, 0] for reply in lab.replies() if not reply.error}
    assert {f"{n:02}": 2 * n + 1 for n in range(0, 40, 2)}.items() <= answered.items()
    queue = {"model": "m", "version": "1", "signature": "serving_default"}
    assert worker.metric("headrace_requests_total", **queue, code="DEADLINE_EXCEEDED") == 20


def test_a_request_that_takes_no_others_beside_it_expires_too() -> None:
    """A signature without a dimension for rows: each request is a batch."""
    lab = slow_lab()
    worker = lab.worker().join()
    square = request(1, 2, id="")
    for n in range(3):
        send = request(1, 2, id=f"{n}", signature="square", inputs=square.inputs)
        lab.send(send, headers=within(1000) if n else None)
    worker.until_committed(3)

    assert lab.codes() == {"0": 0, "1": DEADLINE_EXCEEDED, "2": DEADLINE_EXCEEDED}


def test_what_expires_lets_go_of_its_version() -> None:
    """Else it could never be unloaded."""
    lab = slow_lab()
    worker = lab.worker(batching={"max_batch_rows": 2, "max_enqueued_batches": 1}).join()
    for n in range(30):
        lab.send(request(n, id=f"{n}"), headers=within(1000) if n % 3 else None)
    worker.until_committed(30)
    lab.set_model(versions=())
    lab.settle_models()

    assert [state.id for state in lab.manager.states() if state.state.name not in ("END", "DISABLED")] == []


@pytest.mark.parametrize("count", [1, 20])
def test_a_binding_bounds_how_long_its_requests_may_wait(count: int) -> None:
    """From their timestamps; a header may ask for less and not for more, and most have none."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(bindings=[{"most_seconds": 10}]).join()
    now_ms = round(lab.wall() * 1000)
    for n in range(count):
        for name, age, headers_ in (
            ("old", 10_001, None),
            ("new", 9_000, None),
            ("patient", 10_001, within(60_000)),
            ("short", 2_000, within(1_000)),
            ("in time", 2_000, within(3_000)),
        ):
            lab.send(request(n, id=f"{name} {n}"), headers=headers_, timestamp_ms=now_ms - age)
    worker.until_committed(5 * count)

    late = {name: code == DEADLINE_EXCEEDED for name, code in lab.codes().items()}
    assert late == {
        f"{name} {n}": is_late
        for n in range(count)
        for name, is_late in (
            ("old", True),
            ("new", False),
            ("patient", True),
            ("short", True),
            ("in time", False),
        )
    }


def test_a_request_that_waits_for_its_reply_topic_has_no_more_time_for_it() -> None:
    """The limit holds however late its headers are read."""
    lab = Lab()
    lab.set_model()
    binding = {"most_seconds": 3, "allowed_reply_topics": ["late.*"]}
    worker = lab.worker(bindings=[binding], holding={"topic_seconds": 60}).join()
    lab.send(request(1, id="r"), headers=[("reply_to", b"late-topic"), *within(60_000)])
    worker.run_for(2.0)
    lab.broker.create_topic("late-topic", 1, {})
    worker.directory.refresh()
    lab.clock.advance(2.0)
    worker.until_committed(1)

    assert lab.codes("late-topic") == {"r": DEADLINE_EXCEEDED}


def polled(deadlines_ms: Sequence[float]) -> Part:
    """Requests of one poll with these deadlines."""
    values = [encode(request(n, id=f"{n}")) for n in range(len(deadlines_ms))]
    decoder = RequestDecoder()
    decoder.decode(values)
    ((columns,), _) = decoder.decode(values)
    records = PolledRecords(
        "t", "b", [FakeMessage("t", value, offset=n) for n, value in enumerate(values)], 0
    )
    records.deadlines_ms = np.array(deadlines_ms, np.float64)
    return Part(records, columns)


class _Handle:
    """Counts who holds a version."""

    def __init__(self) -> None:
        self.holders = 1

    def another(self) -> "_Handle":
        """One holder more."""
        self.holders += 1
        return self


def ids(block: RequestBlock | None) -> list[int]:
    """The requests of a block."""
    return [int(found) for part in block or () for found in part.columns.ids]


def block_of(*deadlines_ms: float, epoch_ms: float = 0.0) -> RequestBlock:
    """A block with these deadlines, kept by a clock."""
    handle: Any = _Handle()
    part = polled(deadlines_ms)
    block = RequestBlock(part.columns.kind, handle, [part])
    block.keep_time(epoch_ms)
    return block


def test_a_block_parts_by_the_clock_that_it_was_given() -> None:
    """Whatever the wall clock does meanwhile."""
    block = block_of(6_000, 9_000, 6_000, INFINITE, epoch_ms=5_000)
    assert block.deadline == 1.0
    assert block.expire(0.999) == (None, block)

    late, rest = block.expire(1.0)
    assert rest is not None
    assert (ids(late), ids(rest), rest.deadline) == ([0, 2], [1, 3], 4.0)
    assert block.handle.holders == 2  # type: ignore[attr-defined]
    late, rest = rest.expire(4.0)
    assert rest is not None
    assert (ids(late), ids(rest), rest.deadline) == ([1], [3], INFINITE)
    assert rest.expire(1e12) == (None, rest)


def test_pieces_of_a_block_keep_its_clock() -> None:
    """Each with the earliest of its own deadlines."""
    pieces = block_of(9_000, 7_000, 3_000, INFINITE, epoch_ms=1_000).split(2)

    assert pieces is not None
    assert [piece.deadline for piece in pieces] == [6.0, 2.0]
    assert [[ids(each) for each in piece.expire(2.0)] for piece in pieces] == [[[], [0, 1]], [[2], [3]]]


def test_requests_that_alternate_are_copied_together() -> None:
    """A part for each would cost more in the batch; their tensors and ids are still their own."""
    late, rest = block_of(*(1_000.0 if n % 2 else 2_000.0 for n in range(32))).expire(1.0)

    assert late is not None
    assert rest is not None
    assert (len(late.parts), len(rest.parts)) == (1, 1)
    assert ids(late) == list(range(1, 32, 2))
    assert ids(rest) == list(range(0, 32, 2))
    (part,) = rest.parts
    assert np.asarray(part.columns.stacked(0))[:, 0].tolist() == list(range(0, 32, 2))


def test_a_worker_that_ends_hands_nothing_late_to_nobody() -> None:
    """What expires after the end is left to the next worker, uncommitted."""
    lab = slow_lab()
    worker: Worker = lab.worker(batching={"max_batch_rows": 1}).join()
    for n in range(4):
        lab.send(request(n, id=f"{n}"), headers=within(1000))
    worker.step()
    worker.close()

    assert lab.committed() <= len(lab.replies())
