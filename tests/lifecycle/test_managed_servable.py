"""What a manager shows of one version."""

import pytest

from lifecycle import errors
from lifecycle.loader_harness import HarnessState, LoaderHarness, LoadOptions
from lifecycle.managed_servable import PUBLIC_STATES, ManagedServable
from lifecycle.resources import ResourceAllocation
from lifecycle.servable_id import ServableId
from lifecycle.servable_state import ServableState
from tests.fakes.servables import FakeLoader


@pytest.fixture
def managed() -> ManagedServable:
    """A new version."""
    return ManagedServable(LoaderHarness(ServableId("m", 1), LoadOptions(retries=3)), FakeLoader())


def test_every_harness_state_has_a_public_one() -> None:
    """Whatever a harness is doing can be told to outsiders."""
    assert PUBLIC_STATES.keys() == set(HarnessState)
    assert set(PUBLIC_STATES.values()) == set(ServableState)


def test_status_shows_the_last_failed_try(managed: ManagedServable) -> None:
    """While another try follows, the reason of the last one can be seen."""
    managed.harness.request_load()
    managed.harness.approve_load()
    managed.harness.begin_attempt(0.0)
    managed.harness.end_attempt(OSError("not yet"), 1.5)

    status = managed.status()

    assert (status.state, status.attempts, status.load_seconds) == (ServableState.LOADING, 1, 1.5)
    assert "not yet" in str(status.error)


def test_status_shows_why_the_life_before_failed(managed: ManagedServable) -> None:
    """A version that is tried anew keeps its last reason until it has one of its own."""
    managed.earlier_error = errors.LoadFailed("no such path")
    assert str(managed.status().error) == "no such path"

    managed.harness.fail(errors.LoadFailed("another reason"))
    assert str(managed.status().error) == "another reason"


def test_unload_lets_go_of_servable_and_loader(managed: ManagedServable) -> None:
    """After the unload nothing of the version is kept in memory from here."""
    assert managed.call_load(None) is None
    pins = managed.pins
    assert pins is not None

    assert managed.call_unload() is None

    assert managed.loader is None
    assert pins.servable is None


def test_hook_that_raises_fails_the_load(managed: ManagedServable) -> None:
    """What the hook raises is the load's error."""
    managed.harness.request_load()
    managed.harness.approve_load()
    managed.harness.begin_attempt(0.0)

    def hook(servable_id: ServableId) -> None:
        raise OSError("not now")

    assert str(managed.call_load(hook)) == "not now"


class PanicError(BaseException):
    """No `Exception`, as extensions in other languages raise it."""


class Panicking(FakeLoader):
    """Raises what ends threads, whatever it is asked."""

    def estimate_resources(self) -> ResourceAllocation:
        """Panic."""
        raise PanicError("estimate")

    def load(self) -> None:
        """Panic."""
        raise PanicError("load")

    def unload(self) -> None:
        """Panic."""
        raise PanicError("unload")


def test_what_would_end_a_thread_is_a_failure_like_any_other() -> None:
    """Loads, unloads and estimates are of other people's code; Ctrl-C alone goes through."""
    managed = ManagedServable(LoaderHarness(ServableId("m", 1), LoadOptions()), Panicking())

    raised = [managed.call_estimate(), managed.call_load(None), managed.call_unload()]

    assert [(type(each), str(each)) for each in raised] == [
        (PanicError, "estimate"),
        (PanicError, "load"),
        (PanicError, "unload"),
    ]
