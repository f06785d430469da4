"""Who is run first: what a request's header, its model's config, the binding and the settings say of priority."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.fakes.request_path import Lab, Worker, request
from worker.admission import FEW
from worker.kafka.records import Headers

INVALID_ARGUMENT = 3
Asked = tuple[str, bytes | None]


def headers(priority: bytes | None) -> Headers | None:
    """Those of a request that asks for a priority; None: for none."""
    return None if priority is None else [("headrace-priority", priority)]


def send(lab: Lab, asked: Sequence[Asked], model: str = "m") -> None:
    """Requests of one row by their names, of one letter each, with the priorities that they ask for."""
    for name, priority in asked:
        lab.send(request(ord(name), id=name, model=model), headers=headers(priority))


class Runs:
    """The names of requests in the order in which they were run, which is not always that of their replies."""

    def __init__(self, lab: Lab, *models: str) -> None:
        self.batches: list[str] = []
        for model in models or ("m",):
            self._watch(lab, model)

    def _watch(self, lab: Lab, model: str) -> None:
        servable = lab.servable(model)
        run = servable.run

        def watched(
            signature: str, inputs: Mapping[str, npt.NDArray[Any]], outputs: Sequence[str]
        ) -> Mapping[str, npt.NDArray[Any]]:
            self.batches.append("".join(map(chr, np.asarray(inputs["x"])[:, 0].astype(int))))
            return run(signature, inputs, outputs)

        servable.run = watched  # type: ignore[method-assign]

    @property
    def order(self) -> str:
        """All of them."""
        return "".join(self.batches)


def one_at_a_time(lab: Lab, **binding: object) -> Worker:
    """A worker whose batches have one row, with these settings of its only binding."""
    settings: dict[str, Any] = {"bindings": [binding]} if binding else {}
    return lab.worker(batching={"max_batch_rows": 1}, **settings).join()


def test_requests_of_a_higher_priority_are_run_first() -> None:
    """Whatever came first; those that say nothing are between 3 and 5."""
    lab = Lab()
    lab.set_model()
    runs, worker = Runs(lab), one_at_a_time(lab)
    send(lab, [("a", b"0"), ("b", None), ("c", b"9"), ("d", b"3"), ("e", b"5"), ("f", b"9")])

    worker.until_committed(6)

    assert runs.order == "cfebda"
    assert set(lab.codes().values()) == {0}


def test_many_requests_of_one_program_are_read_alike() -> None:
    """Headers that are read together say the same as those that are read one by one."""
    lab = Lab()
    lab.set_model()
    runs, worker = Runs(lab), one_at_a_time(lab)
    names = "abcdefghijklmnopqrst"
    assert len(names) > 2 * FEW
    send(lab, [(name, b"%d" % (n % 3)) for n, name in enumerate(names)])

    worker.until_committed(len(names))

    assert runs.order == names[2::3] + names[1::3] + names[0::3]


def test_requests_of_one_priority_share_their_batches_and_no_others() -> None:
    """A batch holds requests of one priority where no urgent one is to wait for the rows of others."""
    lab = Lab()
    lab.set_model()
    runs, worker = Runs(lab), lab.worker(batching={"filling": "none"}).join()
    names = "abcdefghijklmnopqrst"
    send(lab, [(name, b"%d" % (n % 2)) for n, name in enumerate(names)])

    worker.until_committed(len(names))

    assert runs.batches == [names[1::2], names[0::2]]


def test_a_models_own_priority_holds_for_requests_that_say_nothing() -> None:
    """The control record's word is that of the model; a request's header is nearer still."""
    lab = Lab()
    lab.set_model("slow", parameters={"priority": b"1"})
    lab.set_model("quick", parameters={"priority": b"8"})
    runs, worker = Runs(lab, "slow", "quick"), one_at_a_time(lab)
    send(lab, [("a", None), ("b", b"9")], "slow")
    send(lab, [("c", None), ("d", b"0")], "quick")

    worker.until_committed(4)

    assert runs.order == "bcad"


def test_the_settings_say_what_nobody_else_says() -> None:
    """`batching.priority` is that of requests without header whose model says nothing."""
    lab = Lab()
    lab.set_model()
    runs, worker = Runs(lab), lab.worker(batching={"max_batch_rows": 1, "priority": 7}).join()
    send(lab, [("a", b"6"), ("b", None), ("c", b"8")])

    worker.until_committed(3)

    assert runs.order == "cba"


@pytest.mark.parametrize("requests", [1, 2 * FEW])
def test_a_binding_bounds_what_its_requests_may_ask_for(requests: int) -> None:
    """A higher one counts as the bound: nobody gets in front of those to whom the operator gives more."""
    lab = Lab()
    lab.set_model()
    runs, worker = Runs(lab), one_at_a_time(lab, most_priority=3)
    names = "abcdefghijklmnopqrst"[:requests]
    send(lab, [(name, b"9") for name in names])
    send(lab, [("z", None)])

    worker.until_committed(requests + 1)

    assert runs.order == "z" + names


@pytest.mark.parametrize("requests", [1, 2 * FEW])
@pytest.mark.parametrize("value", [b"10", b"x", b"", b"\xb2"])
def test_a_priority_that_is_none_is_answered_so(requests: int, value: bytes) -> None:
    """With the header's name and what was expected; the neighbours are run."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker().join()
    send(lab, [(name, b"5") for name in "abcdefghijklmnopqrst"[:requests]])
    send(lab, [("z", value)])

    worker.until_committed(requests + 1)

    codes = lab.codes()
    assert codes.pop("z") == INVALID_ARGUMENT
    assert set(codes.values()) == {0}
    (bad,) = [reply for reply in lab.replies() if reply.id == "z"]
    assert bad.error is not None
    assert "headrace-priority" in bad.error.message
    assert "0 to 9" in bad.error.message


def test_what_has_aged_is_run_in_the_order_in_which_it_came() -> None:
    """The settings say how long urgent requests may go first; here not at all."""
    lab = Lab()
    lab.set_model()
    runs, worker = Runs(lab), lab.worker(batching={"max_batch_rows": 1, "ageing_seconds": 0.0}).join()
    send(lab, [("l", b"0"), ("h", b"9")])

    worker.until_committed(2)

    assert runs.order == "lh"


@pytest.mark.parametrize(
    ("filling", "batches"),
    [
        ("none", ["hij", "abcde"]),
        ("allowed", ["hija", "bcde"]),
        ("max", ["hijabcde"]),
    ],
)
def test_a_batch_that_would_be_padded_takes_requests_of_lower_priorities(
    filling: str, batches: list[str]
) -> None:
    """Of the same kind, behind its own, and as many as the settings say; each gets its own answer."""
    lab = Lab()
    lab.set_model()
    batching = {"max_batch_rows": 8, "allowed_batch_rows": (4, 8), "filling": filling}
    runs, worker = Runs(lab), lab.worker(batching=batching).join()
    send(lab, [(name, b"1") for name in "abcde"])
    send(lab, [(name, b"9") for name in "hij"])

    worker.until_committed(8)

    # Padded rows repeat the last one.
    assert ["".join(dict.fromkeys(batch)) for batch in runs.batches] == batches
    assert set(lab.codes().values()) == {0}
    answers = {reply.id: reply.outputs[0].to_numpy()[0, 0] for reply in lab.replies()}
    assert answers == {name: 2 * ord(name) + 1 for name in "abcdehij"}
