"""Replies that are too large for their topic: by claims where there is a place for their data, else errors."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from schemas import codec
from schemas.claim import PREFIX, claims_of, with_data
from schemas.errors import Code
from schemas.predict_reply import PredictReply
from schemas.tensor import Tensor
from tests.fakes.request_path import REPLIES, Lab, Worker, request
from tests.fakes.stores import TroubledStore, new_root
from tests.kit.waiting import wait_until
from worker import claim_store, reply_sizes
from worker.claim_fetch import Retries
from worker.claim_writing import Write, to_claim

LIMIT = {REPLIES: 20_000}
MADE: list[Worker] = []


@pytest.fixture(autouse=True)
def no_trouble() -> Iterator[None]:
    """The troubled store begins well, nobody hangs in it afterwards, and workers end with the test."""
    TroubledStore.reset()
    yield
    TroubledStore.gate.set()
    while MADE:
        MADE.pop().close()


def serving(root: str, claims: dict[str, Any] | None = None, **groups: Any) -> tuple[Lab, Worker]:
    """A worker whose reply topic takes 20 KB, and that writes what is larger below a root."""
    lab = Lab(limits=LIMIT)
    lab.set_model()
    worker = lab.worker(claims={"write_root": root, "threads": 0, **(claims or {})}, **groups)
    MADE.append(worker)
    return lab, worker.join()


def text(size: int, name: str) -> Any:
    """A request that is answered with a text of that size."""
    return request(size, id=name, signature="text")


def whole(reply: PredictReply, root: str) -> dict[str, Any]:
    """The outputs of a reply with the data of its claims, which must be right."""
    found = {}
    for tensor in reply.outputs:
        claim = claims_of(reply.parameters).get(tensor.name)
        if claim is not None:
            assert claim.uri.startswith(f"{root}/headrace-headrace-")
            with claim_store.reading(claim.uri, root) as file:
                data = file.read()
            assert type(claim).of_data(claim.uri, [data]) == claim
            tensor = with_data(tensor, data)  # noqa: PLW2901 - the same, whole
        found[tensor.name] = tensor.to_numpy().tolist()
    return found


def by_id(lab: Lab) -> dict[str, PredictReply]:
    """Each reply; two to one id are an error."""
    lab.codes()
    return {reply.id: reply for reply in lab.replies()}


@pytest.mark.parametrize(
    "delivery", [{}, {"mode": "exactly_once"}, {"mode": "queue"}, {"reply_order": "partition"}]
)
def test_a_reply_that_is_too_large_goes_by_claim(delivery: dict[str, Any]) -> None:
    """Its neighbours in the batch go as they are, and what has an order keeps it."""
    root = new_root()
    lab, worker = serving(root, delivery=delivery)
    sizes = {"small": 10, "large": 30_000, "behind": 20, "larger": 50_000}
    for name, size in sizes.items():
        lab.send(text(size, name))

    worker.until(lambda: len(lab.codes()) == 4, "four replies")
    worker.run_for(2.0)

    replies = by_id(lab)
    assert {name: whole(reply, root) for name, reply in replies.items()} == {
        name: {"y": [b"t" * size]} for name, size in sizes.items()
    }
    assert sorted(name for name, reply in replies.items() if reply.parameters) == ["large", "larger"]
    if delivery.get("mode") == "exactly_once" or "reply_order" in delivery:
        assert list(replies) == list(sizes)
    assert worker.metric("headrace_claim_seconds_count", action="write") == 2
    assert worker.metric("headrace_requests_total", model="m", version="1", signature="text", code="OK") == 4
    if delivery.get("mode") != "queue":
        worker.until_committed(4)


def test_headers_and_key_of_the_request_are_its_replys() -> None:
    """Those of its own request, although its neighbours went before."""
    root = new_root()
    lab, worker = serving(root)
    for name, size in (("a", 5), ("b", 30_000), ("c", 5)):
        lab.send(text(size, name), name.encode(), [("correlation_id", f"of {name}".encode())])

    worker.until_committed(3)

    found = {
        codec.decode(m.value() or b"", PredictReply).id: (
            m.key(),
            dict(m.headers() or []).get("correlation_id"),
        )
        for m in lab.broker.records(REPLIES)
    }
    assert found == {name: (name.encode(), f"of {name}".encode()) for name in "abc"}


def test_many_large_replies_among_many_small_ones() -> None:
    """More than a quiet lane takes at once."""
    root = new_root()
    lab, worker = serving(root)
    for n in range(100):
        lab.send(text(25_000 if n % 7 == 0 else n, str(n)))

    worker.until_committed(100)

    replies = by_id(lab)
    assert {name: len(whole(reply, root)["y"][0]) for name, reply in replies.items()} == {
        str(n): 25_000 if n % 7 == 0 else n for n in range(100)
    }


@pytest.mark.parametrize("order", ["any", "partition"])
def test_a_reply_that_the_broker_refuses_goes_by_claim(order: str) -> None:
    """A topic's limit that was lowered is not known yet; everything in one batch with it is sent again."""
    root = new_root()
    lab = Lab()
    lab.set_model()
    worker = lab.worker(
        claims={"write_root": root, "threads": 0},
        delivery={"reply_order": order},
        batching={"max_batch_rows": 64},
    )
    MADE.append(worker.join())
    lab.broker.configs[REPLIES]["max.message.bytes"] = "20000"
    for n in range(20):
        lab.send(text(1, f"small{n}"), b"k%d" % n)
    lab.send(text(30_000, "large"), b"key", [("correlation_id", b"7")])

    worker.until_committed(21)

    replies = by_id(lab)
    assert len(replies) == 21
    assert whole(replies["large"], root) == {"y": [b"t" * 30_000]}
    (record,) = (m for m in lab.broker.records(REPLIES) if m.key() == b"key")
    assert record.headers() == [("correlation_id", b"7")]


