"""A share of the requests is given to another version as well, and nobody who asks notices."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lifecycle.errors import PermanentLoadFailure
from lifecycle.servable_id import ServableId
from lifecycle.servable_state import ServableState
from schemas import codec, headers
from schemas.model_config import SHADOW, SPLIT
from schemas.predict_reply import PredictReply
from schemas.tensor import Tensor
from schemas.traffic_shadow import TrafficShadow
from tests.fakes.kafka_broker import FakeError, FakeMessage
from tests.fakes.lab_servable import POISON, LabServable
from tests.fakes.request_path import DEAD_LETTERS, REPLIES, REQUESTS, Lab, Worker, request
from tests.kit.waiting import wait_until
from worker.kafka import errors
from worker.traffic_shares import ShadowShare

SHADOWS, ASKED = "shadows", "asked-for"
PLAN = {REQUESTS: 2, REPLIES: 1, DEAD_LETTERS: 1, SHADOWS: 3, ASKED: 1}
MODES: list[dict[str, Any]] = [
    {},
    {"reply_order": "partition"},
    {"mode": "exactly_once"},
    {"mode": "queue"},
]


def shadow(text: str, split: str = "1=1") -> dict[str, bytes]:
    """The parameters of a config with that shadow, and with that split."""
    return {SHADOW: text.encode(), SPLIT: split.encode()}


def new_lab(text: str = f"2=1 {SHADOWS}", split: str = "1=1", **fields: Any) -> Lab:
    """A lab with a model whose version 1 answers; version 2 is the shadow."""
    lab = Lab(PLAN)
    lab.set_model(versions=(1, 2), parameters=shadow(text, split), **fields)
    return lab


def shadows(lab: Lab) -> list[FakeMessage]:
    """What is on the shadow's topic."""
    return lab.broker.records(SHADOWS)


def shadow_replies(lab: Lab) -> dict[str, PredictReply]:
    """The same by id; each is there once."""
    replies = [codec.decode(message.value() or b"", PredictReply) for message in shadows(lab)]
    found = {reply.id: reply for reply in replies}
    assert len(found) == len(replies)
    return found


def answered(lab: Lab, count: int) -> bool:
    """Whether so many requests have their replies, all of them from version 1 and none an error."""
    replies = lab.replies()
    assert all(reply.error is None and reply.version == 1 for reply in replies)
    return len({reply.id for reply in replies}) == len(replies) == count


def dropped(worker: Worker, reason: str) -> float:
    """How many requests the shadow was not given, for that reason."""
    return worker.metric("headrace_shadow_dropped_total", model="m", reason=reason)


def done(worker: Worker, code: str = "OK", version: str = "2") -> float:
    """How many requests the shadow has answered with that code."""
    return worker.metric("headrace_shadow_requests_total", model="m", version=version, code=code)


@pytest.mark.parametrize("delivery", MODES)
def test_the_share_of_a_shadow_goes_to_both_versions(delivery: dict[str, Any]) -> None:
    """However replies are delivered: by the keys, whatever the rows, the layout and the poll; joined by id."""
    lab = new_lab(f"2=0.3 {SHADOWS}")
    worker = lab.worker(delivery={"poll_records": 50, **delivery}).join()
    for n in range(300):
        lab.send(request(*[float(n)] * (1 + n % 3), id=f"{n}"), key=b"key-%d" % (n % 40))
    share = ShadowShare("m", TrafficShadow(2, 0.3))
    keys = set(share.chosen([b"key-%d" % n for n in range(40)]))
    wanted = {f"{n}" for n in range(300) if n % 40 in keys}

    worker.until(lambda: answered(lab, 300) and len(shadows(lab)) >= len(wanted), "all answered")
    worker.run_for(2.0)

    assert 0 < len(keys) < 40
    assert answered(lab, 300)
    assert shadow_replies(lab).keys() == wanted
    for name, reply in shadow_replies(lab).items():
        n = int(name)
        assert (reply.version, reply.error) == (2, None)
        assert reply.outputs[0].to_numpy().tolist() == [[2 * n + 2] * 2] * (1 + n % 3)
    assert {m.key(): codec.decode(m.value() or b"", PredictReply).id for m in shadows(lab)}.keys() == {
        b"key-%d" % key for key in keys
    }
    assert done(worker) == len(wanted)


