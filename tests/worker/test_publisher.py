"""Replies on their way out: what they carry, where they go, and what is known not to fit."""

from typing import Any

import pytest

from schemas import codec
from schemas.predict_reply import PredictReply
from tests.fakes.kafka_broker import FakeError
from tests.fakes.request_path import DEAD_LETTERS, REPLIES, REQUESTS, Lab, Worker, request

RESOURCE_EXHAUSTED = 8
TEAMS = [{"allowed_reply_topics": ["team-.*"]}]


def teams(partitions: int = 1, **settings: Any) -> tuple[Lab, Worker]:
    """A worker that may answer on `team-a`, which exists."""
    lab = Lab({REQUESTS: 1, REPLIES: 1, DEAD_LETTERS: 1, "team-a": partitions})
    lab.set_model()
    return lab, lab.worker(bindings=TEAMS, **settings).join()


def test_replies_go_where_each_request_says() -> None:
    """Requests of one block, some naming a topic: each reply is where it belongs, with its own key."""
    lab, worker = teams()
    for n in range(10):
        lab.send(request(n, id=f"{n}"), f"k{n}".encode(), [("reply_to", b"team-a")] if n % 2 else None)

    worker.until_committed(10)

    assert set(lab.codes("team-a")) == {f"{n}" for n in range(1, 10, 2)}
    assert set(lab.codes(REPLIES)) == {f"{n}" for n in range(0, 10, 2)}
    assert all(
        m.key() == f"k{codec.decode(m.value() or b'', PredictReply).id}".encode()
        for m in lab.broker.records(REPLIES)
    )


@pytest.mark.parametrize(
    "topic",
    ["elsewhere", REQUESTS, DEAD_LETTERS, "headrace.control", "headrace.status"],
)
def test_a_forbidden_reply_topic_makes_a_dead_letter(topic: str) -> None:
    """Nobody writes to any topic through the worker; the patterns do not open control, request or dead letters."""
    lab = Lab(
        {
            REQUESTS: 1,
            REPLIES: 1,
            DEAD_LETTERS: 1,
            "elsewhere": 1,
            "headrace.control": 1,
            "headrace.status": 1,
        }
    )
    lab.set_model()
    worker = lab.worker(bindings=[{"allowed_reply_topics": ["headrace.*"]}]).join()
    lab.send(
        request(1, id="bad"), b"k", [("kafka_replyTopic", topic.encode()), ("kafka_correlationId", b"c")]
    )
    lab.send(request(1, id="good"))

    worker.until_committed(2)

    assert lab.codes() == {"good": 0}
    letters = [m for m in lab.dead_letters() if m.key() == b"k"]
    assert [codec.decode(m.value() or b"", type(request(1))).id for m in letters] == ["bad"]
    assert b"is not one that requests may name here" in (
        dict(letters[0].headers() or ())["kafka_dlt-exception-message"] or b""
    )
    assert worker.metric("headrace_dead_letters_total", topic=REQUESTS, reason="NoRouteError") == 1


def test_a_reply_that_is_known_not_to_fit_becomes_an_error() -> None:
    """It says both sizes and what helps; nothing is refused by the broker, and the neighbours arrive."""
    lab = Lab(limits={REPLIES: 20_000})
    lab.set_model()
    worker = lab.worker().join()
    for n in range(20):
        lab.send(request(1, id=f"small{n}", signature="text"))
    lab.send(request(30_000, id="large", signature="text"))

    worker.until_committed(21)

    assert lab.codes() == {"large": RESOURCE_EXHAUSTED} | {f"small{n}": 0 for n in range(20)}
    assert "raise the topic's max.message.bytes" in lab.messages()["large"]
    assert worker.metric("headrace_replies_refused_total", reason="MessageTooLarge") == 0
    of_model = {"model": "m", "version": "1", "signature": "text"}
    assert worker.metric("headrace_requests_total", **of_model, code="RESOURCE_EXHAUSTED") == 1


def test_many_small_replies_are_no_batch_that_is_too_large() -> None:
    """1,000 replies of 100 bytes on a topic that takes 20 KB at a time: none is refused."""
    lab = Lab(limits={REPLIES: 20_000})
    lab.set_model()
    worker = lab.worker().join()
    for n in range(1000):
        lab.send(request(n, id=f"{n}"))

    worker.until_committed(1000)

    assert len(lab.codes()) == 1000
    assert worker.metric("headrace_replies_refused_total", reason="MessageTooLarge") == 0


