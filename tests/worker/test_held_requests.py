"""Requests that wait for what is expected to come: a model that loads, a reply topic that is being made."""

from collections.abc import Callable

from lifecycle.errors import PermanentLoadFailure
from tests.fakes.request_path import REPLIES, REQUESTS, Lab, request
from tests.fakes.servables import ManualExecutor
from worker.request_block import Part

DEADLINE_EXCEEDED, UNAVAILABLE = 4, 14


def test_a_request_waits_for_its_model_and_is_answered() -> None:
    """While a version loads its requests are held; once it is there they are answered, and others never waited."""
    loads = ManualExecutor()
    lab = Lab(load_executor=loads)
    lab.set_model("other")
    loads.run()
    lab.set_model()
    worker = lab.worker().join()
    lab.send(request(1, id="held"))
    lab.send(request(1, id="other", model="other"))
    worker.run_for(2.0)
    assert lab.codes() == {"other": 0}

    loads.run()
    worker.until_committed(2)

    assert lab.codes() == {"other": 0, "held": 0}


def test_a_model_that_loads_for_too_long_is_unavailable() -> None:
    """After the hold time the request is answered; the message says what it waited for."""
    lab = Lab(load_executor=ManualExecutor())
    lab.set_model()
    worker = lab.worker(holding={"loading_seconds": 10}).join()
    lab.send(request(1, id="held"))

    worker.run_for(9.5)
    assert lab.replies() == []
    worker.run_for(2.0)

    assert lab.codes() == {"held": UNAVAILABLE}
    assert "version 1 of model 'm' is still loading" in lab.messages()["held"]
    worker.until_committed(1)


def test_a_held_request_keeps_its_own_deadline() -> None:
    """A request that is not wanted any more is answered then, not at the end of the hold time."""
    lab = Lab(load_executor=ManualExecutor())
    lab.set_model()
    worker = lab.worker(holding={"loading_seconds": 10}).join()
    lab.send(request(1, id="short"), headers=[("headrace-timeout-ms", b"2000")])
    lab.send(request(1, id="long"), headers=[("headrace-timeout-ms", b"3600000")])

    worker.run_for(3.0)

    assert lab.codes() == {"short": DEADLINE_EXCEEDED}
    worker.until_committed(2)
    assert lab.codes() == {"short": DEADLINE_EXCEEDED, "long": UNAVAILABLE}


def test_a_held_request_learns_that_the_load_has_failed() -> None:
    """A load that ends badly answers those who wait for it at once, with the reason."""
    loads = ManualExecutor()
    lab = Lab(load_executor=loads)
    lab.set_model(failures={1: PermanentLoadFailure("no memory left")})
    worker = lab.worker().join()
    lab.send(request(1, id="held"))
    worker.run_for(1.0)

    loads.run()
    worker.run_for(1.0)

    assert lab.codes() == {"held": UNAVAILABLE}
    assert "no memory left" in lab.messages()["held"]


def test_a_request_for_what_was_removed_meanwhile_is_not_found() -> None:
    """A model taken from the control topic while its requests wait answers them as the topic stands."""
    lab = Lab(load_executor=ManualExecutor())
    lab.set_model()
    worker = lab.worker().join()
    lab.send(request(1, id="held"))
    worker.run_for(1.0)

    lab.table.apply(b"m", None, 99)
    worker.run_for(1.0)

    assert lab.codes() == {"held": 5}


def test_a_reply_topic_that_appears_is_used() -> None:
    """A topic made just before the request, and not yet known here, is waited for."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(bindings=[{"allowed_reply_topics": ["team-.*"]}]).join()
    lab.send(request(1, id="r"), headers=[("reply_to", b"team-a"), ("correlation_id", b"c")])
    worker.run_for(1.0)
    assert lab.replies() == []

    lab.broker.create_topic("team-a")
    worker.directory.step()
    worker.until_committed(1)

    assert lab.codes("team-a") == {"r": 0}
    assert [record.headers() for record in lab.broker.records("team-a")] == [[("correlation_id", b"c")]]


def test_a_reply_topic_that_never_appears_makes_a_dead_letter() -> None:
    """After the hold time the request is a dead letter that names the topic; it was never run."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(bindings=[{"allowed_reply_topics": ["team-.*"]}], holding={"topic_seconds": 5}).join()
    lab.send(request(1, id="r"), headers=[("reply_to", b"team-a")])
    lab.send(request(1, id="good"))

    worker.run_for(4.0)
    assert lab.dead_letters() == []
    worker.until_committed(2)

    (letter,) = lab.dead_letters()
    assert (
        dict(letter.headers() or ())["kafka_dlt-exception-message"]
        == b"the reply topic 'team-a' does not exist"
    )
    assert lab.codes(REPLIES) == {"good": 0}


