"""The request path as a whole: answered, acknowledged, committed; and how it ends."""

from collections.abc import Callable
from typing import Any

from schemas.predict_request import PredictRequest
from tests.fakes.request_path import DEAD_LETTERS, REPLIES, REQUESTS, Lab, request
from tests.fakes.servables import ManualExecutor
from tests.kit.waiting import wait_until
from worker.kafka import errors

MakeRecord = Callable[[int], PredictRequest | bytes | None]
TWO_BINDINGS: dict[str, Any] = {
    "bindings": [
        {"name": "a", "request_topics": ["a"], "reply_topic": "replies-a", "models": ["slow"], "share": 0.5},
        {"name": "b", "request_topics": ["b"], "reply_topic": "replies-b", "models": ["m"], "share": 0.5},
    ]
}


def test_requests_are_answered_by_the_model() -> None:
    """Each request gets the rows that its model makes of its own."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker().join()
    for n in range(10):
        lab.send(request(n, n + 1, id=f"{n}"))

    worker.until_committed(10)

    answers = {reply.id: reply.outputs[0].to_numpy().tolist() for reply in lab.replies()}
    assert answers == {f"{n}": [[2 * n + 1] * 2, [2 * n + 3] * 2] for n in range(10)}
    assert {(reply.model, reply.version) for reply in lab.replies()} == {("m", 1)}


def test_the_latest_a_version_and_a_label_answer_as_asked() -> None:
    """A request without a version gets the latest, one with a version or a label gets that."""
    lab = Lab()
    lab.set_model(versions=(1, 2), labels={"stable": 1})
    worker = lab.worker().join()
    lab.send(request(1, id="latest"))
    lab.send(request(1, id="one", version=1))
    lab.send(request(1, id="stable", label="stable"))

    worker.until_committed(3)

    assert {reply.id: reply.version for reply in lab.replies()} == {"latest": 2, "one": 1, "stable": 1}


def test_the_key_of_a_request_is_the_key_of_its_reply() -> None:
    """Requests with and without keys, read together, keep theirs."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker().join()
    lab.send(request(1, id="with"), b"key")
    lab.send(request(1, id="without"))

    worker.until_committed(2)

    assert [record.key() for record in lab.broker.records(REPLIES)] == [b"key", None]


def test_a_graceful_end_answers_and_commits_everything_that_was_read() -> None:
    """What was polled is answered, acknowledged and committed before the worker leaves; nothing more is read."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(delivery={"poll_records": 4}).join()
    for n in range(10):
        lab.send(request(n, id=f"{n}"))
    lab.broker.stalled = True
    worker.step()
    lab.broker.stalled = False

    assert worker.finish()

    assert lab.codes() == {f"{n}": 0 for n in range(4)}
    assert lab.committed() == 4
    assert worker.consumer.closed


def test_an_end_without_a_broker_keeps_its_time_and_commits_nothing() -> None:
    """When replies cannot be acknowledged the end is not later than it may be, nor is anything promised."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker().join()
    lab.send(request(1, id="r"))
    lab.broker.stalled = True
    worker.step()

    assert not worker.finish(within_seconds=5.0)

    assert lab.clock() < 10.0
    assert lab.committed() == 0
    worker.close()


def test_an_end_with_requests_that_are_held_keeps_its_time() -> None:
    """A request that waits for a model is not waited for beyond the end."""
    lab = Lab(load_executor=ManualExecutor())
    lab.set_model()
    worker = lab.worker(holding={"loading_seconds": 100}).join()
    lab.send(request(1, id="r"))
    worker.step()

    assert not worker.finish(within_seconds=5.0)

    assert lab.clock() < 10.0
    assert lab.replies() == []


def test_every_handle_is_given_back() -> None:
    """After answers, errors and a close in mid-flight no version is kept by a forgotten handle."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(batching={"max_batch_rows": 2, "max_enqueued_batches": 1}).join()
    for n in range(9):
        lab.send(request(n, -1 if n == 4 else n, id=f"{n}"))
    lab.send(request(1, 2, 3, id="large"))
    lab.send(request(1, id="sig", signature="nothing"))
    worker.step()
    worker.close()

    assert lab.manager.close(0.0) == ()


def test_a_producer_beyond_repair_ends_the_worker_in_order() -> None:
    """Its fatal error leaves the loop; closing afterwards does not wait, raises nothing and commits nothing."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker().join()
    lab.send(request(1, id="r"))
    worker.producers[0].inject(errors.Fatal("fenced", error_name="_FENCED"))

    try:
        worker.run_for(5.0)
    except errors.Fatal:
        worker.close()
    else:
        raise AssertionError("the worker went on")

    assert worker.consumer.closed
    assert lab.committed() == 0
    assert lab.manager.close(0.0) == ()


