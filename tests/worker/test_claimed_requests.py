"""Requests whose data lies elsewhere, through the whole request path; no thread unless something hangs."""

import gc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from schemas.errors import Code
from schemas.model_config import SHADOW, SPLIT
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from tests.fakes.kafka_broker import FakeMessage
from tests.fakes.request_path import REQUESTS, Lab, Worker, request
from tests.fakes.stores import TroubledStore, claimed, new_root
from tests.kit.waiting import wait_until
from worker import claim_store
from worker.budget import Budget, Limits
from worker.claimed_requests import MOST_BEGUN, ClaimedRequests
from worker.polled_records import PolledRecords
from worker.settings import Settings

BINDING = "default"
SHA = "sha256:" + "0" * 64


MADE: list[Worker] = []


@pytest.fixture(autouse=True)
def no_trouble() -> Iterator[None]:
    """The troubled store begins well, nobody hangs in it afterwards, and workers end with the test."""
    TroubledStore.reset()
    yield
    TroubledStore.gate.set()
    while MADE:
        MADE.pop().close()


LONG_SECONDS = 3600.0
"""The clock of a lab is not that of the threads, which may be slow: nothing ends while they are waited for."""


def serving(root: str, *, claims: dict[str, Any] | None = None, **groups: Any) -> tuple[Lab, Worker]:
    """A lab with a model, and a worker that has joined and allows a root."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(
        claims={"roots": [root], "threads": 0, "seconds": LONG_SECONDS, **(claims or {})}, **groups
    )
    MADE.append(worker)
    return lab, worker.join()


def waiting(worker: Worker) -> ClaimedRequests:
    """What waits for its data."""
    return worker.path._intake.held_for_claims


def step_until(worker: Worker, condition: Any, what: str) -> None:
    """Step beside threads until something holds."""

    def holds() -> bool:
        worker.step()
        return bool(condition())

    wait_until(holds, what, every_seconds=0.001)


def answers(lab: Lab) -> dict[str, Any]:
    """The outputs of each reply by its id."""
    return {reply.id: reply.outputs[0].to_numpy().tolist() for reply in lab.replies() if not reply.error}


def test_a_request_by_claim_is_answered_in_one_batch_with_its_neighbours() -> None:
    """It waits for its data; what comes of it is what would have come with the data in the record."""
    root = new_root()
    lab, worker = serving(root, batching={"batch_timeout_seconds": 0.1})
    lab.send(request(1, id="plain"))
    lab.send(claimed(request(2, 3, id="claimed"), root))
    lab.send(request(4, id="behind"))

    worker.until_committed(3)

    assert answers(lab) == {"plain": [[3, 3]], "claimed": [[5, 5], [7, 7]], "behind": [[9, 9]]}
    assert lab.servable().runs == [("serving_default", 4)]
    assert worker.metric("headrace_claim_bytes_total", action="fetch") == 16
    assert worker.metric("headrace_claim_seconds_count", action="fetch") == 1


def test_claimed_data_is_given_to_no_shadow() -> None:
    """It has its room until the last who has it lets go, and nobody is to wait for a shadow; neighbours have theirs."""
    root = new_root()
    lab, worker = serving(root)
    lab.set_model(versions=(1, 2), parameters={SPLIT: b"1=1", SHADOW: b"2=1"})
    lab.send(request(1, id="plain"))
    lab.send(claimed(request(2, id="claimed"), root))
    worker.until_committed(2)
    worker.run_for(1.0)

    assert answers(lab) == {"plain": [[3, 3]], "claimed": [[5, 5]]}
    assert worker.metric("headrace_shadow_dropped_total", model="m", reason="claimed") == 1
    assert lab.servable("m", 2).runs == [("serving_default", 1)]


def test_what_cannot_be_stacked_is_answered_too() -> None:
    """A scalar lies elsewhere as well as rows do."""
    root = new_root()
    lab, worker = serving(root)
    scalar = (Tensor.from_numpy("x", np.float32(3)),)
    lab.send(claimed(PredictRequest("m", signature="scalar", inputs=scalar, id="r"), root))

    worker.until_committed(1)

    assert answers(lab) == {"r": 7.0}


@pytest.mark.parametrize(
    "groups", [{"mode": "exactly_once"}, {"mode": "queue"}, {"reply_order": "partition"}]
)
def test_each_way_of_delivery_takes_claims(groups: dict[str, Any]) -> None:
    """And nothing is answered twice, nor left."""
    root = new_root()
    lab, worker = serving(root, delivery=groups)
    for n in range(6):
        lab.send(claimed(request(n, id=str(n)), root) if n % 2 else request(n, id=str(n)))

    worker.until(lambda: len(lab.codes()) == 6, "six replies")
    worker.run_for(1.0)

    assert lab.codes() == {str(n): 0 for n in range(6)}
    assert answers(lab)["3"] == [[7, 7]]
    if "mode" not in groups or groups["mode"] != "queue":
        worker.until_committed(6)
        assert [reply.id for reply in lab.replies()] == [str(n) for n in range(6)]


def test_without_roots_claims_are_refused() -> None:
    """The message names the setting; neighbours do not notice."""
    root = new_root()
    lab = Lab()
    lab.set_model()
    worker = lab.worker().join()
    lab.send(claimed(request(1, id="claimed"), root))
    lab.send(request(2, id="plain"))

    worker.until_committed(2)

    assert lab.codes() == {"claimed": Code.FAILED_PRECONDITION, "plain": 0}
    assert "claims.roots" in lab.messages()["claimed"]
    worker.until(lambda: worker.budget.bindings[BINDING].size_bytes == 0, "nothing held")


LIES: dict[str, tuple[dict[str, Any], Code, str]] = {
    "checksum": ({"checksum": SHA}, Code.INVALID_ARGUMENT, "another checksum"),
    "missing": ({"stored": False}, Code.NOT_FOUND, "nothing at the place"),
    "outside": ({"uri": "memory://elsewhere/x"}, Code.INVALID_ARGUMENT, "none of the places"),
    "protocol": ({"uri": "file:///etc/passwd"}, Code.INVALID_ARGUMENT, "none of the places"),
    "chained": ({"uri": "simplecache::memory://x"}, Code.INVALID_ARGUMENT, "only plain places"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_claim_that_lies_fails_alone(lie: str) -> None:
    """It gets its code, the message names the tensor and no place, and its neighbours are answered."""
    root = new_root()
    lab, worker = serving(root)
    changes, code, reason = LIES[lie]
    lab.send(request(1, id="before"))
    lab.send(claimed(request(2, id="lie"), root, **changes))
    lab.send(claimed(request(3, id="claimed"), root))

    worker.until_committed(3)

    assert lab.codes() == {"before": 0, "lie": code, "claimed": 0}
    assert reason in lab.messages()["lie"]
    assert "'x'" in lab.messages()["lie"]
    assert not [word for word in (root, "passwd", "elsewhere") if word in lab.messages()["lie"]]
    assert worker.metric("headrace_claim_failures_total", action="fetch", code=code.name) == 1
    worker.until(lambda: worker.budget.bindings[BINDING].size_bytes == 0, "nothing held")


@pytest.mark.parametrize(("stored", "reason"), [(b"\0" * 9, "more bytes"), (b"\0" * 7, "fewer bytes")])
def test_data_of_another_size_is_refused(stored: bytes, reason: str) -> None:
    """No more than was claimed is ever kept."""
    root = new_root()
    lab, worker = serving(root)
    lab.send(claimed(request(2, id="lie"), root, named="place"))
    claim_store.write(f"{root}/place", [stored])

    worker.until_committed(1)

    assert lab.codes() == {"lie": Code.INVALID_ARGUMENT}
    assert reason in lab.messages()["lie"]


def test_more_than_one_request_may_claim_is_refused_unseen() -> None:
    """All its tensors count together; the store is not asked, and nothing counts in the budget."""
    root = new_root("troubled")
    lab, worker = serving(root, claims={"request_bytes": 15})
    lab.send(claimed(request(1, 2, id="large"), root, stored=False))
    lab.send(claimed(request(1, id="small"), root))
    TroubledStore.opened.clear()

    worker.until_committed(2)

    assert lab.codes() == {"large": Code.RESOURCE_EXHAUSTED, "small": 0}
    assert "claims.request_bytes" in lab.messages()["large"]
    assert len(TroubledStore.opened) == 1


def test_nothing_is_fetched_for_what_no_version_takes() -> None:
    """A model that is not there, or an input that it does not take."""
    root = new_root("troubled")
    lab, worker = serving(root)
    wrong = (Tensor.from_numpy("other", np.zeros((1, 2), np.float32)),)
    lab.send(claimed(request(1, id="model", model="nothing"), root))
    lab.send(claimed(PredictRequest("m", inputs=wrong, id="input"), root))
    TroubledStore.opened.clear()

    worker.until_committed(2)

    assert lab.codes() == {"model": Code.NOT_FOUND, "input": Code.INVALID_ARGUMENT}
    assert TroubledStore.opened == []


def test_what_is_claimed_counts_in_the_budget_until_the_commit() -> None:
    """From the poll on, before anything is fetched."""
    root = new_root("troubled")
    lab, worker = serving(root, claims={"threads": 1})
    encoded = lab.send(claimed(request(*range(1000), id="r"), root))
    TroubledStore.gate.clear()
    worker.until(lambda: len(waiting(worker)) == 1, "waits for its data")

    assert encoded == 0
    assert 8000 < worker.budget.bindings[BINDING].size_bytes < 9000
    assert 8000 < worker.budget.models[BINDING, "m"].size_bytes < 9000

    TroubledStore.gate.set()
    step_until(worker, lambda: lab.committed() == 1, "committed")
    worker.until(lambda: worker.budget.bindings[BINDING].size_bytes == 0, "nothing held")
    assert not worker.budget.models


def test_a_request_that_waits_for_its_data_holds_up_no_other() -> None:
    """Those of its own model, in its own partition, go on."""
    root = new_root("troubled")
    lab, worker = serving(root, claims={"threads": 1})
    lab.send(claimed(request(1, id="hangs"), root))
    lab.send(request(2, id="plain"))
    TroubledStore.gate.clear()

    step_until(worker, lambda: lab.codes() == {"plain": 0}, "the other answered")
    assert worker.metric("headrace_held_rows", reason="claim") == 1
    TroubledStore.gate.set()

    step_until(worker, lambda: lab.codes() == {"plain": 0, "hangs": 0}, "both answered")


def test_a_request_that_waits_keeps_its_deadline() -> None:
    """It is answered then, not when the store is done."""
    root = new_root("troubled")
    lab, worker = serving(root, claims={"threads": 1})
    lab.send(claimed(request(1, id="r"), root), headers=[("headrace-timeout-ms", b"2000")])
    TroubledStore.gate.clear()

    worker.run_for(1.0)
    assert lab.codes() == {}
    worker.run_for(2.0)

    assert lab.codes() == {"r": Code.DEADLINE_EXCEEDED}
    worker.until_committed(1)


def test_a_store_that_hangs_is_waited_for_no_longer_than_set() -> None:
    """UNAVAILABLE then; another thread stands in for the one that hangs, which goes when it comes back."""
    root, memory = new_root("troubled"), new_root()
    lab, worker = serving(root, claims={"roots": [root, memory], "threads": 1, "seconds": LONG_SECONDS})
    lab.send(claimed(request(1, id="hangs"), root))
    TroubledStore.gate.clear()
    TroubledStore.entered.clear()
    step_until(worker, TroubledStore.entered.is_set, "a thread that hangs")

    lab.clock.advance(LONG_SECONDS)
    worker.run_for(1.0)
    assert lab.codes() == {"hangs": Code.UNAVAILABLE}
    assert "claims.seconds" in lab.messages()["hangs"]

    lab.send(claimed(request(2, id="later"), memory))
    step_until(worker, lambda: lab.codes().get("later") == 0, "answered")
    threads = worker.path._claims._threads
    assert len(threads._hanging) == 1
    TroubledStore.gate.set()
    step_until(worker, lambda: not threads._hanging, "its thread is back, though nothing waits for it")
    lab.send(claimed(request(3, id="last"), memory))
    step_until(worker, lambda: lab.codes().get("last") == 0, "answered as well")


def test_requests_of_a_partition_that_goes_are_left() -> None:
    """Their data is not waited for, and nothing is answered: another worker does it."""
    root = new_root("troubled")
    lab, worker = serving(root, claims={"threads": 1}, delivery={"revoke_drain_seconds": 1})
    lab.send(claimed(request(1, id="r"), root))
    TroubledStore.gate.clear()
    worker.until(lambda: len(waiting(worker)) == 1, "waits for its data")

    worker.path.lose(REQUESTS)
    worker.run_for(1.0)

    assert len(waiting(worker)) == 0
    assert lab.replies() == []
    assert worker.metric("headrace_requests_left_total", topic=REQUESTS) == 1
    worker.until(lambda: worker.budget.bindings[BINDING].size_bytes == 0, "nothing held")


def test_order_is_kept_where_it_is_promised() -> None:
    """A request that waits for its data holds up those behind it in its partition, then."""
    root = new_root("troubled")
    lab, worker = serving(root, claims={"threads": 1}, delivery={"reply_order": "partition"})
    lab.send(claimed(request(1, id="first"), root))
    lab.send(request(2, id="second"))
    TroubledStore.gate.clear()

    worker.run_for(1.0)
    assert lab.replies() == []
    TroubledStore.gate.set()
    step_until(worker, lambda: lab.committed() == 2, "committed")

    assert [reply.id for reply in lab.replies()] == ["first", "second"]


def test_fetched_data_never_takes_more_than_the_budget_leaves() -> None:
    """One poll claims four times the budget; it is fetched in turns, and all of it is answered."""
    root = new_root("troubled")
    budget = 1 << 20
    lab, worker = serving(
        root,
        claims={"threads": 4, "request_bytes": budget},
        delivery={"budget_bytes": budget},
        limits={"record_bytes": budget},
        batching={"max_batch_rows": budget},
    )
    rows = budget // 2 // 8 - 200
    for n in range(8):
        lab.send(claimed(request(*([float(n)] * rows), id=str(n)), root))
    TroubledStore.opened.clear()
    TroubledStore.gate.clear()
    worker.until(lambda: len(waiting(worker)) == 8, "all wait")

    worker.run_for(0.5)
    assert sum(waiting(worker)._fetched.values()) <= budget
    assert len(waiting(worker)._begun) == 2

    most = 0

    def answered() -> bool:
        nonlocal most
        most = max(most, sum(waiting(worker)._fetched.values()))
        return lab.committed() == 8

    TroubledStore.gate.set()
    step_until(worker, answered, "all committed")
    assert most <= budget
    assert set(lab.codes().values()) == {0}


def test_the_data_is_let_go_of_when_a_model_has_failed() -> None:
    """No cycle of an error and its frames keeps it: there is room again at once."""
    root = new_root()
    lab, worker = serving(root)
    lab.servable().quoting = True
    lab.send(claimed(request(1, id="one"), root))
    lab.send(claimed(request(2, id="two"), root))
    gc.disable()
    try:
        worker.until_committed(2)
        worker.step()

        assert lab.codes() == {"one": Code.INVALID_ARGUMENT, "two": Code.INVALID_ARGUMENT}
        assert waiting(worker)._fetched == {BINDING: 0}
    finally:
        gc.enable()


def test_one_request_may_claim_no_more_than_the_budget() -> None:
    """It could never be fetched within it."""
    with pytest.raises(ValueError, match=r"claims.request_bytes"):
        Settings(claims={"roots": ["memory://in"], "request_bytes": 1 << 40})  # type: ignore[arg-type]


def test_a_queue_takes_back_what_waits_for_its_data_too_long() -> None:
    """It is dealt out again, and answered once by whoever gets the data."""
    root = new_root("troubled")
    lab, worker = serving(root, claims={"threads": 1}, delivery={"mode": "queue"})
    lab.send(claimed(request(1, id="r"), root))
    TroubledStore.gate.clear()
    worker.until(lambda: worker.metric("headrace_requests_released_total") >= 1, "given back")
    worker.run_for(1.0)
    TroubledStore.gate.set()

    step_until(worker, lambda: lab.queue.left(REQUESTS) == 0, "accepted")

    assert lab.codes() == {"r": 0}
    worker.until(lambda: worker.budget.bindings[BINDING].size_bytes == 0, "nothing held")


def test_each_partition_counts_what_is_claimed_in_it() -> None:
    """One poll of several partitions, of which one is committed before the other."""
    messages = [
        FakeMessage(REQUESTS, value, partition=partition, offset=0)
        for value, partition in ((b"plain", 0), (b"claims", 1), (b"claims", 1))
    ]
    records = PolledRecords(REQUESTS, BINDING, messages, 0.0)
    records.claim(1, 1000)
    records.claim(2, 500)

    first, second = records.make_runs(None)
    budget = Budget(Limits(1000, 10_000, 0.5), {BINDING: 1.0})
    budget.take_run(BINDING, first)
    budget.take_run(BINDING, second)

    assert [(run.size_bytes, run.claimed_bytes) for run in (first, second)] == [(5, 0), (1512, 1500)]
    assert records.bytes_at([1]) == 1006
    assert records.bytes_at(range(3)) == 1517
    assert budget.room_for_claimed(BINDING) == 10_000 - 17
    budget.give_back_runs(BINDING, [second])
    assert budget.room_for_claimed(BINDING) == 10_000 - 5


def test_trouble_of_the_store_is_in_the_log_and_that_of_a_requester_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An operator sees to the one; the other would fill the log at anybody's will."""
    root = new_root("troubled")
    lab, worker = serving(root)
    lab.send(claimed(request(1, id="missing"), root, stored=False))
    lab.send(claimed(request(1, id="lie"), root, checksum=SHA))
    worker.until_committed(2)
    assert caplog.records == []

    TroubledStore.errors += [PermissionError("of https://user:pass123@store/x?signature=abc123")] * 2
    for n in range(2):
        lab.send(claimed(request(1, id=str(n)), root, stored=False))
    worker.until_committed(4)

    (record,) = caplog.records
    assert "PermissionError" in str(vars(record))
    assert not [secret for secret in ("pass123", "abc123") if secret in str(vars(record))]


def test_more_than_may_be_begun_at_once_are_all_answered() -> None:
    """The rest waits its turn; in order where that is promised."""
    root = new_root()
    lab, worker = serving(root, delivery={"reply_order": "partition"})
    count = 2 * MOST_BEGUN + 7
    for n in range(count):
        lab.send(claimed(request(n, id=str(n)), root))

    worker.until_committed(count)

    assert [reply.id for reply in lab.replies()] == [str(n) for n in range(count)]
    assert answers(lab)["500"] == [[1001, 1001]]
    worker.until(lambda: waiting(worker)._fetched == {BINDING: 0}, "all data let go of")


def test_a_store_without_its_library_is_told_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    """Not only when the first request needs it."""
    serving("nosuchstore://bucket/in")

    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert vars(record)["root"] == "nosuchstore://bucket/in"
    assert "nosuchstore" in vars(record)["problem"]