def test_nothing_of_a_shadow_counts_elsewhere() -> None:
    """Requests, latencies, batches and the budget are those of whoever asked."""
    lab = new_lab("2=1")
    worker = lab.worker().join()
    for n in range(20):
        lab.send(request(n, id=f"{n}"))
    worker.until(lambda: answered(lab, 20) and done(worker) == 20, "answered by both")
    worker.run_for(2.0)

    def of(version: str) -> float:
        labels = {"model": "m", "version": version, "signature": "serving_default", "code": "OK"}
        return worker.metric("headrace_requests_total", **labels)

    assert (of("1"), of("2")) == (20, 0)
    assert worker.metric("headrace_request_latency_seconds_count", model="m", version="2") == 0
    runs = {version: len(lab.servable("m", version).runs) for version in (1, 2)}
    queue = {"model": "m", "version": "1", "signature": "serving_default"}
    assert worker.metric("headrace_batch_run_seconds_count", **queue) == runs[1]
    assert worker.metric("headrace_shadow_run_seconds_count", model="m", version="2") == runs[2]
    assert worker.metric("headrace_batch_rows_count", **queue) == runs[1]
    assert shadows(lab) == []
    assert worker.budget.models == {}
    assert worker.budget.bindings["default"].rows == 0


def test_a_reply_of_a_shadow_never_goes_where_the_request_says() -> None:
    """It has the key and the headers of the requester's own, and goes to the shadow's topic alone."""
    lab = new_lab(f"2=0.5 {SHADOWS}")
    bindings = [{"request_topics": [REQUESTS], "reply_topic": REPLIES, "allowed_reply_topics": [ASKED]}]
    worker = lab.worker(bindings=bindings).join()
    for n in range(40):
        asked = (headers.REPLY_TOPIC, ASKED.encode())
        place = (headers.REPLY_PARTITION, headers.reply_partition(0))
        correlation = (headers.CORRELATION_ID, b"c%d" % n)
        lab.send(request(n, id=f"{n}"), b"%d" % n, [correlation, asked, place] if n % 2 else [correlation])
    worker.until(lambda: len(lab.replies()) + len(lab.replies(ASKED)) == 40 and done(worker) > 0)
    worker.run_for(2.0)

    assert {reply.version for reply in lab.replies() + lab.replies(ASKED)} == {1}
    assert (len(lab.replies()), len(lab.replies(ASKED))) == (20, 20)
    assert 5 < len(shadows(lab)) < 35
    for message in shadows(lab):
        name = codec.decode(message.value() or b"", PredictReply).id
        assert (message.key(), message.headers()) == (
            name.encode(),
            [(headers.CORRELATION_ID, b"c" + name.encode())],
        )


def test_only_requests_that_another_version_answers_by_itself_are_given_to_a_shadow() -> None:
    """Not those that name a version or a label, nor those that the shadow answers itself."""
    lab = new_lab(f"next=1 {SHADOWS}", "1=1 2=1", labels={"next": 2})
    worker = lab.worker().join()
    for n in range(40):
        lab.send(request(n, id=f"{n}"))
    asked: list[dict[str, Any]] = [{"version": 1}, {"version": 2}, {"label": "next"}]
    for n, named in enumerate(asked):
        lab.send(request(n, id=f"named {n}", **named))
    worker.until(lambda: len(lab.replies()) == 43)
    worker.run_for(2.0)

    by_one = {r.id for r in lab.replies() if r.version == 1 and not r.id.startswith("named")}
    assert 0 < len(by_one) < 40
    assert shadow_replies(lab).keys() == by_one
    assert set(lab.codes().values()) == {0}