def test_batch_threads_that_wait_for_room_do_not_hold_up_the_end() -> None:
    """With replies that nobody takes, a close gives up what is not committed, and every thread ends."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(
        batching={"threads": 2, "max_batch_rows": 1}, producer_limits={"queue_records": 3}
    ).join()
    lab.broker.stalled = True
    for n in range(50):
        lab.send(request(n, id=f"{n}"))

    def full() -> bool:
        worker.step()
        return any(len(producer) == 3 for producer in worker.producers)

    wait_until(full, "a full producer", every_seconds=0.0)

    worker.close()

    assert lab.committed() == 0
    assert lab.manager.close(0.0) == ()


def test_a_slow_binding_leaves_the_other_alone() -> None:
    """A binding whose share is used up by a model that is loading stands still; the other goes on."""
    loads = ManualExecutor()
    topics = dict.fromkeys(("a", "b", "replies-a", "replies-b", "a-dlt", "b-dlt"), 1)
    lab = Lab(topics, load_executor=loads)
    lab.set_model("m")
    loads.run()
    lab.set_model("slow")
    delivery = {"budget_rows": 20, "model_share": 1.0}
    worker = lab.worker(delivery=delivery, holding={"loading_seconds": 1000}, **TWO_BINDINGS).join()
    for n in range(30):
        lab.send(request(n, id=f"a{n}", model="slow"), topic="a")
    for n in range(100):
        lab.send(request(n, id=f"b{n}"), topic="b")

    worker.until_committed(100, topic="b")
    worker.step(2)

    assert set(lab.codes("replies-b").values()) == {0}
    assert worker.budget.bindings["a"].rows == 10
    assert {tp.topic for tp in worker.consumer.paused} == {"a"}
    loads.run()
    worker.until_committed(30, topic="a")
    assert lab.codes("replies-a") == {f"a{n}": 0 for n in range(30)}


def test_a_binding_serves_its_models_only() -> None:
    """A model that exists but is another binding's is NOT_FOUND here, and the message says why."""
    topics = dict.fromkeys(("a", "b", "replies-a", "replies-b", "a-dlt", "b-dlt"), 1)
    lab = Lab(topics)
    lab.set_model("m")
    lab.set_model("slow")
    worker = lab.worker(**TWO_BINDINGS).join()
    lab.send(request(1, id="r", model="m"), topic="a")
    lab.send(b"garbage", topic="b")

    worker.until_committed(1, topic="a")
    worker.until_committed(1, topic="b")

    assert lab.codes("replies-a") == {"r": 5}
    assert "not served by the topic" in lab.messages("replies-a")["r"]
    assert [record.value() for record in lab.dead_letters("b-dlt")] == [b"garbage"]
    assert lab.dead_letters("a-dlt") == []


def test_nothing_is_skipped_whatever_arrives() -> None:
    """Good, bad and unreadable records, interleaved: each has one reply or one dead letter, in any order."""
    lab = Lab({REQUESTS: 3, REPLIES: 2, DEAD_LETTERS: 1})
    lab.set_model()
    worker = lab.worker(delivery={"poll_records": 7}).join()
    kinds: list[MakeRecord] = [
        lambda n: request(n, id=f"{n}"),
        lambda n: request(n, n, id=f"{n}"),
        lambda n: request(n, id=f"{n}", model="nobody"),
        lambda n: request(-1, id=f"{n}"),
        lambda n: b"\xc3\x01garbage %d" % n,
        lambda n: None,
    ]
    for n in range(60):
        lab.send(kinds[n % len(kinds)](n), partition=n % 3)

    for partition in range(3):
        worker.until_committed(20, partition)

    assert lab.codes() == {f"{n}": (0, 0, 5, 13)[n % 6] for n in range(60) if n % 6 < 4}
    assert len(lab.dead_letters()) == 20
