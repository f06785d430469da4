"""What becomes of replies that the broker refuses."""

import pytest

from schemas import codec
from schemas.predict_request import PredictRequest
from tests.fakes.kafka_broker import FakeError
from tests.fakes.request_path import DEAD_LETTERS, GROUP, REPLIES, REQUESTS, Lab, Worker, request
from worker.dead_letters import REFUSED
from worker.kafka import errors
from worker.kafka.records import TopicPartition

RESOURCE_EXHAUSTED = 8


def lowered(limit: int, *, topic: str = REPLIES) -> tuple[Lab, Worker]:
    """A worker that does not know yet that a topic takes so little."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker().join()
    lab.broker.configs[topic]["max.message.bytes"] = str(limit)
    return lab, worker


def test_one_reply_too_large_does_not_take_its_batch_with_it() -> None:
    """The broker refuses the whole batch; each record is sent again alone, and only that one becomes an error."""
    lab, worker = lowered(20_000)
    for n in range(20):
        lab.send(request(1, id=f"small{n}", signature="text"), b"k%d" % n)
    lab.send(request(30_000, id="large", signature="text"), b"key")

    worker.until_committed(21)

    assert lab.codes() == {"large": RESOURCE_EXHAUSTED} | {f"small{n}": 0 for n in range(20)}
    assert "takes fewer" in lab.messages()["large"]
    assert worker.metric("headrace_replies_reproduced_total") == 21


def test_a_batch_that_is_too_large_together_is_produced_one_by_one() -> None:
    """1,000 replies, each of which fits: after the refusal all of them arrive, as they were."""
    lab, worker = lowered(20_000)
    for n in range(1000):
        lab.send(request(n, id=f"{n}"))

    worker.until_committed(1000)

    assert lab.codes() == {f"{n}": 0 for n in range(1000)}


def test_a_limit_that_was_lowered_is_learnt() -> None:
    """After the first refusal the topic is looked at again, and nothing is refused any more."""
    lab, worker = lowered(20_000)
    for n in range(1000):
        lab.send(request(n, id=f"{n}"))
    worker.until_committed(1000)
    worker.directory.step()
    refused = worker.metric("headrace_replies_refused_total", reason="MessageTooLarge")

    for n in range(1000, 2000):
        lab.send(request(n, id=f"{n}"))
    lab.send(request(30_000, id="large", signature="text"))
    worker.until_committed(2001)

    assert refused > 0
    assert worker.metric("headrace_replies_refused_total", reason="MessageTooLarge") == refused
    assert lab.codes()["large"] == RESOURCE_EXHAUSTED


def test_the_limit_of_a_topic_that_requests_name_is_learnt() -> None:
    """It is looked up once a request has named it; after that nothing sent there is refused."""
    lab = Lab({REQUESTS: 1, REPLIES: 1, DEAD_LETTERS: 1, "team-a": 1}, limits={"team-a": 2_000})
    lab.set_model()
    worker = lab.worker(bindings=[{"allowed_reply_topics": ["team-.*"]}]).join()
    lab.send(request(1, id="first"), headers=[("reply_to", b"team-a")])
    worker.until_committed(1)
    worker.directory.step()

    for n in range(100):
        lab.send(request(n, id=f"{n}"), headers=[("reply_to", b"team-a")])
    lab.send(request(3_000, id="large", signature="text"), headers=[("reply_to", b"team-a")])
    worker.until_committed(102)

    assert lab.codes("team-a") == {"first": 0, "large": RESOURCE_EXHAUSTED} | {f"{n}": 0 for n in range(100)}
    assert worker.metric("headrace_replies_refused_total", reason="MessageTooLarge") == 0


@pytest.mark.parametrize("known", [True, False], ids=["limit known", "limit lowered"])
@pytest.mark.parametrize("what", ["key", "header", "id"])
def test_a_request_that_no_answer_fits_becomes_a_dead_letter(what: str, *, known: bool) -> None:
    """Not even an error fits, for what it must repeat is too large: that request alone is a dead letter."""
    lab = Lab(limits={REPLIES: 20_000 if known else 1_000_000})
    lab.set_model()
    worker = lab.worker().join()
    lab.broker.configs[REPLIES]["max.message.bytes"] = "20000"
    large = "i" * 30_000
    record = request(1, id=large if what == "id" else "bad")
    lab.send(request(1, id="before"))
    lab.send(
        record,
        large.encode() if what == "key" else None,
        [("traceparent", large.encode())] if what == "header" else None,
    )
    for n in range(20):
        lab.send(request(n, id=f"behind{n}"))

    worker.until_committed(22)

    assert lab.codes() == {"before": 0} | {f"behind{n}": 0 for n in range(20)}
    (letter,) = lab.dead_letters()
    assert letter.value() == codec.encode(record)
    assert dict(letter.headers() or ())["kafka_dlt-exception-fqcn"] == b"worker.refusals.ReplyTooLargeError"
    assert worker.path.reading.stopped == {}
    assert worker.metric("headrace_dead_letters_total", topic=REQUESTS, reason="ReplyTooLargeError") == 1


def test_of_requests_with_one_id_each_has_its_outcome() -> None:
    """Ids are the requesters' affair; replies that nobody can tell apart still settle every record once."""
    lab, worker = lowered(20_000)
    for _ in range(3):
        lab.send(request(1, id="i" * 30_000))
    lab.send(request(1, id="good"))

    worker.until_committed(4)

    assert lab.codes() == {"good": 0}
    assert sorted(
        dict(m.headers() or ())["kafka_dlt-original-offset"] or b"" for m in lab.dead_letters()
    ) == [n.to_bytes(8, "big") for n in range(3)]