def test_a_large_key_or_header_is_no_burden_on_its_neighbours() -> None:
    """What a reply carries counts for that reply alone."""
    lab = Lab(limits={REPLIES: 20_000})
    lab.set_model()
    worker = lab.worker().join()
    lab.send(request(19_000, id="near the limit", signature="text"))
    lab.send(request(1, id="large key", signature="text"), b"k" * 10_000)
    lab.send(request(1, id="large header", signature="text"), headers=[("traceparent", b"t" * 10_000)])

    worker.until_committed(3)

    assert lab.codes() == {"near the limit": 0, "large key": 0, "large header": 0}


@pytest.mark.parametrize("stalled_for", [0.0, 3.0])
def test_a_full_producer_queue_delays_and_loses_nothing(stalled_for: float) -> None:
    """Replies, errors and dead letters wait for room; each arrives once."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(producer_limits={"queue_records": 3}).join()
    for n in range(50):
        lab.send(request(n, id=f"good{n}"))
        lab.send(request(n, id=f"bad{n}", model="nobody"))
        lab.send(b"garbage %d" % n)
    lab.broker.stalled = True
    worker.run_for(stalled_for)
    assert stalled_for == 0.0 or len(lab.replies()) == 0
    lab.broker.stalled = False

    worker.until_committed(150)

    assert lab.codes() == {f"good{n}": 0 for n in range(50)} | {f"bad{n}": 5 for n in range(50)}
    assert {m.value() for m in lab.dead_letters()} == {b"garbage %d" % n for n in range(50)}


def test_a_full_producer_queue_does_not_stop_the_poll_loop() -> None:
    """The poll thread never waits for room: it goes on polling, and an end keeps its time."""
    lab = Lab()
    worker = lab.worker(producer_limits={"queue_records": 3}).join()
    for n in range(50):
        lab.send(b"garbage %d" % n)
    lab.broker.stalled = True

    worker.run_for(10.0)
    assert lab.clock() - worker.path.reading.loop.last_step < 1.0
    assert not worker.finish(within_seconds=5.0)

    assert lab.clock() < 20.0
    worker.close()


def test_replies_wait_for_a_broker_that_is_away() -> None:
    """What could not be delivered now is delivered later, in whatever order."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker().join()
    lab.broker.refuse(REPLIES, FakeError("NOT_LEADER_FOR_PARTITION"), records=30)
    for n in range(10):
        lab.send(request(n, id=f"{n}"))

    worker.until_committed(10)

    assert lab.codes() == {f"{n}": 0 for n in range(10)}


def test_a_reply_sent_again_keeps_its_partition_and_headers() -> None:
    """A second try is the same record: the partition that was asked for, the headers, the key."""
    lab, worker = teams(partitions=4)
    headers = [
        ("kafka_replyTopic", b"team-a"),
        ("kafka_replyPartition", (3).to_bytes(4, "big")),
        ("correlation_id", b"c"),
    ]
    lab.broker.refuse("team-a", FakeError("NOT_LEADER_FOR_PARTITION"), records=2)
    for n in range(2):
        lab.send(request(n, id=f"{n}"), b"k", headers)

    worker.until_committed(2)

    found = lab.broker.records("team-a")
    assert [(m.partition(), m.key(), m.headers()) for m in found] == [
        (3, b"k", [("correlation_id", b"c")])
    ] * 2


def test_replies_of_one_batch_leave_together_each_with_its_own() -> None:
    """Requests of several polls, with and without key and headers: one batch, one call, nothing mixed up."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(batching={"batch_timeout_seconds": 1.0}).join()
    worker.step()
    for n in range(6):
        headers = [("correlation_id", b"c%d" % n)] if n % 2 else None
        lab.send(request(n, id=f"{n}"), b"k%d" % n if n % 3 else None, headers)
        worker.step()
    assert lab.replies() == []

    worker.until_committed(6)

    found = {
        codec.decode(m.value() or b"", PredictReply).id: (m.key(), m.headers())
        for m in lab.broker.records(REPLIES)
    }
    assert found == {
        f"{n}": (b"k%d" % n if n % 3 else None, [("correlation_id", b"c%d" % n)] if n % 2 else None)
        for n in range(6)
    }
    assert lab.servable().runs == [("serving_default", 6)]
