"""What one step decides, where the whole manager's tests do not show it."""

import pytest

from lifecycle.aspired_version_policy import Action, ActionKind
from lifecycle.basic_manager import BasicManager
from lifecycle.reconciliation import Reconciliation, ReconciliationOptions, unloads_first
from lifecycle.servable_id import ServableId
from lifecycle.source import AspiredVersion
from tests.fakes.clock import FakeClock
from tests.fakes.servables import FakeLoader

A, B = ServableId("a", 1), ServableId("b", 1)


@pytest.fixture
def basic() -> BasicManager:
    """A manager without threads."""
    return BasicManager()


@pytest.fixture
def reconciliation(basic: BasicManager) -> Reconciliation:
    """Nothing is aspired yet."""
    return Reconciliation(basic, ReconciliationOptions(), FakeClock())


def test_default_order_makes_room_first() -> None:
    """Unloads come before loads, each by name and version."""
    load_a, load_b = Action(ActionKind.LOAD, A), Action(ActionKind.LOAD, B)
    unload_b = Action(ActionKind.UNLOAD, ServableId("b", 2))

    assert unloads_first([load_b, load_a, unload_b]) == [unload_b, load_a, load_b]


def test_lists_are_taken_up_one_by_one(basic: BasicManager, reconciliation: Reconciliation) -> None:
    """A list that must wait does not hold up the list of another name."""
    reconciliation.take_up({"a": [AspiredVersion(A, FakeLoader)]})
    reconciliation.act()
    pin = basic.handle("a")
    reconciliation.take_up({"a": []})
    reconciliation.act()

    taken_up = reconciliation.take_up(
        {"a": [AspiredVersion(A, FakeLoader)], "b": [AspiredVersion(B, FakeLoader)]}
    )

    assert (taken_up, list(reconciliation.aspired)) == (["b"], [B])
    pin.release()


def test_nothing_is_done_when_all_is_as_aspired(basic: BasicManager, reconciliation: Reconciliation) -> None:
    """A second round finds nothing to do."""
    heard: list[str] = []
    reconciliation.take_up({"a": [AspiredVersion(A, FakeLoader)]})
    reconciliation.act()
    basic.bus.subscribe(lambda event: heard.append(str(event)))

    reconciliation.forget_what_is_gone()
    reconciliation.renew_failed()
    reconciliation.act()

    assert heard == []
