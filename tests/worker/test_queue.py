"""Requests out of a queue: dealt out one by one, answered, and given back when they cannot be in time."""

import functools
from collections.abc import Sequence
from typing import Any

import pytest

from schemas.errors import Code
from tests.fakes.kafka_broker import FakeMessage
from tests.fakes.lab_servable import POISON
from tests.fakes.request_path import REQUESTS, Lab, Worker, request
from tests.fakes.servables import ManualExecutor
from worker.queue_turns import turns
from worker.settings import Settings

INTERNAL, UNAVAILABLE = 13, 14


def queue_worker(lab: Lab, *, records: int = 500, seconds: float = 15.0, **groups: Any) -> Worker:
    """A worker that takes requests out of a queue, and has joined; it may work on them for so long."""
    lab.queue.lock_seconds = 2 * seconds
    delivery = {"mode": "queue", "queue_records": records}
    return lab.worker(delivery=delivery, **groups).join()


def done(lab: Lab) -> bool:
    """Whether nobody waits for anything."""
    return lab.queue.left(REQUESTS) == 0


def test_each_request_is_answered_once_and_never_comes_again() -> None:
    """More than one poll brings; what was accepted is not dealt out again."""
    lab = Lab()
    lab.set_model()
    worker = queue_worker(lab, records=7)
    for n in range(30):
        lab.send(request(n, id=str(n)))

    worker.until(lambda: done(lab), "all accepted")
    worker.run_for(60.0)

    assert lab.codes() == {str(n): 0 for n in range(30)}
    assert worker.metric("headrace_requests_released_total") == 0


def test_one_partition_is_shared_by_many_workers() -> None:
    """Each takes some, nobody takes what another has."""
    lab = Lab()
    lab.set_model()
    workers = [queue_worker(lab, records=4) for _ in range(3)]
    for n in range(24):
        lab.send(request(n, id=str(n)))

    for _ in range(10):
        for worker in workers:
            worker.step()

    assert lab.codes() == {str(n): 0 for n in range(24)}
    consumed = [worker.metric("headrace_records_consumed_total", topic=REQUESTS) for worker in workers]
    assert sum(consumed) == 24
    assert all(consumed)


def test_what_a_dead_worker_had_is_answered_by_another() -> None:
    """When its locks have ended, and not before."""
    lab = Lab()
    lab.set_model()
    dead = queue_worker(lab)
    for n in range(5):
        lab.send(request(n, id=str(n)))
    taken = dead.share_members[0].poll(0.0)
    assert len(taken) == 5
    dead.share_members[0].die()
    heir = queue_worker(lab)

    heir.run_for(29.0)
    assert lab.codes() == {}
    heir.run_for(2.0)

    assert lab.codes() == {str(n): 0 for n in range(5)}


def test_what_is_not_answered_in_time_goes_back_and_the_rest_is_done() -> None:
    """A model that loads for longer holds up its own requests only; those that were answered are not repeated."""
    loads = ManualExecutor()
    lab = Lab(load_executor=loads)
    lab.set_model("quick")
    loads.run()
    lab.set_model("slow")
    worker = queue_worker(lab, seconds=10.0, holding={"loading_seconds": 60})
    lab.send(request(1, id="quick", model="quick"))
    lab.send(request(1, id="slow", model="slow"))

    worker.run_for(12.0)
    assert lab.codes() == {"quick": 0}
    assert lab.queue.left(REQUESTS) == 1
    assert worker.metric("headrace_requests_released_total") == 1
    loads.run()
    worker.until(lambda: done(lab), "both answered")

    assert lab.codes() == {"quick": 0, "slow": 0}
    assert [len(each) for each in (lab.servable("quick").runs, lab.servable("slow").runs)] == [1, 1]
    assert worker.metric("headrace_requests_left_total", topic=REQUESTS) == 1


def test_what_was_given_back_holds_no_budget() -> None:
    """However often a request comes back, nothing of it stays behind."""
    lab = Lab(load_executor=ManualExecutor())
    lab.set_model("slow")
    worker = queue_worker(lab, seconds=5.0, holding={"loading_seconds": 60})
    for n in range(10):
        lab.send(request(n, id=str(n), model="slow"))

    worker.run_for(60.0)

    budget = worker.budget
    assert budget.models == {}
    assert budget.bindings["default"].rows == 0
    assert set(lab.codes().values()) == {INTERNAL}
    assert done(lab)


def test_a_request_at_the_limit_is_answered_and_kept_without_a_run() -> None:
    """It may be what ended four workers: no model sees it again."""
    lab = Lab()
    lab.set_model()
    for _ in range(4):
        worker = queue_worker(lab)
        if not lab.broker.records(REQUESTS):
            lab.send(request(1, id="bad"), key=b"k", headers=[("h", b"1")])
        worker.share_members[0].poll(0.0)
        worker.share_members[0].die()
        lab.clock.advance(31.0)
    worker = queue_worker(lab)

    worker.until(lambda: done(lab), "accepted")

    assert lab.codes() == {"bad": INTERNAL}
    assert "delivered 5 times" in lab.messages()["bad"]
    (letter,) = lab.dead_letters()
    assert letter.key() == b"k"
    headers = dict(letter.headers() or ())
    assert headers["h"] == b"1"
    assert "DeliveryLimitError" in str(sorted(headers.items()))
    assert lab.servable().runs == []
    assert worker.metric("headrace_dead_letters_total", topic=REQUESTS, reason="DeliveryLimitError") == 1