def test_a_model_that_has_one_version_for_all_can_have_an_older_one_as_its_shadow() -> None:
    """Without a split, the latest answers."""
    lab = Lab(PLAN)
    lab.set_model(versions=(1, 2), parameters={SHADOW: f"1=1 {SHADOWS}".encode()})
    worker = lab.worker().join()
    lab.send(request(1, id="r"))
    worker.until(lambda: bool(shadows(lab)))

    assert [reply.version for reply in lab.replies()] == [2]
    assert shadow_replies(lab)["r"].version == 1


@pytest.mark.parametrize("delivery", MODES)
def test_a_shadow_that_fails_fails_nobody(delivery: dict[str, Any]) -> None:
    """Its errors are counted and written to its topic, as replies would be; no dead letter, no second run."""
    lab = new_lab()
    lab.servable("m", 2).broken = True
    worker = lab.worker(delivery=delivery).join()
    for n in range(10):
        lab.send(request(n, id=f"{n}"))
    worker.until(lambda: answered(lab, 10) and done(worker, "INTERNAL") == 10)
    worker.until(lambda: len(shadows(lab)) == 10)

    assert {reply.error.code for reply in shadow_replies(lab).values() if reply.error} == {13}
    assert lab.dead_letters() == []


def test_one_request_that_a_shadow_cannot_take_fails_alone() -> None:
    """As among requests that somebody waits for."""
    lab = Lab(PLAN)
    lab.servables[ServableId("m", 1)] = _Stoic(1)
    lab.set_model(versions=(1, 2), parameters=shadow(f"2=1 {SHADOWS}"))
    worker = lab.worker().join()
    for n in range(9):
        lab.send(request(POISON if n == 4 else n, id=f"{n}"))
    worker.until(lambda: answered(lab, 9) and len(shadows(lab)) == 9)

    assert {name for name, reply in shadow_replies(lab).items() if reply.error} == {"4"}
    assert (done(worker), done(worker, "INTERNAL")) == (8, 1)


def test_a_shadow_that_is_not_there_is_passed_over() -> None:
    """It has failed to load, and nobody waits for it."""
    lab = new_lab(failures={2: PermanentLoadFailure("cut short")})
    worker = lab.worker().join()
    for n in range(10):
        lab.send(request(n, id=f"{n}"))
    worker.until(lambda: answered(lab, 10))

    assert dropped(worker, "absent") == 10
    assert not worker.path._intake.held_for_models


def test_requests_that_do_not_fit_a_shadow_are_passed_over() -> None:
    """It has another signature; or it does not take so many rows."""
    lab = Lab(PLAN)
    other = LabServable(2)
    other.signatures = {"other": other.signatures["serving_default"]}
    lab.servables[ServableId("m", 2)] = other
    lab.set_model(versions=(1, 2), parameters=shadow(f"2=1 {SHADOWS}"))
    worker = lab.worker().join()
    for n in range(10):
        lab.send(request(n, id=f"{n}"))
    worker.until(lambda: answered(lab, 10))

    assert dropped(worker, "refused") == 10


def test_a_request_that_is_refused_by_the_version_that_answers_it_is_no_error_of_the_shadow() -> None:
    """It has too many rows for both."""
    lab = new_lab()
    worker = lab.worker(batching={"max_batch_rows": 2}).join()
    lab.send(request(1, 2, 3, id="large"))
    lab.send(request(1, 2, id="small"))
    worker.until(lambda: len(lab.replies()) == 2 and len(shadows(lab)) == 1)

    assert lab.codes() == {"large": 8, "small": 0}
    assert dropped(worker, "refused") == 1


@pytest.mark.parametrize("size_bytes", [0, 5_000])
def test_what_is_more_than_a_shadow_may_hold_is_dropped(size_bytes: int) -> None:
    """Requests are never held for it; later ones find the room given back."""
    lab = new_lab()
    worker = lab.worker(batching={"shadow_bytes": size_bytes}).join()
    for n in range(100):
        lab.send(request(n, id=f"{n}"))
    worker.until(lambda: answered(lab, 100))
    assert dropped(worker, "full") > 0
    assert dropped(worker, "full") + done(worker) == 100

    lab.send(request(1, id="later"))
    worker.until(lambda: answered(lab, 101))
    worker.run_for(2.0)
    assert ("later" in shadow_replies(lab)) == bool(size_bytes)


