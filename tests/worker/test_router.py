"""Who answers, and what is said when nobody can; each bad request beside a good one of the same poll."""

from typing import Any

import numpy as np
import pytest

from lifecycle.errors import PermanentLoadFailure
from schemas import codec
from schemas.model_config import ModelConfig
from schemas.tensor import Tensor
from schemas.version_selection import SpecificVersions
from tests.fakes.request_path import REPLIES, Lab, request

NOT_FOUND, INVALID_ARGUMENT, UNAVAILABLE = 5, 3, 14


def answered(lab: Lab, *bad: Any) -> dict[str, str]:
    """Send bad requests between good ones; every good one must be answered well. The bad ones' messages."""
    worker = lab.worker().join()
    for n, each in enumerate(bad):
        lab.send(request(n, id=f"good{n}"))
        lab.send(each)
    lab.send(request(9, id="last"))
    worker.until_committed(2 * len(bad) + 1)
    codes = lab.codes()
    assert {codes.pop(f"good{n}") for n in range(len(bad))} | {codes.pop("last")} == {0}
    return {f"{code} {each}": lab.messages()[each] for each, code in codes.items()}


def test_an_unknown_model_is_not_found() -> None:
    """The message names the model and where it was looked for."""
    lab = Lab()
    lab.set_model()

    said = answered(lab, request(1, id="bad", model="nobody"))

    assert said == {f"{NOT_FOUND} bad": "model 'nobody' is not on the control topic"}


def test_a_name_that_is_no_model_is_no_label_of_a_metric() -> None:
    """Requesters cannot make up metrics: an unknown model is counted under an empty name."""
    lab = Lab()
    worker = lab.worker().join()
    lab.send(request(1, id="bad", model="nobody"))
    worker.until_committed(1)

    name, labels = "headrace_requests_total", {"version": "", "signature": "", "code": "NOT_FOUND"}
    assert worker.metric(name, model="", **labels) == 1
    assert worker.metric(name, model="nobody", **labels) == 0


def test_an_unknown_label_is_an_invalid_argument() -> None:
    """As in TensorFlow Serving; the message lists the labels that there are."""
    lab = Lab()
    lab.set_model(labels={"stable": 1})

    said = answered(lab, request(1, id="bad", label="canary"))

    assert said == {f"{INVALID_ARGUMENT} bad": "model 'm' has no label 'canary'; its labels: stable"}


def test_a_version_that_is_not_desired_is_not_found() -> None:
    """The message lists the versions that there are."""
    lab = Lab()
    lab.set_model(versions=(1, 2))

    said = answered(lab, request(1, id="bad", version=3))

    assert said == {f"{NOT_FOUND} bad": "version 3 of model 'm' was asked for; the versions of 'm' are: 2, 1"}


def test_a_failed_version_is_unavailable_with_the_reason() -> None:
    """A requester who asks for it is told why it failed; the version that loaded answers the others."""
    lab = Lab()
    lab.set_model(versions=(1, 2), failures={2: PermanentLoadFailure("the weights are cut short")})

    said = answered(lab, request(1, id="bad", version=2))

    assert list(said) == [f"{UNAVAILABLE} bad"]
    assert "version 2 failed" in said[f"{UNAVAILABLE} bad"]
    assert said[f"{UNAVAILABLE} bad"].endswith("the weights are cut short")


def test_a_requester_is_not_told_where_a_models_files_lie() -> None:
    """What another's loader says may hold paths: its reason is told without them."""
    lab = Lab()
    failure = PermanentLoadFailure("cannot open /models/m/2/w.npy\n  File /usr/lib/numpy.py, line 3")
    lab.set_model(versions=(1, 2), failures={2: failure})

    (said,) = answered(lab, request(1, id="bad", version=2)).values()

    assert said.endswith(": cannot open …")


def test_a_removed_model_is_not_found_at_once() -> None:
    """The control topic is the truth: a model taken from it answers no more, though it is still in memory."""
    lab = Lab()
    lab.set_model()
    lab.table.apply(b"m", None, 99)

    worker = lab.worker().join()
    lab.send(request(1, id="r"))
    worker.until_committed(1)

    assert lab.codes() == {"r": NOT_FOUND}