class _Deadly(KeyboardInterrupt):
    """Ends the worker that runs it: of all that a model may raise, this alone goes through."""


def test_a_request_that_ends_its_worker_takes_nobody_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every worker that runs it dies; all others are answered by a model, and it alone is not."""
    lab = Lab()
    lab.set_model()
    servable = lab.servable()
    run = servable.run

    def deadly(signature: str, inputs: dict[str, object], outputs: Sequence[str]) -> object:
        if (inputs["x"] == POISON).any():  # type: ignore[attr-defined]
            raise _Deadly
        return run(signature, inputs, outputs)  # type: ignore[arg-type]

    monkeypatch.setattr(servable, "run", deadly)
    for n in range(9):
        lab.send(request(POISON if n == 4 else n, id=str(n)))

    for _ in range(10):
        worker = queue_worker(lab)
        try:
            worker.until(functools.partial(done, lab), "all accepted")
            break
        except _Deadly:
            worker.share_members[0].die()
            lab.clock.advance(31.0)

    assert lab.codes() == {str(n): INTERNAL if n == 4 else 0 for n in range(9)}
    assert len(lab.dead_letters()) == 1


def test_a_bad_record_becomes_a_dead_letter_and_is_done() -> None:
    """As in any other way of delivery."""
    lab = Lab()
    lab.set_model()
    worker = queue_worker(lab)
    lab.send(b"no request")
    lab.send(request(1, id="good"))

    worker.until(lambda: done(lab), "both done")

    assert lab.codes() == {"good": 0}
    assert len(lab.dead_letters()) == 1


def test_a_worker_that_ends_answers_what_it_has_and_gives_back_what_it_has_not_begun() -> None:
    """The queue knows all of it before the worker leaves."""
    lab = Lab()
    lab.set_model()
    worker = queue_worker(lab, records=4)
    for n in range(6):
        lab.send(request(n, id=str(n)))
    worker.step()

    assert worker.finish()

    assert lab.codes() == {str(n): 0 for n in range(4)}
    assert lab.queue.left(REQUESTS) == 2


def test_a_worker_that_has_no_time_left_gives_back_what_is_not_answered() -> None:
    """Another takes it at once, without waiting for a lock."""
    lab = Lab(load_executor=ManualExecutor())
    lab.set_model("slow")
    worker = queue_worker(lab, holding={"loading_seconds": 60})
    lab.send(request(1, id="late", model="slow"))
    worker.step()

    assert not worker.finish(within_seconds=1.0)

    heir = queue_worker(lab)
    heir.step()
    assert heir.metric("headrace_records_consumed_total", topic=REQUESTS) == 1


def test_the_queue_that_cannot_be_told_deals_out_again() -> None:
    """What was answered may be answered again; nothing is lost, and the worker goes on."""
    lab = Lab()
    lab.set_model()
    worker = queue_worker(lab)
    lab.send(request(1, id="a"))
    worker.step()
    lab.queue.unreachable = True
    worker.run_for(40.0)
    lab.queue.unreachable = False

    worker.until(lambda: done(lab), "accepted")

    assert {reply.id for reply in lab.replies()} == {"a"}
    assert len(lab.replies()) == 2


@pytest.mark.parametrize("limit", [2, 3, 5])
def test_turns_take_each_record_once(limit: int) -> None:
    """Whatever their counts: at the limit refused, one before it alone, the others together."""
    messages = [FakeMessage("t", b"", offset=n, timestamp_ms=0).delivered(n % (limit + 2)) for n in range(40)]

    found = turns(messages, limit)

    assert sorted(m.offset() for turn in found for m in turn.messages) == list(range(40))
    for turn in found:
        counts = [m.delivery_count() or 1 for m in turn.messages]
        assert (turn.refusal is not None) == (min(counts) >= limit)
        if turn.refusal is None and limit - 1 in counts and limit > 2:
            assert len(counts) == 1
    refused = [turn.refusal is not None for turn in found]
    assert refused == sorted(refused, reverse=True), "what is at the limit comes first"


def test_records_with_two_deliveries_left_go_from_the_last_to_the_first() -> None:
    """And those with one left from the first: what is before a deadly record and what is behind it both get a turn."""
    messages = [FakeMessage("t", b"", offset=n, timestamp_ms=0).delivered(3 + n % 2) for n in range(6)]

    assert [m.offset() for turn in turns(messages, 5) for m in turn.messages] == [4, 2, 0, 1, 3, 5]


def test_replies_of_a_queue_have_no_order() -> None:
    """The two settings contradict each other, and the message says so."""
    with pytest.raises(ValueError, match=r"delivery\.reply_order: a queue deals requests"):
        Settings(delivery={"mode": "queue", "reply_order": "partition"})  # type: ignore[arg-type]


def test_the_codes_are_those_of_the_wire() -> None:
    """The numbers above are what they are called."""
    assert (Code.INTERNAL, Code.UNAVAILABLE) == (INTERNAL, UNAVAILABLE)