def test_a_request_that_lies_and_that_no_answer_fits_becomes_a_dead_letter() -> None:
    """It could be decoded far enough to be answered, and the answer does not fit."""
    lab, worker = lowered(20_000)
    body = codec.encode(request(1, 2, id="i" * 30_000)).replace(b"\x04\x04\x04\x00", b"\x04\x06\x04\x00", 1)
    lab.send(body)
    lab.send(request(1, id="good"))

    worker.until_committed(2)

    assert [m.value() for m in lab.dead_letters()] == [body]


def test_a_dead_letter_that_does_not_fit_stops_its_partition() -> None:
    """Nothing is skipped: the partition stands still with a reason until an operator acts; others go on."""
    lab = Lab({REQUESTS: 2, REPLIES: 1, DEAD_LETTERS: 1})
    lab.set_model()
    worker = lab.worker().join()
    lab.broker.configs[DEAD_LETTERS]["max.message.bytes"] = "1000"
    lab.send(b"g" * 2000, partition=0)
    lab.send(request(1, id="other"), partition=1)

    worker.until_committed(1, 1)
    worker.run_for(3.0)
    lab.send(request(2, id="more"), partition=1)
    worker.until_committed(2, 1)

    assert lab.committed(0) == 0
    assert list(worker.path.reading.stopped) == [TopicPartition(REQUESTS, 0)]


def test_a_reply_topic_that_is_deleted_meanwhile_makes_dead_letters() -> None:
    """It was there when the request was read; its reply finds it gone. The request comes back as a dead letter."""
    lab = Lab({REQUESTS: 1, REPLIES: 1, DEAD_LETTERS: 1, "team-a": 1})
    lab.set_model()
    worker = lab.worker(bindings=[{"allowed_reply_topics": ["team-.*"]}]).join()
    for n in range(4):
        lab.send(request(n, id=f"{n}"), b"k", [("reply_to", b"team-a")] if n % 2 else None)
    lab.broker.stalled = True
    worker.step(3)
    lab.broker.delete_topic("team-a")
    lab.broker.stalled = False

    worker.until_committed(4)

    assert lab.codes() == {"0": 0, "2": 0}
    assert [codec.decode(m.value() or b"", PredictRequest).id for m in lab.dead_letters()] == ["1", "3"]
    assert worker.metric("headrace_dead_letters_total", topic=REQUESTS, reason="NoRouteError") == 2
    ok = {"model": "m", "version": "1", "signature": "serving_default", "code": "OK"}
    assert worker.metric("headrace_requests_total", **ok) == 2


@pytest.mark.parametrize("mode", ["at_least_once", "exactly_once"])
def test_a_named_reply_topic_that_may_not_be_written_to_makes_a_dead_letter(mode: str) -> None:
    """Whoever asks cannot stop a partition by the name of a topic that the patterns allow and the broker does not."""
    lab = Lab({REQUESTS: 1, REPLIES: 1, DEAD_LETTERS: 1, "team-a": 1})
    lab.set_model()
    worker = lab.worker(bindings=[{"allowed_reply_topics": ["team-.*"]}], delivery={"mode": mode}).join()
    lab.broker.refuse("team-a", FakeError("TOPIC_AUTHORIZATION_FAILED"), records=100)
    for n in range(4):
        lab.send(request(n, id=f"{n}"), b"k", [("reply_to", b"team-a")] if n % 2 else None)

    worker.until_committed(4)

    assert lab.codes() == {"0": 0, "2": 0}
    assert [codec.decode(m.value() or b"", PredictRequest).id for m in lab.dead_letters()] == ["1", "3"]
    assert worker.metric("headrace_dead_letters_total", topic=REQUESTS, reason="NoRouteError") == 2