def test_a_topic_that_is_not_there_costs_the_shadow_its_replies_and_nothing_else() -> None:
    """Or that refuses them, or does not take one so large, or whose producers are beyond repair: they are counted."""
    lab = new_lab("2=1 nowhere")
    worker = lab.worker().join()
    lab.send(request(1, id="0"))
    worker.until(lambda: answered(lab, 1) and done(worker) == 1)

    def failed(reason: str) -> float:
        return worker.metric("headrace_shadow_reply_failures_total", model="m", reason=reason)

    assert failed("TopicMissing") == 1

    lab.set_model(versions=(1, 2), parameters=shadow(f"2=1 {SHADOWS}"))
    lab.broker.refuse(SHADOWS, FakeError("TOPIC_AUTHORIZATION_FAILED"))
    lab.send(request(1, id="1"))
    worker.until(lambda: answered(lab, 2) and failed("NotAuthorized") == 1)

    before = len(worker.producers)
    for producer in worker.producers[-2:]:
        producer.inject(errors.Fatal("beyond repair", error_name="_FATAL"))
    lab.send(request(1, id="2"))
    worker.until(lambda: answered(lab, 3) and all(each.closed for each in worker.producers[-2:]))
    worker.run_for(40.0)
    lab.send(request(1, id="3"))
    worker.until(lambda: answered(lab, 4) and "3" in shadow_replies(lab))
    assert len(worker.producers) == before + 2
    assert lab.dead_letters() == []


def test_replies_that_a_topic_does_not_take_are_given_up() -> None:
    """One that is too large, and those that wait for a broker once they are too many."""
    lab = Lab(PLAN, limits={SHADOWS: 2_000})
    lab.set_model(versions=(1, 2), parameters=shadow(f"2=1 {SHADOWS}"))
    worker = lab.worker().join()
    worker.directory.watch([SHADOWS])
    worker.directory.refresh()
    rows = [1.0] * 400
    lab.send(request(*rows, id="large"))
    lab.send(request(1, id="small"))
    worker.until(lambda: answered(lab, 2) and len(shadows(lab)) == 1)

    failed = "headrace_shadow_reply_failures_total"
    assert shadow_replies(lab).keys() == {"small"}
    assert worker.metric(failed, model="m", reason="MessageTooLarge") == 1


class _Stoic(LabServable):
    """Nothing that it is given makes it fail."""

    def run(
        self, signature: str, inputs: Mapping[str, npt.NDArray[Any]], outputs: Sequence[str]
    ) -> Mapping[str, npt.NDArray[Any]]:
        """Run one signature."""
        del signature, outputs
        return {"y": np.asarray(inputs["x"] * 2 + self.version, np.float32)}


class _Gated(LabServable):
    """Every run waits until it is let go."""

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.entered = threading.Event()
        self.go_on = threading.Event()

    def run(
        self, signature: str, inputs: Mapping[str, npt.NDArray[Any]], outputs: Sequence[str]
    ) -> Mapping[str, npt.NDArray[Any]]:
        """Wait, then run one signature."""
        self.entered.set()
        assert self.go_on.wait(120), "nobody let the run go on"
        return super().run(signature, inputs, outputs)


def gated_lab() -> tuple[Lab, _Gated]:
    """A lab whose shadow does not return before it is let go."""
    lab = Lab(PLAN)
    gated = lab.servables[ServableId("m", 2)] = _Gated(2)
    lab.set_model(versions=(1, 2), parameters=shadow(f"2=1 {SHADOWS}"))
    return lab, gated


