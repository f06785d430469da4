"""Loading and unloading single versions, with every combination of inline and pooled executors."""

import contextlib
import gc
import threading
import weakref
from collections.abc import Callable, Iterator

import pytest

from lifecycle import errors
from lifecycle.backoff import Backoff
from lifecycle.basic_manager import BasicManager
from lifecycle.execution import BasicManagerOptions
from lifecycle.loader_harness import HarnessState, LoadOptions
from lifecycle.servable_id import ServableId, ServableRequest
from lifecycle.servable_state import ServableEvent, ServableState
from tests.fakes.servables import (
    BrokenLoader,
    Driver,
    FailingLoader,
    FakeLoader,
    StalledLoader,
    UnloadFailingLoader,
)
from tests.kit.waiting import PATIENCE_SECONDS

S = ServableState
NO_WAIT = LoadOptions(retries=1, retry_wait=Backoff(0.0))


def m(version: int) -> ServableId:
    """A version of m."""
    return ServableId("m", version)


@pytest.fixture(params=[(0, 0), (2, 0), (0, 2), (2, 2)], ids=lambda each: f"load{each[0]}-unload{each[1]}")
def threads(request: pytest.FixtureRequest) -> tuple[int, int]:
    """How many load and unload threads; 0 is inline."""
    load, unload = request.param
    return load, unload


@pytest.fixture
def manager(threads: tuple[int, int]) -> Iterator[BasicManager]:
    """A manager that tries twice, without a wait."""
    made = BasicManager(BasicManagerOptions(threads[0], threads[1], NO_WAIT))
    yield made
    assert made.close(PATIENCE_SECONDS) == ()


@pytest.fixture
def driver(manager: BasicManager) -> Driver:
    """Hears the manager's events and steps it."""
    return Driver(manager)


@pytest.fixture
def load(manager: BasicManager, driver: Driver) -> Callable[[int], FakeLoader]:
    """Loads versions of m and waits until they are available."""

    def available(version: int) -> FakeLoader:
        loader = FakeLoader(version)
        manager.manage(m(version), loader)
        manager.load(m(version))
        driver.until_state(m(version), S.AVAILABLE)
        return loader

    return available


def test_unknown_name_and_version_are_not_found(
    manager: BasicManager, load: Callable[[int], FakeLoader]
) -> None:
    """A handle can be had only of what is available."""
    load(1)

    with pytest.raises(errors.ServableNotFound):
        manager.handle("n")
    with pytest.raises(errors.ServableNotFound):
        manager.handle("m", 2)


def test_handles_by_version_earliest_and_latest(
    manager: BasicManager, load: Callable[[int], FakeLoader]
) -> None:
    """A handle leads to the servable that was asked for; 0 is a version."""
    for version in (0, 2, 1):
        load(version)

    with manager.handle("m", 1) as one, manager.handle("m") as latest:
        assert one.servable.signatures
        assert (one.id, latest.id) == (m(1), m(2))
    with manager.handle_for(ServableRequest.earliest("m")) as earliest:
        assert earliest.id == m(0)


def test_version_zero_can_be_the_latest(manager: BasicManager, load: Callable[[int], FakeLoader]) -> None:
    """Version 0 alone is the latest."""
    load(0)

    with manager.handle("m") as handle:
        assert handle.id == m(0)


def test_latest_falls_back_when_the_newest_leaves(
    manager: BasicManager, driver: Driver, load: Callable[[int], FakeLoader]
) -> None:
    """After the unload of the newest version, the one before it is the latest."""
    load(1)
    load(2)

    manager.unload(m(2))
    driver.until_state(m(2), S.END)

    with manager.handle("m") as handle:
        assert handle.id == m(1)


def test_lists_show_what_is_available_and_managed(
    manager: BasicManager, load: Callable[[int], FakeLoader]
) -> None:
    """Ids and handles of what is available; names and states of all that is managed."""
    load(1)
    load(2)
    manager.manage(ServableId("n", 5), FakeLoader())

    handles = manager.available_handles()

    assert manager.available_ids() == (m(1), m(2))
    assert sorted(handles) == [m(1), m(2)]
    assert manager.managed_names() == ("m", "n")
    states = [(str(each.id), each.state, each.harness_state, each.handles) for each in manager.states()]
    assert states == [
        ("m/1", S.AVAILABLE, HarnessState.READY, 1),
        ("m/2", S.AVAILABLE, HarnessState.READY, 1),
        ("n/5", S.START, HarnessState.NEW, 0),
    ]
    for handle in handles.values():
        handle.release()


def test_managing_twice_is_refused_and_keeps_the_first(
    manager: BasicManager, driver: Driver, load: Callable[[int], FakeLoader]
) -> None:
    """A managed id is not given another loader."""
    first = load(1)
    second = FakeLoader(2)

    with pytest.raises(errors.AlreadyManaged, match="m/1"):
        manager.manage(m(1), second)
    manager.unload(m(1))
    driver.until_state(m(1), S.END)

    assert (first.calls, second.calls) == (["load", "unload"], [])


