"""Queues are bounded, and a full one is never a reply."""

import pytest

from schemas.model_config import BatchingOptions
from tests.fakes.request_path import Lab, request


@pytest.mark.parametrize("queued", [1, 2, 8])
def test_a_full_queue_is_never_a_reply(queued: int) -> None:
    """Blocks wait for room, larger ones are cut; every request is answered, and no batch is larger than allowed."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(batching={"max_batch_rows": 4, "max_enqueued_batches": queued}).join()
    for n in range(200):
        lab.send(request(*range(1 + n % 4), id=f"{n}"))

    worker.until_committed(200)

    assert lab.codes() == {f"{n}": 0 for n in range(200)}
    assert max(rows for _, rows in lab.servable().runs) <= 4


def test_what_waits_for_a_queue_goes_in_order() -> None:
    """Requests of one layout are run in the order in which they were read."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(batching={"max_batch_rows": 2, "max_enqueued_batches": 1}).join()
    for n in range(31):
        lab.send(request(n, id=f"{n:02}"))

    worker.until_committed(31)

    assert [reply.id for reply in lab.replies()] == [f"{n:02}" for n in range(31)]


def test_what_waits_is_shown_with_what_waits_for_room() -> None:
    """By version and signature; how long the oldest has waited is read when somebody asks."""
    lab = Lab()
    lab.set_model()
    options = {"max_batch_rows": 2, "max_enqueued_batches": 1, "batch_timeout_seconds": 50.0}
    worker = lab.worker(batching=options).join()
    lab.send(request(1, id="first"))
    worker.run_for(2.0)
    queue = {"model": "m", "version": "1", "signature": "serving_default"}
    assert worker.metric("headrace_queue_rows", **queue) == 1
    assert worker.metric("headrace_queue_tasks", **queue) == 1
    waited = worker.metric("headrace_queue_oldest_seconds", **queue)
    lab.clock.advance(5.0)
    assert worker.metric("headrace_queue_oldest_seconds", **queue) == waited + 5.0 > 6.0

    for n in range(31):
        lab.send(request(n, id=f"{n}"))
    worker.until_committed(32)
    worker.run_for(1.1)
    assert worker.metric("headrace_queue_rows", **queue) == 0
    assert worker.metric("headrace_queue_oldest_seconds", **queue) == 0
    assert worker.metric("headrace_batches_closed_total", **queue, reason="full") == 16


def test_one_full_queue_does_not_hold_up_another() -> None:
    """Two models in one poll, one with no room: the other's requests are answered meanwhile."""
    lab = Lab()
    lab.set_model("full", batching=BatchingOptions(max_batch_rows=1, max_enqueued_batches=1))
    lab.set_model("free")
    worker = lab.worker(batching={"batch_timeout_seconds": 0.0}).join()
    for n in range(20):
        lab.send(request(n, id=f"full{n}", model="full"))
    lab.send(request(1, id="free", model="free"))

    worker.step(3)

    done = lab.codes()
    assert done["free"] == 0
    assert len(done) < 21
    worker.until_committed(21)
    assert set(lab.codes().values()) == {0}


def test_a_models_own_options_win() -> None:
    """What the control record says of batching holds for that model alone."""
    lab = Lab()
    lab.set_model("narrow", batching=BatchingOptions(max_batch_rows=2))
    lab.set_model("wide")
    worker = lab.worker().join()
    for n in range(6):
        lab.send(request(n, id=f"n{n}", model="narrow"))
        lab.send(request(n, id=f"w{n}", model="wide"))

    worker.until_committed(12)

    assert [rows for _, rows in lab.servable("narrow").runs] == [2, 2, 2]
    assert [rows for _, rows in lab.servable("wide").runs] == [6]


def test_batches_of_large_rows_are_bounded_by_their_bytes() -> None:
    """However many rows are allowed, a batch takes no more than its bytes; a request beyond that is answered too."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(batching={"max_batch_bytes": 80}).join()  # a row of the lab's model has 8 bytes
    for n in range(35):
        lab.send(request(n, id=f"{n}"))

    worker.until_committed(35)
    rows = [rows for _, rows in lab.servable().runs]
    lab.send(request(*range(12), id="large"))
    worker.until_committed(36)

    assert set(lab.codes().values()) == {0}
    assert max(rows) == 10
    assert [rows for _, rows in lab.servable().runs][-1] == 12


def test_more_layouts_than_queues_are_served() -> None:
    """Queues that nobody uses make room for new ones."""
    lab = Lab()
    lab.set_model(versions=tuple(range(1, 12)))
    worker = lab.worker().join()
    worker.path._queues._max_queues = 3
    for n in range(44):
        lab.send(request(n, id=f"{n}", version=1 + n % 11))
        worker.step()

    worker.until_committed(44)

    assert set(lab.codes().values()) == {0}
    assert len(worker.path._queues._queues) <= 3


def test_a_changed_option_makes_new_queues_and_loses_nothing() -> None:
    """Requests that wait under the old options are answered under them."""
    lab = Lab()
    lab.set_model(batching=BatchingOptions(max_batch_rows=2, max_enqueued_batches=1))
    worker = lab.worker().join()
    for n in range(10):
        lab.send(request(n, id=f"{n}"))
    worker.step()
    lab.set_model(batching=BatchingOptions(max_batch_rows=8))
    for n in range(10, 20):
        lab.send(request(n, id=f"{n}"))

    worker.until_committed(20)

    assert lab.codes() == {f"{n}": 0 for n in range(20)}
