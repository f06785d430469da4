"""Requests that name neither version nor label, divided by the model's traffic split; labels that move."""

from collections import defaultdict

import pytest

from lifecycle.errors import PermanentLoadFailure
from lifecycle.servable_state import ServableState
from schemas.model_config import SPLIT
from schemas.tensor import Tensor
from schemas.traffic_split import TrafficSplit
from tests.fakes.request_path import REPLIES, REQUESTS, Lab, record, request
from worker.traffic_shares import TrafficShares

UNAVAILABLE, INVALID_ARGUMENT = 14, 3
LABELS = {"stable": 1, "canary": 2}


def split(text: str) -> dict[str, bytes]:
    """The parameters of a config with that split."""
    return {SPLIT: text.encode()}


def versions(lab: Lab) -> dict[str, int | None]:
    """The version of each reply, by its id."""
    assert set(lab.codes().values()) <= {0}, lab.messages()
    return {reply.id: reply.version for reply in lab.replies()}


def test_requests_of_one_key_go_to_one_version() -> None:
    """Whatever the poll, the partition and the layout that a request comes in, as its key says and no other."""
    lab = Lab({REQUESTS: 3, REPLIES: 1, f"{REQUESTS}-dlt": 1})
    lab.set_model(versions=(1, 2), labels=LABELS, parameters=split("stable=60 canary=40"))
    worker = lab.worker(delivery={"poll_records": 7}).join()
    for n in range(300):
        rows = [float(n)] * (1 + n % 3)
        lab.send(request(*rows, id=f"{n}"), key=b"key-%d" % (n % 40))
    for partition in range(3):
        worker.until_committed(100, partition)

    shares = TrafficShares("m", TrafficSplit.parse("stable=60 canary=40"))
    expected = shares.assign([b"key-%d" % n for n in range(40)], [0, 1])
    assert set(versions(lab).values()) == {1, 2}
    assert versions(lab) == {f"{n}": 1 + expected[n % 40] for n in range(300)}
    assert {reply.id: float(reply.outputs[0].to_numpy()[0, 0]) for reply in lab.replies()} == {
        f"{n}": 2 * n + 1 + expected[n % 40] for n in range(300)
    }


def test_without_a_key_requests_go_by_their_ids_and_without_ids_by_their_places() -> None:
    """So a request that is repeated is answered by the same version."""
    lab = Lab()
    lab.set_model(versions=(1, 2), parameters=split("1=50 2=50"))
    worker = lab.worker().join()
    for again in range(2):
        for n in range(40):
            lab.send(request(n, id=f"{n}"))
        worker.until_committed(40 * (again + 1))
    by_id = defaultdict(list)
    for reply in lab.replies():
        by_id[reply.id].append(reply.version)
    assert all(first == second for first, second in by_id.values())
    assert {first for first, _ in by_id.values()} == {1, 2}

    for n in range(40):
        lab.send(request(n))
    worker.until_committed(120)
    assert {reply.version for reply in lab.replies()[80:]} == {1, 2}


def test_requests_that_name_a_version_or_a_label_are_not_divided() -> None:
    """They get what they ask for."""
    lab = Lab()
    lab.set_model(versions=(1, 2), labels=LABELS, parameters=split("canary=1"))
    worker = lab.worker().join()
    lab.send(request(1, id="none"))
    lab.send(request(1, id="version", version=1))
    lab.send(request(1, id="label", label="stable"))
    worker.until_committed(3)

    assert versions(lab) == {"none": 2, "version": 1, "label": 1}


def test_a_new_split_concerns_the_requests_that_are_read_from_then_on() -> None:
    """From 95 to 5 to all for one, and back to the latest when there is no split any more."""
    lab = Lab()
    worker = lab.worker().join()
    for turn, (text, expected) in enumerate([("1=100", {1}), ("1=1 2=1", {1, 2}), ("2=1", {2})]):
        lab.set_model(versions=(1, 2), parameters=split(text))
        for n in range(30):
            lab.send(request(n, id=f"{turn} {n}"))
        worker.until_committed(30 * (turn + 1))
        assert {v for name, v in versions(lab).items() if name.startswith(f"{turn} ")} == expected
    lab.set_model(versions=(1, 2))
    lab.send(request(1, id="after"))
    worker.until_committed(91)
    assert versions(lab)["after"] == 2


