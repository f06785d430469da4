"""A fixed set of servables, with every combination of inline and pooled executors."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from lifecycle import errors
from lifecycle.backoff import Backoff
from lifecycle.event_bus import EventBus
from lifecycle.execution import BasicManagerOptions, Surroundings
from lifecycle.loader_harness import LoadOptions
from lifecycle.resource_tracker import ResourceTracker
from lifecycle.resources import HOST, NOTHING, host
from lifecycle.servable_id import ServableId, ServableRequest
from lifecycle.servable_state import ServableEvent, ServableState
from lifecycle.static_manager import StaticManager, StaticManagerBuilder
from tests.fakes.servables import BrokenLoader, FailingLoader, FakeLoader, SizedLoader
from tests.kit.waiting import PATIENCE_SECONDS

S = ServableState
A, B = ServableId("a", 22), ServableId("a", 24)


@pytest.fixture(params=[(0, 0), (2, 0), (0, 2), (2, 2)], ids=lambda each: f"load{each[0]}-unload{each[1]}")
def options(request: pytest.FixtureRequest) -> BasicManagerOptions:
    """One try a load, with so many load and unload threads; 0 is inline."""
    load, unload = request.param
    return BasicManagerOptions(load, unload, LoadOptions(retries=0))


@pytest.fixture
def bus() -> EventBus:
    """What the manager publishes on."""
    return EventBus()


@pytest.fixture
def events(bus: EventBus) -> list[ServableEvent]:
    """What has been published."""
    heard: list[ServableEvent] = []
    bus.subscribe(heard.append)
    return heard


@pytest.fixture
def builder(options: BasicManagerOptions, bus: EventBus, events: list[ServableEvent]) -> StaticManagerBuilder:
    """A builder without any servable, all of whose events are written down."""
    return StaticManagerBuilder(options, Surroundings(bus=bus))


@pytest.fixture
def manager(builder: StaticManagerBuilder) -> Iterator[StaticManager]:
    """A manager of a/22 and a/24."""
    made = builder.add(A, FakeLoader(22)).add(B, FakeLoader(24)).build()
    yield made
    assert made.close(PATIENCE_SECONDS) == ()


def test_everything_is_available_when_it_is_built(manager: StaticManager) -> None:
    """By its version, as the latest, and as the earliest."""
    with manager.handle("a", 22) as old, manager.handle("a") as latest:
        assert (old.id, latest.id) == (A, B)
    with manager.handle_for(ServableRequest.earliest("a")) as earliest:
        assert earliest.id == A
    handles = manager.available_handles()
    assert tuple(handles) == manager.available_ids() == (A, B)
    assert [(each.id, each.state, each.handles) for each in manager.states()] == [
        (A, S.AVAILABLE, 1),
        (B, S.AVAILABLE, 1),
    ]
    for handle in handles.values():
        handle.release()


@pytest.mark.parametrize(("name", "version"), [("b", None), ("a", 21)], ids=["name", "version"])
def test_nothing_else_is_found(manager: StaticManager, name: str, version: int | None) -> None:
    """Neither another name nor another version."""
    with pytest.raises(errors.ServableNotFound, match=name):
        manager.handle(name, version)


def test_manager_of_nothing_has_nothing(builder: StaticManagerBuilder) -> None:
    """It can be built, and finds nothing."""
    manager = builder.build()

    with pytest.raises(errors.ServableNotFound):
        manager.handle("a")
    assert manager.close(PATIENCE_SECONDS) == ()


def test_version_is_added_once(builder: StaticManagerBuilder) -> None:
    """A second loader for it is refused; the first one is loaded."""
    first, second = FakeLoader(), FakeLoader()
    builder.add(A, first)

    with pytest.raises(errors.AlreadyManaged, match="a/22 was added already"):
        builder.add(A, second)

    manager = builder.build()
    assert (first.calls, second.calls) == (["load"], [])
    manager.close(PATIENCE_SECONDS)


def test_built_manager_is_watched_by_nobody(manager: StaticManager, bus: EventBus) -> None:
    """What the builder has needed to hear of the loads is gone; who listens is the user."""
    assert len(bus._subscribers) == 1


def test_builder_builds_once(builder: StaticManagerBuilder) -> None:
    """After that it takes nothing more, and makes no second manager."""
    manager = builder.add(A, FakeLoader()).build()

    with pytest.raises(RuntimeError, match="has built its manager"):
        builder.build()
    with pytest.raises(RuntimeError, match="has built its manager"):
        builder.add(B, FakeLoader())
    manager.close(PATIENCE_SECONDS)


def test_failed_build_names_every_reason_and_unloads_the_rest(
    builder: StaticManagerBuilder, events: list[ServableEvent]
) -> None:
    """Who builds knows all that is wrong at once, and nothing stays in memory."""
    good = FakeLoader()
    corrupt = FailingLoader(errors.InvalidModel("model.json is empty"))
    builder.add(A, good).add(B, BrokenLoader()).add(ServableId("b", 1), corrupt)

    with pytest.raises(errors.LoadFailed, match=r"2 of 3 versions .*: .*no such model.*model.json is"):
        builder.build()

    assert good.calls == ["load", "unload"]
    assert [event.state for event in events if event.id == A][-1] is S.END


def test_load_may_be_tried_several_times() -> None:
    """The building thread itself looks for the time of the later try."""
    loader = FailingLoader(OSError("not yet"))
    options = BasicManagerOptions(load=LoadOptions(retries=1, retry_wait=Backoff(0.01)))

    manager = StaticManagerBuilder(options).add(A, loader).build()

    assert loader.calls == ["load", "load"]
    assert manager.close(PATIENCE_SECONDS) == ()


def test_close_unloads_everything(manager: StaticManager, events: list[ServableEvent]) -> None:
    """What is held is named, and goes when it is released."""
    handle = manager.handle("a", 22)
    kept = weakref.ref(handle.servable)

    assert A in manager.close(0.0)  # perhaps the other one as well, if its unload takes a moment
    handle.release()
    assert manager.close(PATIENCE_SECONDS) == ()

    with pytest.raises(errors.ServableNotFound):
        manager.handle("a")
    assert [event.state for event in events if event.id == A] == [
        S.START,
        S.LOADING,
        S.AVAILABLE,
        S.UNLOADING,
        S.END,
    ]
    gc.collect()
    assert kept() is None


def test_what_does_not_fit_into_memory_is_told_and_nothing_stays(options: BasicManagerOptions) -> None:
    """As with any other load that fails."""
    tracker = ResourceTracker({HOST: 10}.get)
    surroundings = Surroundings(resources=tracker)
    fitting = (
        StaticManagerBuilder(options, surroundings).add(A, SizedLoader(4)).add(B, SizedLoader(6)).build()
    )
    assert tracker.used() == host(10)
    assert fitting.close(PATIENCE_SECONDS) == ()

    with pytest.raises(
        errors.LoadFailed, match="1 of 2 versions could not be loaded: there is no room for a/2"
    ):
        StaticManagerBuilder(options, surroundings).add(A, SizedLoader(6)).add(B, SizedLoader(6)).build()

    assert tracker.used() == NOTHING