def test_what_is_refused_with_claims_too_is_an_error() -> None:
    """It is not written again and again."""
    root = new_root("troubled")
    lab = Lab()
    lab.set_model()
    worker = lab.worker(claims={"write_root": root, "threads": 0})
    MADE.append(worker.join())
    lab.broker.configs[REPLIES]["max.message.bytes"] = "300"
    lab.send(text(30_000, "large"))

    worker.until_committed(1)

    assert lab.codes() == {"large": Code.RESOURCE_EXHAUSTED}
    assert len(TroubledStore.opened) == 1


def test_without_a_place_it_is_an_error_as_ever() -> None:
    """RESOURCE_EXHAUSTED."""
    lab = Lab(limits=LIMIT)
    lab.set_model()
    worker = lab.worker().join()
    lab.send(text(30_000, "large"))
    lab.send(text(10, "small"))

    worker.until_committed(2)

    assert lab.codes() == {"large": Code.RESOURCE_EXHAUSTED, "small": 0}


def test_what_cannot_be_written_is_an_error_that_says_so() -> None:
    """UNAVAILABLE, counted as such; the others are answered."""
    root = new_root("troubled")
    lab, worker = serving(root)
    TroubledStore.errors += [PermissionError("key=AKIA123")]
    lab.send(text(30_000, "large"))
    lab.send(text(10, "small"))

    worker.until_committed(2)
    worker.run_for(1.0)

    assert lab.codes() == {"large": Code.UNAVAILABLE, "small": 0}
    message = lab.messages()["large"]
    assert "could not be stored" in message
    assert "claims.write_root" in message
    assert "AKIA" not in message
    assert root not in message
    counted = {"model": "m", "version": "1", "signature": "text"}
    assert worker.metric("headrace_requests_total", **counted, code="UNAVAILABLE") == 1
    assert worker.metric("headrace_requests_total", **counted, code="OK") == 1
    assert worker.metric("headrace_claim_failures_total", action="write", code="UNAVAILABLE") == 1