def test_a_variant_that_has_failed_leaves_its_requests_to_the_others() -> None:
    """A canary that does not load fails nobody's request."""
    lab = Lab()
    failures = {2: PermanentLoadFailure("cut short")}
    lab.set_model(versions=(1, 2), failures=failures, labels=LABELS, parameters=split("stable=1 canary=1"))
    worker = lab.worker().join()
    for n in range(20):
        lab.send(request(n, id=f"{n}"))
    worker.until_committed(20)

    assert set(versions(lab).values()) == {1}


def test_with_no_variant_there_requests_wait_and_then_hear_why() -> None:
    """As requests for one version do: held while one is on its way, refused when none is."""
    lab = Lab()
    failure = PermanentLoadFailure("cut short")
    lab.set_model(versions=(1, 2), failures={1: failure, 2: failure}, parameters=split("1=1 2=1"))
    worker = lab.worker().join()
    lab.send(request(1, id="r"))
    worker.until_committed(1)
    assert lab.codes() == {"r": UNAVAILABLE}
    assert "version 1 failed: " in lab.messages()["r"]

    # The manager has not heard of it yet.
    lab.table.apply(b"n", record((1, 2), parameters=split("1=1 2=1")), 7)
    for n in range(10):
        lab.send(request(n, id=f"n{n}", model="n"))
    worker.run_for(0.5)
    assert len(lab.replies()) == 1
    lab.set_model("n", versions=(1, 2), parameters=split("1=1 2=1"))
    worker.until_committed(11)
    assert {code for name, code in lab.codes().items() if name.startswith("n")} == {0}


def test_a_version_that_refuses_a_request_answers_it_itself() -> None:
    """Another version is no way out: the requester is told what is wrong with the request."""
    lab = Lab()
    lab.set_model(versions=(1, 2), parameters=split("1=1 2=1"))
    worker = lab.worker().join()
    wrong = Tensor.from_numpy("z", request(1).inputs[0].to_numpy())
    for n in range(20):
        lab.send(request(n, id=f"{n}", inputs=(wrong,)))
    worker.until_committed(20)

    assert set(lab.codes().values()) == {INVALID_ARGUMENT}
    assert {reply.version for reply in lab.replies()} == {1, 2}


def test_every_handle_is_released() -> None:
    """Also that of a variant which gets none of a poll's requests; else its version could never be unloaded."""
    lab = Lab()
    lab.set_model(versions=(1, 2), parameters=split("1=99 2=1"))
    worker = lab.worker().join()
    for n in range(5):
        lab.send(request(n, id=f"{n}"), key=b"same")
        worker.until_committed(n + 1)
    lab.manager.set_aspired_versions("m", ())
    lab.settle_models()

    assert {status.state for status in lab.manager.states()} <= {ServableState.END}


def test_a_label_means_what_it_meant_until_its_new_version_is_available() -> None:
    """The record that brings version 2 moves the label: nobody waits for the load, and then all get it at once."""
    lab = Lab()
    lab.set_model(versions=(1,), labels={"live": 1})
    worker = lab.worker().join()
    lab.table.apply(b"m", record((2,), labels={"live": 2}), 50)  # and not the manager yet
    lab.send(request(1, id="while", label="live"))
    worker.until_committed(1)
    lab.set_model(versions=(2,), labels={"live": 2})
    lab.send(request(1, id="after", label="live"))
    worker.until_committed(2)

    assert versions(lab) == {"while": 1, "after": 2}


@pytest.mark.parametrize("named", [True, False])
def test_a_label_whose_new_version_fails_goes_on_meaning_the_old_one(named: bool) -> None:
    """As long as that is there: listed still, or kept because there is nothing better."""
    lab = Lab()
    lab.set_model(versions=(1,), labels={"live": 1})
    worker = lab.worker().join()
    failures = {2: PermanentLoadFailure("cut short")}
    lab.set_model(versions=(1, 2) if named else (2,), labels={"live": 2}, failures=failures)
    lab.send(request(1, id="r", label="live"))
    lab.send(request(1, id="plain", version=2))
    worker.until_committed(2)

    assert lab.codes() == {"r": 0, "plain": UNAVAILABLE}
