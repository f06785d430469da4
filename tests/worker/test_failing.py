"""Bindings whose requests fail by this side's fault are not read; others are, and what was stopped is tried."""

from typing import Any

import pytest

from lifecycle.errors import PermanentLoadFailure
from schemas.errors import Code
from tests.fakes.clock import FakeClock
from tests.fakes.kafka_share import FakeShareMember
from tests.fakes.request_path import REQUESTS, Lab, Worker, request
from worker.failing import Failing

TERMS: dict[str, object] = {"failing_requests": 20, "failing_pause_seconds": 10, "poll_records": 10}


def backlog_of_a_broken_model(requests: int, **delivery: object) -> tuple[Lab, Worker]:
    """A worker whose only model fails, and requests that wait for it."""
    lab = Lab()
    lab.set_model()
    lab.servable().broken = True
    worker = lab.worker(delivery={**TERMS, **delivery}).join()
    for n in range(requests):
        lab.send(request(n, id=str(n)))
    return lab, worker


def failing(**options: Any) -> tuple[Failing, FakeClock]:
    """What decides about one binding, and its clock."""
    clock = FakeClock()
    usual: dict[str, Any] = {"ratio": 0.9, "least_requests": 10, "pause_seconds": 1.0, "clock": clock}
    return Failing(["b"], **usual | options), clock


def test_a_broken_model_leaves_its_backlog_in_the_topic() -> None:
    """Some requests are answered with errors, then nothing is read; `/readyz` says why."""
    lab, worker = backlog_of_a_broken_model(500)

    worker.run_for(9.0)

    answered = len(lab.codes())
    assert 20 <= answered < 100
    assert set(lab.codes().values()) == {Code.INTERNAL}
    (reason,) = worker.path.standing_still()
    assert "binding 'default' stands still" in reason
    assert "failed with INTERNAL or UNAVAILABLE" in reason
    assert worker.metric("headrace_failing_bindings", binding="default") == 1
    worker.until_committed(answered)


def test_a_model_that_was_mended_goes_on_where_it_was() -> None:
    """A few requests are tried now and then; when they are answered all the others are."""
    lab, worker = backlog_of_a_broken_model(500)
    worker.run_for(65.0)
    failed = len(lab.codes())
    assert failed < 200, "each try takes few"

    lab.servable().broken = False
    worker.until_committed(500)

    codes = list(lab.codes().values())
    assert codes.count(Code.INTERNAL) == failed
    assert codes.count(0) == 500 - failed
    assert worker.path.standing_still() == []
    assert worker.metric("headrace_failing_bindings", binding="default") == 0


def test_what_a_requester_does_wrong_stops_nobody() -> None:
    """Unknown models, bad shapes and dead letters are no reason."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(delivery=TERMS).join()
    for n in range(100):
        lab.send(request(n, id=str(n), model="nobody"))
        lab.send(b"garbage")

    worker.until_committed(200)

    assert worker.path.standing_still() == []


def test_another_binding_is_read_all_the_while() -> None:
    """The one that fails stands still alone."""
    topics = {"bad": 1, "good": 1, "replies": 1, "bad-dlt": 1, "good-dlt": 1}
    lab = Lab(topics)
    lab.set_model()
    lab.set_model("broken", failures={1: PermanentLoadFailure("no such file")})
    bindings = [
        {"name": name, "request_topics": [name], "reply_topic": "replies", "share": 0.5}
        for name in ("bad", "good")
    ]
    worker = lab.worker(delivery=TERMS, bindings=bindings).join()
    for n in range(200):
        lab.send(request(n, id=f"bad {n}", model="broken"), topic="bad", partition=0)
        lab.send(request(n, id=f"good {n}"), topic="good", partition=0)

    worker.until_committed(200, topic="good")

    codes = lab.codes("replies")
    assert [codes[f"good {n}"] for n in range(200)] == [0] * 200
    assert len(codes) < 300
    assert len(worker.path.standing_still()) == 1


def test_a_queue_takes_nothing_from_the_topics_of_a_binding_that_fails() -> None:
    """It subscribes to the others only, and to all of them again when requests are tried."""
    lab, worker = backlog_of_a_broken_model(300, mode="queue", queue_records=10)
    worker.run_for(9.0)
    assert isinstance(worker.share_members[0], FakeShareMember)
    assert lab.queue.left(REQUESTS) > 200

    lab.servable().broken = False
    worker.until(lambda: lab.queue.left(REQUESTS) == 0, "all answered")

    assert worker.path.standing_still() == []


@pytest.mark.parametrize(("ratio", "stops"), [(0.5, True), (0.6, False)])
def test_the_ratio_decides(ratio: float, *, stops: bool) -> None:
    """Half of the requests failing is too much for one setting and not for another."""
    subject, _ = failing(ratio=ratio)
    subject.settled("b", Code.OK, 10)
    subject.settled("b", Code.UNAVAILABLE, 10)
    subject.step()
    assert (subject.paused == {"b"}) == stops


def test_few_failures_say_nothing_and_old_ones_are_forgotten() -> None:
    """Only what came in the last seconds counts; 0 requests: nothing is ever stopped."""
    subject, clock = failing()
    never, _ = failing(least_requests=0, clock=clock)
    for _ in range(10):
        for each in (subject, never):
            each.settled("b", Code.INTERNAL, 4)
            each.step()
        clock.advance(6.0)
    never.settled("b", Code.INTERNAL, 1000)
    never.step()

    assert subject.paused == never.paused == frozenset()


def test_each_try_that_fails_doubles_the_pause_to_five_minutes() -> None:
    """So that a model that nobody mends costs few errors."""
    subject, clock = failing(pause_seconds=10.0)
    subject.settled("b", Code.INTERNAL, 10)
    subject.step()
    pauses = []
    for _ in range(7):
        paused = clock()
        while subject.paused:
            clock.advance(1.0)
            subject.step()
        pauses.append(clock() - paused)
        subject.read("b", 5)
        assert subject.paused == {"b"}, "the outcome of the try is waited for"
        subject.settled("b", Code.INTERNAL, 5)
        subject.step()

    assert pauses == [10, 20, 40, 80, 160, 300, 300]


def test_where_nothing_waits_to_be_tried_it_goes_on() -> None:
    """An idle binding neither keeps polls small nor the replica unready."""
    changes: list[tuple[str, bool]] = []
    subject, clock = failing(on_change=lambda name, stopped: changes.append((name, stopped)))
    subject.settled("b", Code.INTERNAL, 10)
    subject.step()
    clock.advance(1.0)
    subject.step()
    assert subject.most_records() is not None
    assert subject.reasons() != []

    clock.advance(10.0)
    subject.step()

    assert subject.most_records() is None
    assert subject.reasons() == []
    assert changes == [("b", True), ("b", False)]