@pytest.mark.parametrize("call", ["load", "unload", "cancel_load", "stop_managing", "status"])
def test_unmanaged_id_is_an_error(manager: BasicManager, call: str) -> None:
    """What is done to an id that was never given is refused."""
    with pytest.raises(errors.NotManaged, match="m/9 is not being managed"):
        getattr(manager, call)(m(9))


def test_active_servable_cannot_be_forgotten(
    manager: BasicManager, load: Callable[[int], FakeLoader]
) -> None:
    """Only what is new or over can be forgotten."""
    load(1)

    with pytest.raises(errors.IllegalTransition, match="'ready'"):
        manager.stop_managing(m(1))


def test_ended_servable_can_be_forgotten(
    manager: BasicManager, driver: Driver, load: Callable[[int], FakeLoader]
) -> None:
    """After its end, a version is visible until it is forgotten."""
    load(1)
    manager.unload(m(1))
    driver.until_state(m(1), S.END)
    assert [each.state for each in manager.states()] == [S.END]

    manager.stop_managing(m(1))

    assert manager.states() == ()


def test_new_servable_that_is_forgotten_has_ended(manager: BasicManager, driver: Driver) -> None:
    """Whoever heard of its start hears that nothing will come of it."""
    manager.manage(m(1), FakeLoader())

    manager.stop_managing(m(1))

    assert driver.states(m(1)) == [S.START, S.END]


def test_failed_servable_stays_managed_and_is_never_served(manager: BasicManager, driver: Driver) -> None:
    """A version whose load fails can be seen with its reason, and not be had."""
    manager.manage(m(1), BrokenLoader())

    manager.load(m(1))
    driver.until_state(m(1), S.END)

    (status,) = manager.states()
    assert (status.state, status.harness_state, status.attempts) == (S.END, HarnessState.ERROR, 2)
    assert "OSError: no such model" in str(status.error)
    with pytest.raises(errors.ServableNotFound):
        manager.handle("m")
    manager.stop_managing(m(1))


def test_servable_without_loader_fails_at_once(manager: BasicManager, driver: Driver) -> None:
    """A version of which only a reason is known is published as ended with that reason, and nothing else."""
    error = errors.LoadFailed("cannot be found")

    manager.manage_failed(m(1), error)

    assert [(event.state, event.error) for event in driver.events] == [(S.END, error)]
    with pytest.raises(errors.IllegalTransition):
        manager.load(m(1))


def test_unload_of_what_is_not_loaded_is_refused(manager: BasicManager) -> None:
    """A new version cannot be unloaded."""
    manager.manage(m(1), FakeLoader())

    with pytest.raises(errors.IllegalTransition, match="m/1 is 'new'"):
        manager.unload(m(1))


def test_life_is_published_in_order(
    manager: BasicManager, driver: Driver, load: Callable[[int], FakeLoader]
) -> None:
    """Start, loading, available, unloading, end: each once and without an error."""
    load(1)
    manager.unload(m(1))
    driver.until_state(m(1), S.END)

    assert driver.states(m(1)) == [S.START, S.LOADING, S.AVAILABLE, S.UNLOADING, S.END]
    assert {event.error for event in driver.events} == {None}


def test_failed_load_is_published_with_its_reason(manager: BasicManager, driver: Driver) -> None:
    """Start, loading, end with the error."""
    manager.manage(m(1), BrokenLoader())

    manager.load(m(1))
    driver.until_state(m(1), S.END)

    assert driver.states(m(1)) == [S.START, S.LOADING, S.END]
    assert [str(event.error) for event in driver.events if event.error] == [
        "loading m/1 failed (try 2 of 2): OSError: no such model"
    ]


def test_available_is_published_when_a_handle_can_be_had(manager: BasicManager, driver: Driver) -> None:
    """A subscriber that hears AVAILABLE gets a handle; one that hears UNLOADING still does."""
    had: list[ServableState] = []

    def take(event: object) -> None:
        state = driver.events[-1].state
        if state in {S.AVAILABLE, S.UNLOADING}:
            manager.handle("m", 1).release()
            had.append(state)

    manager.bus.subscribe(take)
    manager.manage(m(1), FakeLoader())
    manager.load(m(1))
    driver.until_state(m(1), S.AVAILABLE)
    manager.unload(m(1))
    driver.until_state(m(1), S.END)

    assert had == [S.AVAILABLE, S.UNLOADING]