def test_the_bindings_own_reply_topic_is_waited_for() -> None:
    """Deleted by mistake: nothing is committed, nothing is given up, and it goes on when the topic is back."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker().join()
    lab.send(request(1, id="r"))
    lab.broker.stalled = True
    worker.step(3)
    lab.broker.delete_topic(REPLIES)
    lab.broker.stalled = False
    worker.run_for(10.0)
    assert lab.committed() == 0
    assert lab.dead_letters() == []

    lab.broker.create_topic(REPLIES)
    worker.until_committed(1)

    assert lab.codes() == {"r": 0}


def test_a_right_that_is_missing_is_waited_for() -> None:
    """The operator grants it, and what waited arrives; nothing is lost meanwhile."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker().join()
    lab.broker.refuse(REPLIES, FakeError("TOPIC_AUTHORIZATION_FAILED"), records=5)
    lab.send(request(1, id="r"))

    worker.run_for(3.0)
    assert lab.committed() == 0
    worker.until_committed(1)

    assert lab.codes() == {"r": 0}
    assert worker.metric("headrace_replies_refused_total", reason="NotAuthorized") == 5


def test_a_report_that_the_producer_is_beyond_repair_ends_the_loop() -> None:
    """Nothing more can be delivered by this process: another one repeats what was not committed."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker().join()
    lab.broker.refuse(REPLIES, FakeError("_FATAL", fatal=True))
    lab.send(request(1, id="r"))

    with pytest.raises(errors.Fatal):
        worker.run_for(3.0)

    assert lab.committed() == 0
    worker.close()


def lowered_dead_letters(limit: int, partitions: int = 1) -> tuple[Lab, Worker]:
    """A worker whose dead-letter topic takes less than it should."""
    lab = Lab({REQUESTS: partitions, REPLIES: 1, DEAD_LETTERS: 1})
    lab.set_model()
    worker = lab.worker().join()
    lab.broker.configs[DEAD_LETTERS]["max.message.bytes"] = str(limit)
    return lab, worker


def test_a_dead_letter_too_large_by_its_headers_goes_with_fewer() -> None:
    """The reason's name and the place stay, and all that was the record's own; its neighbours lose nothing."""
    lab, worker = lowered_dead_letters(1000)
    own = [("own", b"1"), ("headrace-replays", b"2")]
    lab.send(b"small")
    lab.send(b"g" * 600, b"key", own)
    lab.send(request(1, id="r"))

    worker.until_committed(3)

    small, large = sorted(lab.dead_letters(), key=lambda m: len(m.value() or b""))
    assert "kafka_dlt-exception-message" in dict(small.headers() or ())
    assert (large.value(), large.key()) == (b"g" * 600, b"key")
    assert large.headers() == [
        *own,
        ("kafka_dlt-original-topic", REQUESTS.encode()),
        ("kafka_dlt-original-partition", bytes(4)),
        ("kafka_dlt-original-offset", (1).to_bytes(8, "big")),
        ("kafka_dlt-exception-fqcn", b"schemas.errors.UnknownFraming"),
    ]
    assert lab.codes() == {"r": 0}
    assert worker.path.reading.stopped == {}


def test_a_partition_that_stops_says_so_everywhere(caplog: pytest.LogCaptureFixture) -> None:
    """Once in the log, at error, with the place and what to do; in a metric; and as a reason not to be ready."""
    lab, worker = lowered_dead_letters(1000, partitions=2)
    for _ in range(20):
        lab.send(b"g" * 2000, partition=0)
    lab.send(request(1, id="other"), partition=1)

    worker.until_committed(1, 1)
    worker.run_for(3.0)

    errors_logged = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors_logged) == 1
    assert "raise that topic's max.message.bytes" in errors_logged[0].getMessage()
    fields = vars(errors_logged[0])
    assert (fields["partition"], fields["offset"]) == (f"{REQUESTS}[0]", 0)
    assert fields["dead_letter_topic"] == DEAD_LETTERS
    assert fields["size_bytes"] >= 2000
    assert worker.metric("headrace_stopped_partitions") == 1
    assert worker.path.reading.stopped == {TopicPartition(REQUESTS, 0): REFUSED}


def test_a_stopped_partition_holds_no_budget_and_nobody_waits_for_it() -> None:
    """What was read behind the record would hold it for ever; other partitions need it, and the end must not wait."""
    lab = Lab({REQUESTS: 2, REPLIES: 1, DEAD_LETTERS: 1})
    lab.set_model()
    worker = lab.worker(delivery={"budget_rows": 64, "model_share": 1.0}).join()
    lab.broker.configs[DEAD_LETTERS]["max.message.bytes"] = "1000"
    lab.send(b"g" * 2000, partition=0)
    for n in range(500):
        lab.send(request(n, id=f"behind{n}"), partition=0)
    worker.run_for(3.0)
    for n in range(200):
        lab.send(request(n, id=f"{n}"), partition=1)

    worker.until_committed(200, 1)
    worker.run_for(2.0)

    assert lab.committed(0) == 0
    assert {f"{n}" for n in range(200)} <= lab.codes().keys()
    assert worker.budget.bindings["default"].rows == 0
    assert worker.budget.models == {}
    began = lab.clock()
    assert worker.finish()
    assert lab.clock() - began < 1.0


def test_what_was_answered_before_the_record_that_stops_a_partition_is_committed() -> None:
    """Runs that were finished stay so; the next worker begins no earlier than it must."""
    lab, worker = lowered_dead_letters(1000)
    for n in range(3):
        lab.send(request(n, id=f"{n}"))
    worker.step()
    lab.send(b"g" * 2000)
    worker.run_for(5.0)

    assert lab.committed() == 3
    assert list(worker.path.reading.stopped) == [TopicPartition(REQUESTS, 0)]


def test_another_worker_goes_on_once_the_topic_takes_it() -> None:
    """As the log says: raise the limit, start again. Nothing is missing then."""
    lab, worker = lowered_dead_letters(1000)
    lab.send(b"g" * 2000)
    lab.send(request(1, id="behind"))
    worker.run_for(3.0)
    worker.finish()
    lab.broker.configs[DEAD_LETTERS]["max.message.bytes"] = "10000"

    lab.worker().join().until_committed(2)

    assert [m.value() for m in lab.dead_letters()] == [b"g" * 2000]
    assert "behind" in {reply.id for reply in lab.replies()}


def test_a_partition_that_has_gone_is_not_stopped() -> None:
    """Its heir will see for itself; here nothing stands still, and nothing is logged."""
    lab, worker = lowered_dead_letters(1000, partitions=2)
    lab.send(b"g" * 2000, partition=0)
    lab.broker.stalled = True
    worker.step(3)
    heir = lab.worker().join()
    lab.broker.move(GROUP, TopicPartition(REQUESTS, 0), heir.consumer)
    worker.run_for(30.0)
    lab.broker.stalled = False
    worker.run_for(3.0)

    assert worker.path.reading.stopped == {}
    heir.run_for(3.0)
    assert list(heir.path.reading.stopped) == [TopicPartition(REQUESTS, 0)]


def test_a_dead_letter_that_is_refused_for_another_reason_stops_its_partition() -> None:
    """A topic that was made compacted takes no record without a key; to wait would hold up everything, silently."""
    lab = Lab({REQUESTS: 2, REPLIES: 1, DEAD_LETTERS: 1})
    lab.set_model()
    worker = lab.worker().join()
    lab.broker.refuse(DEAD_LETTERS, FakeError("INVALID_RECORD"), records=1000)
    lab.send(b"garbage", partition=0)
    lab.send(request(1, id="other"), partition=1)

    worker.until_committed(1, 1)
    worker.run_for(5.0)

    assert list(worker.path.reading.stopped) == [TopicPartition(REQUESTS, 0)]
    assert lab.committed(0) == 0


def test_a_dead_letter_whose_topic_is_away_is_waited_for() -> None:
    """That may pass: nothing stops."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker().join()
    lab.broker.refuse(DEAD_LETTERS, FakeError("NOT_ENOUGH_REPLICAS", retriable=True), records=3)
    lab.send(b"garbage")

    worker.until_committed(1)

    assert [m.value() for m in lab.dead_letters()] == [b"garbage"]
    assert worker.path.reading.stopped == {}