def test_an_unreadable_deadline_on_a_request_that_waited_for_its_topic_is_answered() -> None:
    """Its headers are looked at again when the topic is there; a bad one is answered there, and harms nobody."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(bindings=[{"allowed_reply_topics": ["team-.*"]}]).join()
    headers = [("reply_to", b"team-a"), ("headrace-timeout-ms", b"soon")]
    lab.send(request(1, id="r"), headers=headers)
    worker.run_for(1.0)

    lab.broker.create_topic("team-a")
    worker.directory.step()
    worker.until_committed(1)

    assert lab.codes("team-a") == {"r": 3}
    assert "headrace-timeout-ms" in lab.messages("team-a")["r"]


def test_a_reply_partition_that_the_new_topic_lacks_makes_a_dead_letter() -> None:
    """The topic that appeared has fewer partitions than the request named."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(bindings=[{"allowed_reply_topics": ["team-.*"]}]).join()
    headers = [("kafka_replyTopic", b"team-a"), ("kafka_replyPartition", (7).to_bytes(4, "big"))]
    lab.send(request(1, id="r"), headers=headers)
    worker.run_for(1.0)

    lab.broker.create_topic("team-a", 2)
    worker.directory.step()
    worker.until_committed(1)

    assert len(lab.dead_letters()) == 1


def noted(retry: Callable[[Part], bool], tries: list[Part]) -> Callable[[Part], bool]:
    """The same, and what was tried is noted."""

    def note(part: Part) -> bool:
        tries.append(part)
        return retry(part)

    return note


def test_a_look_tries_one_of_those_that_wait_for_the_same() -> None:
    """However many there are; each model and each topic is tried by itself, and all go on when it has come."""
    loads = ManualExecutor()
    lab = Lab(load_executor=loads)
    lab.set_model()
    loads.run()
    lab.set_model("late")
    binding = {"request_topics": [REQUESTS], "reply_topic": REPLIES, "allowed_reply_topics": ["new-[12]"]}
    holding = {"topic_seconds": 60, "loading_seconds": 60}
    worker = lab.worker(holding=holding, bindings=[binding], delivery={"poll_records": 1}).join()
    ids = {name: [f"{name} {n}" for n in range(100)] for name in ("late", "new-1", "new-2")}
    for n in range(100):
        lab.send(request(n, id=ids["late"][n], model="late"))
        for topic in ("new-1", "new-2"):
            lab.send(request(n, id=ids[topic][n]), headers=[("reply_to", topic.encode())])
    held = worker.path._intake.held_for_topics, worker.path._intake.held_for_models
    worker.until(lambda: (len(held[0]), len(held[1])) == (200, 100), "all are held")
    assert [each.rows for each in held] == [200, 100]
    tries: list[Part] = []
    for each in held:
        each._retry = noted(each._retry, tries)

    lab.clock.advance(0.06)
    worker.path._intake.step()
    assert len(tries) == 3

    lab.broker.create_topic("new-2")
    worker.directory.refresh()
    loads.run()
    lab.settle_models()
    worker.until(
        lambda: len(lab.replies()) == 100 == len(lab.replies("new-2")), "those that can are answered"
    )

    assert lab.codes("new-2") == dict.fromkeys(ids["new-2"], 0)
    assert lab.codes() == dict.fromkeys(ids["late"], 0)
    assert [each.rows for each in held] == [100, 0]


def test_what_has_gone_on_is_kept_by_nobody() -> None:
    """The end of its wait is still to come, and must not hold its records until then."""
    loads = ManualExecutor()
    lab = Lab(load_executor=loads)
    lab.set_model()
    lab.set_model("other")
    worker = lab.worker(holding={"loading_seconds": 600}).join()
    lab.send(request(1, id="1"), headers=[("headrace-timeout-ms", b"60000")])
    worker.step(3)
    lab.send(request(2, id="2", model="other"))
    worker.step(3)
    held = worker.path._intake.held_for_models

    loads.run()
    lab.settle_models()
    worker.until_committed(1)

    assert len(held) == 1
    assert [len(part) for _, _, waiting in held._ends if (part := waiting.part) is not None] == [1]
    assert [waiting.part for _, _, waiting in held._deadlines] == [None]
