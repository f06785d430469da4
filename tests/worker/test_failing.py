"""Bindings whose requests fail by this side's fault are not read; others are, and what was stopped is tried."""

import pytest

from lifecycle.errors import PermanentLoadFailure
from schemas.errors import Code
from tests.fakes.clock import FakeClock
from tests.fakes.kafka_share import FakeShareMember
from tests.fakes.request_path import REQUESTS, Lab, request
from worker.failing import Failing

TERMS = {"failing_requests": 20, "failing_pause_seconds": 10}


def test_a_broken_model_leaves_its_backlog_in_the_topic() -> None:
    """Some requests are answered with errors, then nothing is read; `/readyz` says why."""
    lab = Lab()
    lab.set_model()
    lab.servable().broken = True
    worker = lab.worker(delivery={**TERMS, "poll_records": 10}).join()
    for n in range(500):
        lab.send(request(n, id=str(n)))

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
    lab = Lab()
    lab.set_model()
    lab.servable().broken = True
    worker = lab.worker(delivery={**TERMS, "poll_records": 10}).join()
    for n in range(500):
        lab.send(request(n, id=str(n)))
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
    worker = lab.worker(delivery={**TERMS, "poll_records": 10}).join()
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
    worker = lab.worker(delivery={**TERMS, "poll_records": 10}, bindings=bindings).join()
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
    lab = Lab()
    lab.set_model()
    lab.servable().broken = True
    delivery = {**TERMS, "mode": "queue", "queue_records": 10}
    worker = lab.worker(delivery=delivery).join()
    for n in range(300):
        lab.send(request(n, id=str(n)))
    worker.run_for(9.0)
    assert isinstance(worker.share_members[0], FakeShareMember)
    assert lab.queue.left(REQUESTS) > 200

    lab.servable().broken = False
    worker.until(lambda: lab.queue.left(REQUESTS) == 0, "all answered")

    assert worker.path.standing_still() == []


@pytest.mark.parametrize(("ratio", "stops"), [(0.5, True), (0.6, False)])
def test_the_ratio_decides(ratio: float, *, stops: bool) -> None:
    """Half of the requests failing is too much for one setting and not for another."""
    clock = FakeClock()
    failing = Failing(["b"], ratio=ratio, least_requests=10, pause_seconds=1.0, clock=clock)
    failing.settled("b", Code.OK, 10)
    failing.settled("b", Code.UNAVAILABLE, 10)
    failing.step()
    assert (failing.paused == {"b"}) == stops


def test_few_failures_say_nothing_and_old_ones_are_forgotten() -> None:
    """Only what came in the last seconds counts; 0 requests: nothing is ever stopped."""
    clock = FakeClock()
    failing = Failing(["b"], ratio=0.9, least_requests=10, pause_seconds=1.0, clock=clock)
    never = Failing(["b"], ratio=0.9, least_requests=0, pause_seconds=1.0, clock=clock)
    for _ in range(10):
        for each in (failing, never):
            each.settled("b", Code.INTERNAL, 4)
            each.step()
        clock.advance(6.0)
    never.settled("b", Code.INTERNAL, 1000)
    never.step()

    assert failing.paused == never.paused == frozenset()


def test_each_try_that_fails_doubles_the_pause_to_five_minutes() -> None:
    """So that a model that nobody mends costs few errors."""
    clock = FakeClock()
    failing = Failing(["b"], ratio=0.9, least_requests=10, pause_seconds=10.0, clock=clock)
    failing.settled("b", Code.INTERNAL, 10)
    failing.step()
    pauses = []
    for _ in range(7):
        paused = clock()
        while failing.paused:
            clock.advance(1.0)
            failing.step()
        pauses.append(clock() - paused)
        failing.read("b", 5)
        assert failing.paused == {"b"}, "the outcome of the try is waited for"
        failing.settled("b", Code.INTERNAL, 5)
        failing.step()

    assert pauses == [10, 20, 40, 80, 160, 300, 300]


def test_where_nothing_waits_to_be_tried_it_goes_on() -> None:
    """An idle binding neither keeps polls small nor the replica unready."""
    clock = FakeClock()
    changes: list[tuple[str, bool]] = []
    failing = Failing(
        ["b"],
        ratio=0.9,
        least_requests=10,
        pause_seconds=1.0,
        clock=clock,
        on_change=lambda name, stopped: changes.append((name, stopped)),
    )
    failing.settled("b", Code.INTERNAL, 10)
    failing.step()
    clock.advance(1.0)
    failing.step()
    assert failing.most_records() is not None
    assert failing.reasons() != []

    clock.advance(10.0)
    failing.step()

    assert failing.most_records() is None
    assert failing.reasons() == []
    assert changes == [("b", True), ("b", False)]