def test_a_version_taken_from_the_list_answers_until_its_unload_begins() -> None:
    """A request that was sent for a version before it was taken away is served while that can be."""
    lab = Lab()
    lab.set_model(versions=(1, 2))
    handle = lab.manager.handle("m", 1)
    worker = lab.worker().join()
    config = ModelConfig("/models", versions=SpecificVersions((2,)))
    lab.table.apply(b"m", codec.encode(config), 99)  # the manager has not heard of it yet
    lab.send(request(1, id="before", version=1))
    worker.until_committed(1)

    lab.set_model(versions=(2,))  # the unload begins, and waits for the handle
    lab.send(request(1, id="after", version=1))
    worker.until_committed(2)
    handle.release()

    assert lab.codes() == {"before": 0, "after": NOT_FOUND}


WRONG = {
    "dtype": Tensor.from_numpy("x", np.zeros((1, 2), np.int32)),
    "rank": Tensor.from_numpy("x", np.zeros((1, 2, 2), np.float32)),
    "dimension": Tensor.from_numpy("x", np.zeros((1, 3), np.float32)),
    "scalar": Tensor.from_numpy("x", np.float32(1)),
    "name": Tensor.from_numpy("z", np.zeros((1, 2), np.float32)),
}


@pytest.mark.parametrize("what", WRONG)
def test_inputs_that_do_not_fit_are_invalid_arguments(what: str) -> None:
    """The message says what the signature expects; requests beside it are answered."""
    lab = Lab()
    lab.set_model()

    said = answered(lab, request(id="bad", inputs=(WRONG[what],)))

    assert list(said) == [f"{INVALID_ARGUMENT} bad"]
    assert "DT_FLOAT[?,2]" in said[f"{INVALID_ARGUMENT} bad"]


def test_unknown_signatures_and_outputs_are_invalid_arguments() -> None:
    """The message lists those that there are."""
    lab = Lab()
    lab.set_model()

    said = answered(lab, request(1, id="s", signature="nothing"), request(1, id="o", outputs=("z",)))

    assert "expected one of 'scalar', 'serving_default', 'square', 'text'" in said[f"{INVALID_ARGUMENT} s"]
    assert "no output 'z'; expected one of 'y'" in said[f"{INVALID_ARGUMENT} o"]


def test_inputs_without_a_common_number_of_rows_are_invalid() -> None:
    """Two inputs that differ in dimension 0 cannot be rows of one request."""
    lab = Lab()
    lab.set_model()
    two = (
        Tensor.from_numpy("x", np.zeros((1, 2), np.float32)),
        Tensor.from_numpy("z", np.zeros((3, 2), np.float32)),
    )

    said = answered(lab, request(id="bad", inputs=two))

    assert list(said) == [f"{INVALID_ARGUMENT} bad"]


def test_a_request_without_inputs_is_an_invalid_argument() -> None:
    """The message says which inputs there must be."""
    lab = Lab()
    lab.set_model()

    said = answered(lab, request(id="bad", inputs=()))

    assert "expects the inputs 'x' DT_FLOAT[?,2]" in said[f"{INVALID_ARGUMENT} bad"]


def test_a_new_version_under_an_old_number_is_checked_anew() -> None:
    """What was learnt of a version's signatures is forgotten with it."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker().join()
    lab.send(request(1, id="first"))
    worker.until_committed(1)
    lab.set_model(versions=(2,))
    lab.servables.clear()
    lab.set_model(versions=(1, 2))
    lab.servable().signatures = {}
    lab.send(request(1, id="second", version=1))
    worker.until_committed(2)

    assert lab.codes() == {"first": 0, "second": INVALID_ARGUMENT}


def test_replies_repeat_the_id_and_name_who_refused() -> None:
    """An error names the model that was asked, and the version once one was found."""
    lab = Lab()
    lab.set_model()
    answered(lab, request(1, id="model", model="nobody"), request(1, id="version", signature="nothing"))

    named = {reply.id: (reply.model, reply.version) for reply in lab.replies(REPLIES) if reply.error}

    assert named == {"model": ("nobody", None), "version": ("m", 1)}


def test_of_names_that_requesters_make_up_nothing_is_kept() -> None:
    """A name may be as long as a record, and another in each request: what is kept of kinds is what fits a model."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker().join()
    long = "x" * 10_000
    lab.send(request(1, id="good"))
    fields: list[dict[str, Any]] = [
        {"model": long},
        {"signature": long},
        {"outputs": (long,)},
        {"label": long},
    ]
    for n, each in enumerate(fields):
        lab.send(request(1, id=f"bad{n}", **each))
    lab.send(request(1, id="good again"))
    worker.until_committed(6)

    router = worker.path._intake._router
    assert len(router._checked) == 1
    assert {model for _, model in router._served} == {"m"}
    assert sorted(lab.codes().values()) == [0, 0, 3, 3, 3, 5]
