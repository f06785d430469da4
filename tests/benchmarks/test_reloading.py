"""How far a model has come, as the status topic tells it."""

import pytest

from benchmarks import reloading
from schemas.errors import Code
from schemas.servable_status import ServableState, ServableStatus
from worker.status_topic import WHOLE_MODEL


def said(state: ServableState, version: int = 1, code: int = Code.OK) -> ServableStatus:
    """A status of a version."""
    return ServableStatus("worker", "resnet50", version, state, int(code), "out of memory" if code else "")


@pytest.mark.parametrize(
    ("state", "stage"),
    [
        (ServableState.LOADING, ""),
        (ServableState.AVAILABLE, "available"),
        (ServableState.UNLOADING, ""),
        (ServableState.END, ""),
    ],
)
def test_a_model_is_there_while_its_version_is_available(state: ServableState, stage: str) -> None:
    """It is on its way in every other state; a status of the model as a whole changes nothing."""
    assert reloading.stage([said(state), said(ServableState.START, WHOLE_MODEL)]) == stage


def test_a_model_is_gone_when_nothing_is_said_of_it() -> None:
    """A worker takes its words back once a version has ended."""
    assert reloading.stage([]) == "gone"


def test_a_failed_load_ends_the_scenario() -> None:
    """Waiting for a version that has failed would be waiting for ever."""
    with pytest.raises(RuntimeError, match="out of memory"):
        reloading.stage([said(ServableState.END, code=Code.UNAVAILABLE)])
