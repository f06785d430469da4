"""Requests of many models and signatures, mixed record by record."""

import itertools

import numpy as np
import pytest

from benchmarks import layout_model, mixed_load
from benchmarks.dense_model import INPUTS
from benchmarks.mixed_load import CHUNK, Mix
from schemas import codec
from schemas.predict_request import PredictRequest

COUNT = CHUNK + 100


def requests(mix: Mix, count: int) -> list[PredictRequest]:
    """The first requests of a mix, decoded."""
    chunks = mixed_load.values(mix, count)
    return [codec.decode(value, PredictRequest) for value in itertools.chain.from_iterable(chunks)]


@pytest.fixture(scope="module")
def mixed() -> list[PredictRequest]:
    """Requests for two models, two signatures each, of 1 to 3 rows."""
    return requests(Mix(layout_model.targets(2), 3), COUNT)


def test_every_request_is_whole(mixed: list[PredictRequest]) -> None:
    """What is cut from one form decodes: as many rows as its shape says, numbers all of them, an id of its own."""
    arrays = [request.inputs[0].to_numpy() for request in mixed]
    assert {array.shape for array in arrays} == {(1, INPUTS), (2, INPUTS), (3, INPUTS)}
    assert all(np.isfinite(array).all() for array in arrays)
    assert len({request.id for request in mixed}) == COUNT


def test_every_target_is_asked_about_as_often(mixed: list[PredictRequest]) -> None:
    """Each model and signature gets its share, give or take a fifth."""
    asked = [(request.model, request.signature) for request in mixed]
    for target in layout_model.targets(2):
        assert asked.count(target) == pytest.approx(COUNT / 4, rel=0.2)


def test_targets_change_from_record_to_record(mixed: list[PredictRequest]) -> None:
    """Three of four records ask something else than the one before."""
    asked = [(request.model, request.signature) for request in mixed]
    changes = sum(a != b for a, b in itertools.pairwise(asked))
    assert changes == pytest.approx(COUNT * 3 / 4, rel=0.2)


def test_rows_do_not_depend_on_the_targets() -> None:
    """One layout and many are asked for the same rows in the same order, so that rows/s can be compared."""
    one, many = Mix(layout_model.targets(1, 1), 64), Mix(layout_model.targets(16), 64)
    assert one.rows(COUNT) == many.rows(COUNT)
    assert {min(one.rows(COUNT)), max(one.rows(COUNT))} == {1, 64}
    assert [len(request.inputs[0].to_numpy()) for request in requests(many, 50)] == many.rows(50)