def test_a_store_that_hangs_while_writing_holds_up_no_other() -> None:
    """The reply becomes an error when its time is over; what is written after all comes too late and is not sent."""
    root = new_root("troubled")
    lab, worker = serving(root, {"threads": 1, "seconds": 5})
    TroubledStore.gate.clear()
    lab.send(text(30_000, "large"))
    lab.send(text(10, "small"))
    worker.until(lambda: lab.codes() == {"small": 0}, "the small one answered")

    def hangs() -> bool:
        worker.step()
        return TroubledStore.entered.is_set()

    wait_until(hangs, "a thread that hangs")
    worker.run_for(6.0)
    assert lab.codes() == {"small": 0, "large": Code.UNAVAILABLE}
    assert "in time" in lab.messages()["large"]

    TroubledStore.gate.set()
    worker.run_for(1.0)
    worker.until_committed(2)
    assert len(lab.replies()) == 2


def test_a_reply_that_is_too_large_without_its_data_is_an_error() -> None:
    """Its id alone is larger than the topic takes; here it is no dead letter, because the error has the id too."""
    root = new_root()
    lab, worker = serving(root)
    lab.send(text(30_000, "i" * 19_700))

    worker.until(lambda: bool(lab.replies() or lab.dead_letters()), "an outcome")

    assert [reply.error.code for reply in lab.replies() if reply.error] == [Code.RESOURCE_EXHAUSTED]


@pytest.mark.parametrize("mode", ["at_least_once", "exactly_once"])
def test_the_end_waits_for_what_is_written(mode: str) -> None:
    """A worker that ends in order answers it first."""
    root = new_root("troubled")
    long = 36_000.0  # of the lab's time, which does not wait for the thread that writes
    lab, worker = serving(root, {"threads": 1, "seconds": long}, delivery={"mode": mode})
    lab.send(text(30_000, "large"))

    worker.step()
    assert worker.finish(within_seconds=long)

    assert lab.codes() == {"large": 0}
    assert lab.committed() == 1


def test_the_largest_tensors_lie_elsewhere_and_no_more_than_needed() -> None:
    """What fits stays in the record."""
    tensors = [
        Tensor.from_numpy(str(size), np.zeros(size, np.uint8)) for size in (500, 40_000, 2_000, 10_000)
    ]

    assert [t.name for t in to_claim(tensors, 1)] == ["40000"]
    assert [t.name for t in to_claim(tensors, 45_000)] == ["40000", "10000"]
    assert [t.name for t in to_claim(tensors, 1_000_000)] == ["40000", "10000", "2000"]


def test_data_is_there_before_the_reply_is() -> None:
    """Each claim of the made reply can be read; a failed try leaves none behind in the reply."""
    root = new_root("troubled")
    places = iter([f"{root}/a", f"{root}/b", f"{root}/c"])
    outputs = tuple(Tensor.from_numpy(name, np.zeros(5000, np.uint8)) for name in ("x", "y"))
    TroubledStore.errors += [OSError("once")]
    write = Write(
        codec.encode(PredictReply("m", 1, outputs, None, "r")),
        1500,
        lambda: next(places),
        retries=Retries((0.0,)),
    )

    write.run()

    reply = codec.decode(write.value, PredictReply)
    assert set(reply.parameters) == {PREFIX + "x", PREFIX + "y"}
    assert [claim.uri for claim in claims_of(reply.parameters).values()] == [f"{root}/a", f"{root}/b"]
    assert sorted(TroubledStore.store) == [f"/{root.removeprefix('troubled://')}/{name}" for name in "ab"]
    assert write.size_bytes == 10_000


def test_a_reply_of_any_size_can_be_refused() -> None:
    """Also one that no reader would take: what was encoded here can be read here."""
    many = np.empty(70_000, object)
    many[:] = [b"t"] * 70_000
    reply = PredictReply("m", 1, (Tensor.from_numpy("y", many),), None, "r")
    payload = reply_sizes.OWN_CODEC.encode(reply)

    refused = codec.decode(reply_sizes.too_large(payload, 10, "t"), PredictReply)

    assert refused.error is not None
    assert refused.id == "r"
    assert not reply_sizes.is_error(payload)
