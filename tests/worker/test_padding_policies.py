"""Requests between two allowed batch sizes: padded up or cut down, by the settings or by their model's config."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pydantic import ValidationError

from batching.options import PaddingPolicy
from schemas.model_config import BatchingOptions, ModelConfig
from tests.fakes.request_path import Lab, request
from worker.model_queue_options import combine
from worker.settings_serving import BatchingSettings

NAMES = "abcdefg"
SIZES = (2, 4, 8)
BATCHING: dict[str, Any] = {"max_batch_rows": 8, "allowed_batch_rows": SIZES}


class Runs:
    """The names of requests by the runs that they were in, padding included; time passes in a run by its rows."""

    def __init__(self, lab: Lab, call_seconds: float = 0.0, row_seconds: float = 0.0) -> None:
        self.batches: list[str] = []
        servable = lab.servable("m")
        run = servable.run

        def watched(
            signature: str, inputs: Mapping[str, npt.NDArray[Any]], outputs: Sequence[str]
        ) -> Mapping[str, npt.NDArray[Any]]:
            names = np.asarray(inputs["x"])[:, 0].astype(int)
            self.batches.append("".join(map(chr, names)))
            lab.clock.advance(call_seconds + row_seconds * len(names))
            return run(signature, inputs, outputs)

        servable.run = watched  # type: ignore[method-assign]


def send(lab: Lab, names: str = NAMES) -> None:
    """A request of one row for each name, all there before the worker looks."""
    for name in names:
        lab.send(request(ord(name), id=name))


def assert_answered(lab: Lab, names: str = NAMES) -> None:
    """Each once, with its own answer."""
    assert {reply.id: reply.outputs[0].to_numpy()[0, 0] for reply in lab.replies()} == {
        name: 2 * ord(name) + 1 for name in names
    }
    assert len(lab.replies()) == len(names)


@pytest.mark.parametrize(
    ("policy", "batches"),
    [("pad_up", ["abcdefgg"]), ("batch_down", ["abcd", "ef", "gg"]), ("minimize_cost", ["abcdefgg"])],
)
def test_the_settings_say_what_becomes_of_seven_rows(policy: str, batches: list[str]) -> None:
    """One row of padding instead of four, or none of it where nothing has been measured; all are answered in order."""
    lab = Lab()
    lab.set_model()
    runs, worker = Runs(lab), lab.worker(batching=BATCHING | {"padding_policy": policy}).join()
    send(lab)

    worker.until_committed(len(NAMES))

    assert runs.batches == batches
    assert_answered(lab)


def test_a_models_own_policy_wins() -> None:
    """By a parameter of its config, which older releases pass over."""
    lab = Lab()
    lab.set_model(parameters={"padding_policy": b"batch_down"})
    runs, worker = Runs(lab), lab.worker(batching=BATCHING).join()
    send(lab)

    worker.until_committed(len(NAMES))

    assert runs.batches == ["abcd", "ef", "gg"]
    assert_answered(lab)


@pytest.mark.parametrize(
    ("call_seconds", "row_seconds", "batches"), [(0.0, 0.01, ["abcd", "ee"]), (0.1, 0.001, ["abcdeeee"])]
)
def test_what_costs_less_a_row_is_measured(
    call_seconds: float, row_seconds: float, batches: list[str]
) -> None:
    """A model whose rows take the time is given fewer of them, one whose calls do fewer calls."""
    lab = Lab()
    lab.set_model()
    runs = Runs(lab, call_seconds, row_seconds)
    worker = lab.worker(batching=BATCHING | {"padding_policy": "minimize_cost"}).join()
    for rows in (8, 4, 2):
        send(lab, "abcdefgh"[:rows])
        worker.until_committed(sum(size for size in SIZES if size >= rows))
    runs.batches.clear()
    send(lab, "abcde")

    worker.until_committed(sum(SIZES) + 5)

    assert runs.batches == batches


def test_requests_are_not_cut() -> None:
    """Three of three rows, where four and eight are allowed: two would be padded by as much as is saved."""
    lab = Lab()
    lab.set_model()
    batching = {"max_batch_rows": 12, "allowed_batch_rows": (4, 8, 12), "padding_policy": "batch_down"}
    runs, worker = Runs(lab), lab.worker(batching=batching).join()
    for name in "abc":
        lab.send(request(*[ord(name)] * 3, id=name))

    worker.until_committed(3)

    assert len({reply.id for reply in lab.replies()}) == 3
    assert [len(batch) for batch in runs.batches] == [12]


def test_a_version_goes_when_its_last_piece_is_done() -> None:
    """What was cut off a block of requests keeps the version, and so do both pieces of one that was cut in vain."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(batching=BATCHING | {"padding_policy": "batch_down"}).join()
    for _ in range(2):  # no request ends at 4 rows, and 3 of 4 are no better than 6 of 8
        lab.send(request(1, 2, 3))
    worker.until_committed(2)
    send(lab, "abcde")
    worker.until_committed(7)
    assert [rows for _, rows in lab.servable().runs] == [8, 4, 2]
    lab.set_model(versions=(2,))
    worker.step()
    lab.settle_models()

    assert [each.id.version for each in lab.manager.states()] == [2]


def test_an_unknown_policy_is_refused() -> None:
    """Like any other setting."""
    with pytest.raises(ValidationError, match="padding_policy"):
        BatchingSettings(padding_policy="down")  # type: ignore[arg-type]


def test_options_of_a_model_are_the_settings_and_its_own() -> None:
    """Each by itself: a model with sizes of its own may leave the policy to the worker."""
    own = BatchingSettings(padding_policy=PaddingPolicy.MINIMIZE_COST)
    sizes = BatchingOptions(max_batch_rows=8, allowed_batch_rows=SIZES)
    assert combine(own, ModelConfig("/m", batching=sizes)).queue.padding_policy is PaddingPolicy.MINIMIZE_COST
    config = ModelConfig("/m", batching=sizes, parameters={"padding_policy": b"batch_down"})
    assert combine(own, config).queue.padding_policy is PaddingPolicy.BATCH_DOWN
    assert combine(own, None).queue.padding_policy is PaddingPolicy.MINIMIZE_COST