def test_nobody_has_to_listen(threads: tuple[int, int]) -> None:
    """A manager works without a subscriber."""
    manager = BasicManager(BasicManagerOptions(*threads))
    manager.manage(m(1), loader := FakeLoader())
    manager.load(m(1))
    while not manager.available_ids():
        manager.step()

    assert manager.close(PATIENCE_SECONDS) == ()
    assert loader.calls == ["load", "unload"]


def test_load_succeeds_after_a_retry(manager: BasicManager, driver: Driver) -> None:
    """A try that fails is repeated, and only the end of all tries is published."""
    manager.manage(m(1), FailingLoader(OSError("not yet")))

    manager.load(m(1))
    driver.until_state(m(1), S.AVAILABLE)

    assert driver.states(m(1)) == [S.START, S.LOADING, S.AVAILABLE]
    assert manager.status(m(1)).attempts == 2


def test_permanent_failure_is_not_retried(manager: BasicManager, driver: Driver) -> None:
    """A failure that no repetition heals is the last try."""
    manager.manage(m(1), loader := FailingLoader(errors.PermanentLoadFailure("corrupt")))

    manager.load(m(1))
    driver.until_state(m(1), S.END)

    assert loader.calls == ["load"]


def test_servable_is_freed_by_the_unload(
    manager: BasicManager, driver: Driver, threads: tuple[int, int]
) -> None:
    """The last release neither unloads nor frees: that happens on the unload's thread, after it."""
    loader = StalledLoader()
    loader.go_on.set()
    manager.manage(m(1), loader)
    manager.load(m(1))
    driver.until_state(m(1), S.AVAILABLE)
    handle = manager.handle("m")
    kept = weakref.ref(handle.servable)
    manager.unload(m(1))
    releaser = threading.Thread(target=handle.release)
    releaser.start()
    releaser.join(PATIENCE_SECONDS)
    driver.until_state(m(1), S.END)

    assert loader.called_by[1] != releaser.ident
    del loader
    gc.collect()
    assert kept() is None


def test_only_one_of_concurrent_loads_succeeds(manager: BasicManager, driver: Driver) -> None:
    """Of several requests to load a version, one is taken."""
    manager.manage(m(1), loader := FakeLoader())

    refused = concurrently(4, lambda: manager.load(m(1)))
    driver.until_state(m(1), S.AVAILABLE)

    assert (refused, loader.calls) == (3, ["load"])


def test_only_one_of_concurrent_unloads_succeeds(
    manager: BasicManager, driver: Driver, load: Callable[[int], FakeLoader]
) -> None:
    """Of several requests to unload a version, one is taken."""
    loader = load(1)

    refused = concurrently(4, lambda: manager.unload(m(1)))
    driver.until_state(m(1), S.END)

    assert (refused, loader.calls) == (3, ["load", "unload"])