def test_a_shadow_that_does_not_return_holds_up_nothing() -> None:
    """Not the only batch thread, no offset, no partition that moves, not the worker's end."""
    lab, gated = gated_lab()
    worker = lab.worker(batching={"threads": 1}).join()

    def step_until(count: int) -> None:
        def there() -> bool:
            worker.step()
            return answered(lab, count)

        wait_until(there, "answered", every_seconds=0.0)

    lab.send(request(1, id="first"))
    step_until(1)
    assert gated.entered.wait(120), "the shadow was not run"
    for n in range(50):
        lab.send(request(n, id=f"{n}"))
    step_until(51)
    assert worker.finish()
    assert sum(lab.committed(partition) for partition in range(2)) == 51
    assert shadows(lab) == []
    assert worker.path._shadowing.stuck(0.0).keys() == {"m"}

    gated.go_on.set()
    worker.close()
    wait_until(lambda: lab.manager.close(0.1) == (), "every handle back")


def test_a_partition_that_goes_takes_its_shadows_along() -> None:
    """Its next worker has them tried again, where it answers the requests again."""
    lab = new_lab()
    worker = lab.worker().join()
    worker.step()
    busy = [True]
    worker.path._shadowing._around = _busy(worker, busy)
    lab.send(request(1, id="r"), partition=0)
    worker.until(lambda: answered(lab, 1))
    for place in worker.path._tracker.partitions:
        worker.path._tracker.forget([place])
    busy[0] = False
    worker.step(3)

    assert dropped(worker, "left") == 1
    assert shadows(lab) == []


def _busy(worker: Worker, busy: list[bool]) -> Any:
    """Surroundings of shadows in which regular batches wait as long as that says."""
    return replace(worker.path._shadowing._around, busy=lambda: busy[0])


def test_a_request_past_its_deadline_is_not_the_shadows_to_answer() -> None:
    """It was answered in time; the shadow came too late."""
    lab = new_lab()
    worker = lab.worker().join()
    busy = [True]
    worker.path._shadowing._around = _busy(worker, busy)
    lab.send(request(1, id="r"), headers=[(headers.TIMEOUT_MS, b"1000")])
    worker.until(lambda: answered(lab, 1))
    worker.run_for(2.0)
    busy[0] = False
    worker.step(3)

    assert dropped(worker, "expired") == 1
    assert shadows(lab) == []


def test_every_handle_of_a_shadow_is_released() -> None:
    """After answers, drops and an end with some on their way; else its version could never be unloaded."""
    lab = new_lab("2=0.5 nowhere")
    worker = lab.worker(batching={"shadow_bytes": 3_000}).join()
    for n in range(20):
        lab.send(request(n, id=f"{n}"))
    lab.send(request(1, id="other", inputs=(Tensor.from_numpy("z", request(1).inputs[0].to_numpy()),)))
    lab.send(request(1, id="scalar", signature="square", inputs=_square()))
    worker.step(2)
    worker.close()
    lab.manager.set_aspired_versions("m", ())
    lab.settle_models()

    assert {status.state for status in lab.manager.states()} <= {ServableState.END}
    running = worker.path._shadowing._running
    assert running is not None


def _square() -> tuple[Tensor, ...]:
    return (Tensor.from_numpy("x", np.ones((2, 2), np.float32)),)


def test_requests_that_cannot_be_stacked_have_shadows_too() -> None:
    """One by one, as they are run for whoever asked."""
    lab = new_lab()
    worker = lab.worker().join()
    for n in range(5):
        lab.send(request(1, id=f"{n}", signature="square", inputs=_square()))
    worker.until(lambda: answered(lab, 5) and len(shadows(lab)) == 5)

    assert done(worker) == 5
    assert lab.servable("m", 2).runs == [("square", 2)] * 5


def test_a_worker_without_shadows_makes_nothing_for_them() -> None:
    """No thread, no producer, no queue."""
    lab = Lab(PLAN)
    lab.set_model(versions=(1, 2))
    worker = lab.worker().join()
    lab.send(request(1, id="r"))
    worker.until_committed(1, partition=0)

    assert worker.path._shadowing._running is None
    plain = len(worker.producers)
    lab.set_model(versions=(1, 2), parameters=shadow(f"2=1 {SHADOWS}"))
    lab.send(request(1, id="s"))
    worker.until(lambda: bool(shadows(lab)))
    assert len(worker.producers) == plain + 2
