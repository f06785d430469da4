"""A real SavedModel that fails for one request, or has no memory for a whole batch: who gets what, and at what cost."""

from collections.abc import Iterator
from typing import cast

import pytest

from lifecycle.concurrent_servable import ConcurrentServable
from lifecycle.saved_model_loader import SavedModelLoader
from lifecycle.servable_id import ServableId
from schemas.errors import Code
from tests.fakes.lab_servable import LabServable
from tests.fakes.request_path import Lab, Worker, request
from tests.kit.models import SavedModels

pytestmark = pytest.mark.tensorflow

MARKED = -1.0
OF_M = {"model": "m", "version": "1"}


@pytest.fixture(scope="module")
def touchy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServable]:
    """The model, loaded once; the lab asks of its servables only what every servable has."""
    loader = SavedModelLoader(SavedModels(tmp_path_factory.mktemp("saved_models")).touchy())
    loader.load()
    yield cast("LabServable", loader.servable)
    loader.unload()


@pytest.fixture(scope="module")
def touchy_inside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServable]:
    """The same, gathered into batches of eight rows inside."""
    loader = SavedModelLoader(SavedModels(tmp_path_factory.mktemp("saved_models")).touchy_inside())
    loader.load()
    assert isinstance(loader.servable, ConcurrentServable)
    yield cast("LabServable", loader.servable)
    loader.unload()


def serving(touchy: LabServable) -> tuple[Lab, Worker]:
    """A worker with the model as `m`, version 1."""
    lab = Lab()
    lab.servables[ServableId("m", 1)] = touchy
    lab.set_model()
    return lab, lab.worker().join()


def answers(lab: Lab) -> dict[str, list[float]]:
    """The first number of each row of each good answer, by the request's id."""
    return {
        reply.id: reply.outputs[0].to_numpy()[:, 0].tolist() for reply in lab.replies() if not reply.error
    }


@pytest.mark.parametrize("at", [0, 100, 255])
def test_one_bad_request_of_256_is_the_only_one_to_get_an_error(touchy: LabServable, at: int) -> None:
    """255 right answers, one error, and at most two more runs for each halving of the batch."""
    lab, worker = serving(touchy)
    for n in range(256):
        lab.send(request(MARKED if n == at else n, id=str(n)))

    worker.until_committed(256)

    assert lab.codes() == {str(n): Code.INVALID_ARGUMENT if n == at else 0 for n in range(256)}
    assert answers(lab) == {str(n): [2.0 * n + 1] for n in range(256) if n != at}
    assert "this row is marked" in lab.messages()[str(at)]
    assert worker.metric("headrace_batches_bisected_total", **OF_M) == 1
    assert worker.metric("headrace_search_runs_total", **OF_M) <= 2 * 8


def test_one_bad_request_fails_alone_though_a_part_gathers_it_with_others(touchy_inside: LabServable) -> None:
    """The part's batch fails with it, and whoever was in there is answered all the same."""
    lab, worker = serving(touchy_inside)
    for n in range(64):
        lab.send(request(MARKED if n == 41 else n, id=str(n)))

    worker.until_committed(64)

    assert lab.codes() == {str(n): Code.INVALID_ARGUMENT if n == 41 else 0 for n in range(64)}
    assert answers(lab) == {str(n): [2.0 * n + 1] for n in range(64) if n != 41}
    assert "this row is marked" in lab.messages()["41"]


def test_several_bad_requests_of_several_rows_fail_alone(touchy: LabServable) -> None:
    """A request is not cut: all of its rows fail with one of them, and no row of another."""
    lab, worker = serving(touchy)
    bad = {3, 40, 41, 90}
    for n in range(100):
        lab.send(request(n, MARKED if n in bad else 7, n, id=str(n)))

    worker.until_committed(100)

    assert lab.codes() == {str(n): Code.INVALID_ARGUMENT if n in bad else 0 for n in range(100)}
    assert answers(lab) == {str(n): [2.0 * n + 1, 15.0, 2.0 * n + 1] for n in range(100) if n not in bad}


def test_when_all_are_bad_all_are_told_soon(touchy: LabServable) -> None:
    """It is recognised: the search does not go on to each of them."""
    lab, worker = serving(touchy)
    for n in range(256):
        lab.send(request(MARKED, id=str(n)))

    worker.until_committed(256)

    assert set(lab.codes().values()) == {Code.INVALID_ARGUMENT}
    assert worker.metric("headrace_search_runs_total", **OF_M) <= 4 * 9


def test_memory_that_runs_out_for_a_whole_batch_suffices_for_its_parts(touchy: LabServable) -> None:
    """TensorFlow's RESOURCE_EXHAUSTED is known for what it is; the next batch is run in parts at once."""
    lab, worker = serving(touchy)
    for n in range(512):
        lab.send(request(n, id=str(n), signature="narrow"))
        if n == 255:
            worker.until_committed(256)
            assert worker.metric("headrace_runs_out_of_memory_total", **OF_M) == 2
    worker.until_committed(512)

    assert answers(lab) == {str(n): [2.0 * n + 1] for n in range(512)}
    assert worker.metric("headrace_runs_out_of_memory_total", **OF_M) == 2, "256 and 128 rows, once"
