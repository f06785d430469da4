"""One load, and those who wait for it."""

import traceback

import pytest

from lifecycle import errors
from lifecycle.servable_handle import Pins
from lifecycle.servable_id import ServableId
from lifecycle.shared_load import SharedLoad
from tests.fakes.servables import AddingServable


@pytest.fixture
def pins() -> Pins:
    """The handles on what was loaded."""
    return Pins(ServableId("m", 1), AddingServable(1.0))


def test_each_caller_gets_a_handle_of_its_own(pins: Pins) -> None:
    """The load's own handle is kept until the last one has its own, and then is the last one's to release."""
    load, first = SharedLoad(), pins.take()
    load.callers = 2
    assert load.answer() is None
    assert first is not None
    load.succeed(first)

    handles = [load.answer()]
    assert load.part() is None
    handles.append(load.answer())

    assert load.part() is first
    assert pins.held == 3
    for handle in (first, *handles):
        assert handle is not None
        handle.release()
    assert pins.held == 0


def test_each_caller_hears_the_error() -> None:
    """Every one gets it, and it does not grow by being told."""
    load, error = SharedLoad(), errors.LoadFailed("no such model")
    load.callers = 3
    load.fail(error)
    depths = []

    for _ in range(3):
        with pytest.raises(errors.LoadFailed) as told:
            load.answer()
        assert told.value is error
        depths.append(len(traceback.extract_tb(error.__traceback__)))
        assert load.part() is None

    assert len(set(depths)) == 1
