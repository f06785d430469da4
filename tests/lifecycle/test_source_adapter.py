"""From what a source knows to what a manager needs."""

from collections.abc import Iterator

import pytest

from lifecycle import errors
from lifecycle.aspired_versions_manager import AspiredVersionsManager, AspiredVersionsManagerOptions
from lifecycle.backoff import Backoff
from lifecycle.execution import BasicManagerOptions
from lifecycle.loader_harness import LoadOptions
from lifecycle.servable_id import ServableId
from lifecycle.servable_state import ServableState
from lifecycle.source import AspiredVersion, ServableData, connect
from lifecycle.source_adapter import LoaderFactory, SourceAdapter
from lifecycle.static_source import StaticSource
from tests.fakes.servables import Driver, FakeLoader
from tests.fakes.targets import RecordingTarget
from tests.kit.waiting import PATIENCE_SECONDS

S = ServableState
ONE_TRY = LoadOptions(retries=0, retry_wait=Backoff(0.0))


def m(version: int) -> ServableId:
    """A version of m."""
    return ServableId("m", version)


def convert(servable_id: ServableId, number: float) -> LoaderFactory:
    """A loader of a servable that tells its number; negative numbers have none."""
    if number < 0:
        raise ValueError(f"{number} is negative")
    return lambda: FakeLoader(number)


@pytest.fixture
def adapter() -> SourceAdapter[float]:
    """Converts numbers."""
    return SourceAdapter(convert)


@pytest.fixture
def target(adapter: SourceAdapter[float]) -> RecordingTarget[AspiredVersion]:
    """What the adapter speaks to."""
    made = RecordingTarget[AspiredVersion]()
    connect(adapter, made)
    return made


@pytest.fixture(params=[(0, 0), (2, 0), (0, 2), (2, 2)], ids=lambda each: f"load{each[0]}-unload{each[1]}")
def manager(request: pytest.FixtureRequest) -> Iterator[AspiredVersionsManager]:
    """A manager with every combination of inline and pooled loads and unloads."""
    load, unload = request.param
    options = AspiredVersionsManagerOptions(basic=BasicManagerOptions(load, unload, ONE_TRY))
    made = AspiredVersionsManager(options)
    yield made
    assert made.close(PATIENCE_SECONDS) == ()


def test_each_version_is_adapted_by_itself(
    adapter: SourceAdapter[float], target: RecordingTarget[AspiredVersion]
) -> None:
    """One that cannot be converted carries the reason, one that carries an error keeps it, the others have loaders."""
    missing = errors.LoadFailed("no such path")

    adapter.set_aspired_versions(
        "m", [ServableData(m(0), 7.0), ServableData(m(1), -1.0), ServableData(m(2), error=missing)]
    )

    ((name, (good, bad, passed)),) = target.told
    assert (name, good.id, bad.id, passed) == ("m", m(0), m(1), AspiredVersion(m(2), error=missing))
    assert good.loader_factory is not None
    loader = good.loader_factory()
    loader.load()
    assert isinstance(loader, FakeLoader)
    assert loader.servable.number == 7.0
    assert bad.loader_factory is None
    assert str(bad.error) == "no loader for m/1: ValueError: -1.0 is negative"


def test_each_life_gets_a_loader_of_its_own(
    adapter: SourceAdapter[float], target: RecordingTarget[AspiredVersion]
) -> None:
    """What is passed on makes loaders, and makes none before it is asked."""
    adapter.set_aspired_versions("m", [ServableData(m(1), 1.0)])

    factory = target.aspired["m"][0].loader_factory
    assert factory is not None
    assert factory() is not factory()


def test_reason_from_the_tree_is_told_as_it_is() -> None:
    """A conversion that says precisely what is wrong is not described in other words."""
    reason = errors.InvalidModel("model.json is empty")

    def refuse(servable_id: ServableId, data: str) -> LoaderFactory:
        raise reason

    adapter, target = SourceAdapter(refuse), RecordingTarget[AspiredVersion]()
    connect(adapter, target)
    adapter.set_aspired_versions("m", [ServableData(m(1), "somewhere")])

    assert target.aspired["m"][0].error is reason


def test_empty_list_is_passed_on(
    adapter: SourceAdapter[float], target: RecordingTarget[AspiredVersion]
) -> None:
    """Who aspires nothing more is heard."""
    adapter.set_aspired_versions("m", [])

    assert target.told == [("m", [])]


def test_list_waits_for_a_target(adapter: SourceAdapter[float]) -> None:
    """What is said before the target is connected reaches it, and the thread that says it goes on."""
    adapter.set_aspired_versions("m", [ServableData(m(1), 1.0)])
    target = RecordingTarget[AspiredVersion]()

    connect(adapter, target)

    assert [str(each.id) for each in target.aspired["m"]] == ["m/1"]


def test_adapted_versions_are_served(manager: AspiredVersionsManager) -> None:
    """Between a source of data and a manager: what can be converted is served, what cannot is shown with the reason."""
    adapter, driver = SourceAdapter(convert), Driver(manager)
    connect(adapter, manager)
    connect(StaticSource([ServableData(m(1), 1.0), ServableData(m(2), -2.0)]), adapter)

    driver.until_state(m(1), S.AVAILABLE)
    driver.until_state(m(2), S.END)

    assert manager.available_ids() == (m(1),)
    (broken,) = [each for each in manager.states() if each.id == m(2)]
    assert "-2.0 is negative" in str(broken.error)


def test_adapter_that_only_raises_tells_the_manager_why(manager: AspiredVersionsManager) -> None:
    """Each version is shown as failed with that reason, but for one that came with another."""
    unknown, original = errors.NoRoute("no target takes m"), errors.LoadFailed("no such path")

    def refuse(servable_id: ServableId, data: str) -> LoaderFactory:
        raise unknown

    adapter, driver = SourceAdapter(refuse), Driver(manager)
    connect(adapter, manager)
    adapter.set_aspired_versions("m", [ServableData(m(0), "x"), ServableData(m(1), error=original)])
    driver.until_state(m(0), S.END)
    driver.until_state(m(1), S.END)

    assert [(each.id, each.error) for each in manager.states()] == [(m(0), unknown), (m(1), original)]
