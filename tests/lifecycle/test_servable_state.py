"""Public states and their events."""

import pytest

from lifecycle import errors
from lifecycle.servable_id import ServableId
from lifecycle.servable_state import ServableEvent, ServableState


def test_numbers_are_fixed() -> None:
    """Gauges and records show these numbers: they never change."""
    assert {state.name: state.value for state in ServableState} == {
        "START": 10,
        "LOADING": 20,
        "AVAILABLE": 30,
        "UNLOADING": 40,
        "END": 50,
    }


@pytest.mark.parametrize("state", ServableState, ids=lambda state: state.name)
def test_event_says_whether_it_is_available_or_over(state: ServableState) -> None:
    """Exactly AVAILABLE is available, and exactly END has ended."""
    event = ServableEvent(ServableId("m", 1), state, None, 0.0)

    assert event.available == (state is ServableState.AVAILABLE)
    assert event.ended == (state is ServableState.END)


def test_event_reads_well() -> None:
    """An event is shown with its id, its state and its reason."""
    ended = ServableEvent(ServableId("m", 1), ServableState.END, errors.LoadFailed("no model"), 0.0)

    assert str(ended) == "m/1 END (no model)"