def concurrently(times: int, call: Callable[[], None]) -> int:
    """Call from several threads at once; how many were refused."""
    refused: list[Exception] = []

    def attempt() -> None:
        try:
            call()
        except errors.IllegalTransition as error:
            refused.append(error)

    workers = [threading.Thread(target=attempt) for _ in range(times)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(PATIENCE_SECONDS)
    return len(refused)


def test_loads_and_unloads_of_many_interleave(manager: BasicManager, driver: Driver) -> None:
    """Versions loaded and unloaded from several threads at once all come to their end."""
    ids = [ServableId(f"s{number}", 1) for number in range(12)]
    loaders = {each: FakeLoader() for each in ids}

    def live(servable_id: ServableId) -> None:
        manager.manage(servable_id, loaders[servable_id])
        manager.load(servable_id)
        while servable_id not in manager.available_ids():
            pass
        manager.unload(servable_id)

    workers = [threading.Thread(target=live, args=(each,)) for each in ids]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(PATIENCE_SECONDS)
    driver.until(lambda: all(each.state is S.END for each in manager.states()))

    assert [loader.calls for loader in loaders.values()] == [["load", "unload"]] * 12
    for each in ids:
        assert driver.states(each) == [S.START, S.LOADING, S.AVAILABLE, S.UNLOADING, S.END]


def test_failed_unload_is_published(manager: BasicManager, driver: Driver) -> None:
    """A loader that cannot let go ends its life with the reason."""
    manager.manage(m(1), UnloadFailingLoader())
    manager.load(m(1))
    driver.until_state(m(1), S.AVAILABLE)

    manager.unload(m(1))
    driver.until_state(m(1), S.END)

    assert isinstance(driver.events[-1].error, errors.UnloadFailed)


def test_pre_load_hook_comes_before_the_load(threads: tuple[int, int]) -> None:
    """The hook is told the id before the loader is called, once for all tries."""
    hooked: list[tuple[ServableId, list[str]]] = []
    loader = FailingLoader(OSError())
    manager = BasicManager(
        BasicManagerOptions(
            *threads, NO_WAIT, pre_load_hook=lambda each: hooked.append((each, [*loader.calls]))
        )
    )
    driver = Driver(manager)
    manager.manage(m(1), loader)

    manager.load(m(1))
    driver.until_state(m(1), S.AVAILABLE)

    assert hooked == [(m(1), [])]
    manager.close(PATIENCE_SECONDS)


def test_close_unloads_everything(threads: tuple[int, int]) -> None:
    """After the close, every loader has unloaded, each end is published, and nothing more is taken."""
    manager = BasicManager(BasicManagerOptions(*threads))
    driver = Driver(manager)
    loaders = [FakeLoader() for _ in range(3)]
    for version, loader in enumerate(loaders):
        manager.manage(m(version), loader)
        manager.load(m(version))
    driver.until(lambda: len(manager.available_ids()) == 3)

    assert manager.close(PATIENCE_SECONDS) == ()

    assert [loader.calls for loader in loaders] == [["load", "unload"]] * 3
    assert [driver.states(m(version))[-1] for version in range(3)] == [S.END] * 3
    with pytest.raises(errors.ManagerClosed):
        manager.manage(m(9), FakeLoader())


def test_close_goes_on_when_versions_are_forgotten_meanwhile(manager: BasicManager, driver: Driver) -> None:
    """Somebody else may unload and forget a version while the others are being unloaded."""

    def forget(event: ServableEvent) -> None:
        if event.ended and event.id == m(1):
            with contextlib.suppress(errors.IllegalTransition):
                manager.unload(m(2))
        elif event.ended:
            manager.stop_managing(event.id)

    for version in (1, 2):
        manager.manage(m(version), FakeLoader())
        manager.load(m(version))
        driver.until_state(m(version), S.AVAILABLE)
    manager.bus.subscribe(forget)

    assert manager.close(PATIENCE_SECONDS) == ()
    assert manager.available_ids() == ()


def test_close_waits_for_handles_up_to_its_limit(threads: tuple[int, int]) -> None:
    """What is held is not unloaded: the close names it, and a late release is still heard."""
    manager = BasicManager(BasicManagerOptions(*threads))
    driver = Driver(manager)
    manager.manage(m(1), loader := FakeLoader())
    manager.load(m(1))
    driver.until_state(m(1), S.AVAILABLE)
    handle = manager.handle("m")

    assert manager.close(0.0) == (m(1),)
    assert loader.calls == ["load"]

    handle.release()
    driver.until_state(m(1), S.END)
    assert loader.calls == ["load", "unload"]
    assert manager.close(PATIENCE_SECONDS) == ()


def test_close_lets_a_release_come_in_time(threads: tuple[int, int]) -> None:
    """A handle that is released while the close waits is waited for."""
    manager = BasicManager(BasicManagerOptions(*threads))
    driver = Driver(manager)
    manager.manage(m(1), loader := FakeLoader())
    manager.load(m(1))
    driver.until_state(m(1), S.AVAILABLE)
    handle = manager.handle("m")

    def release(event: object) -> None:
        if driver.events[-1].state is S.UNLOADING:
            threading.Thread(target=handle.release).start()

    manager.bus.subscribe(release)

    assert manager.close(PATIENCE_SECONDS) == ()
    assert loader.calls == ["load", "unload"]


def test_wrong_options_are_refused() -> None:
    """A negative number of threads is named at construction."""
    with pytest.raises(ValueError, match="unload_threads is -1"):
        BasicManagerOptions(unload_threads=-1)


def test_a_new_servable_can_be_refused_and_no_other(manager: BasicManager, driver: Driver) -> None:
    """It has then ended, for the reason given; a loaded one stays as it is."""
    with pytest.raises(errors.NotManaged):
        manager.refuse(m(1), errors.PolicyFailed("no"))
    manager.manage(m(1), FakeLoader())
    manager.refuse(m(1), errors.PolicyFailed("no"))

    assert driver.states(m(1)) == [S.START, S.END]
    assert str(manager.status(m(1)).error) == "no"
    with pytest.raises(errors.IllegalTransition, match="cannot be refused any more"):
        manager.refuse(m(1), errors.PolicyFailed("again"))


def test_more_load_threads_load_more_at_a_time() -> None:
    """A manager may begin with one thread and get another."""
    manager = BasicManager(BasicManagerOptions(1, 1, NO_WAIT))
    loaders = [StalledLoader(), StalledLoader()]
    for number, loader in enumerate(loaders):
        manager.manage(m(number), loader)
        manager.load(m(number))
    assert loaders[0].loading.wait(PATIENCE_SECONDS)
    assert not loaders[1].loading.is_set()
    manager.set_load_threads(2)
    assert loaders[1].loading.wait(PATIENCE_SECONDS)
    for loader in loaders:
        loader.go_on.set()
    assert manager.close(PATIENCE_SECONDS) == ()
