"""How loads and unloads are carried out: isolation from each other, time, cancellation."""

import sys
from collections.abc import Iterator

import pytest

from lifecycle import errors
from lifecycle.backoff import Backoff
from lifecycle.basic_manager import BasicManager
from lifecycle.execution import BasicManagerOptions, Surroundings
from lifecycle.loader_harness import HarnessState, LoadOptions
from lifecycle.servable_id import ServableId
from lifecycle.servable_state import ServableState
from tests.fakes.clock import FakeClock
from tests.fakes.servables import (
    Driver,
    FailingLoader,
    FakeLoader,
    ManualExecutor,
    StalledLoader,
)
from tests.kit.waiting import PATIENCE_SECONDS

S = ServableState
A, B, C = ServableId("a", 1), ServableId("b", 1), ServableId("c", 1)


class Stage:
    """A manager with one load and one unload thread, or with executors that the test runs; and a clock."""

    def __init__(self, load: LoadOptions, *, manual: bool) -> None:
        self.clock = FakeClock()
        self.loads, self.unloads = ManualExecutor(), ManualExecutor()
        executors = (self.loads, self.unloads) if manual else (None, None)
        self.manager = BasicManager(
            BasicManagerOptions(1, 1, load),
            Surroundings(clock=self.clock, load_executor=executors[0], unload_executor=executors[1]),
        )
        self.driver = Driver(self.manager)

    def begin(self, servable_id: ServableId, loader: FakeLoader) -> None:
        """Manage and load."""
        self.manager.manage(servable_id, loader)
        self.manager.load(servable_id)


@pytest.fixture
def manual() -> Stage:
    """Jobs run when the test says so; two tries, ten seconds apart, a minute each."""
    return Stage(LoadOptions(1, Backoff(10.0), 60.0), manual=True)


@pytest.fixture
def pooled() -> Iterator[Stage]:
    """One thread for loads and one for unloads."""
    stage = Stage(LoadOptions(1, Backoff(10.0), 60.0), manual=False)
    yield stage
    stage.manager.close(PATIENCE_SECONDS)


def test_pinned_version_holds_up_no_other_unload(pooled: Stage) -> None:
    """With one unload thread, a version under a long request keeps no other from unloading or loading."""
    for each in (A, B):
        pooled.begin(each, FakeLoader())
        pooled.driver.until_state(each, S.AVAILABLE)
    pin = pooled.manager.handle("a")
    pooled.manager.unload(A)

    pooled.manager.unload(B)
    pooled.driver.until_state(B, S.END)
    pooled.begin(C, FakeLoader())
    pooled.driver.until_state(C, S.AVAILABLE)

    assert pooled.driver.states(A)[-1] is S.UNLOADING
    pin.release()
    pooled.driver.until_state(A, S.END)


class InterruptedLoader(FakeLoader):
    """Is cut off in its first load, as by Ctrl-C."""

    def load(self) -> None:
        """Be interrupted."""
        self._called("load")
        raise KeyboardInterrupt


def test_interrupted_load_has_ended() -> None:
    """Who loads in a thread of its own may be interrupted: the version has failed then, and the manager goes on."""
    manager = BasicManager(BasicManagerOptions(load=LoadOptions(retries=3)))
    driver = Driver(manager)
    manager.manage(A, InterruptedLoader())
    with pytest.raises(KeyboardInterrupt):
        manager.load(A)

    assert driver.states(A) == [S.START, S.LOADING, S.END]
    assert isinstance(driver.events[-1].error, errors.LoadCancelled)
    assert "a/1 failed (try 1 of 4): it was interrupted" in str(driver.events[-1].error)
    manager.stop_managing(A)
    manager.manage(A, FakeLoader())
    manager.load(A)
    driver.until_state(A, S.AVAILABLE)
    assert manager.close(PATIENCE_SECONDS) == ()


class ExitingLoader(FakeLoader):
    """Ends its thread, in a load or an unload."""

    def __init__(self, at: str) -> None:
        super().__init__()
        self._at = at

    def load(self) -> None:
        """Load, or leave."""
        super().load()
        if self._at == "load":
            sys.exit("this is for the whole process")

    def unload(self) -> None:
        """Leave."""
        sys.exit("this is for the whole process")


def test_loader_that_exits_fails_alone_and_takes_no_thread(pooled: Stage) -> None:
    """The one thread for loads and the one for unloads are there for what comes after it."""
    pooled.begin(A, ExitingLoader("load"))
    pooled.driver.until(lambda: pooled.manager.status(A).error is not None)
    pooled.clock.advance(10.0)
    pooled.begin(B, ExitingLoader("unload"))
    for each in (B, C):
        if each is C:
            pooled.begin(C, FakeLoader())
        pooled.driver.until_state(each, S.AVAILABLE)
        pooled.manager.unload(each)
        pooled.driver.until_state(each, S.END)

    for each, words in ((A, "loading a/1 failed (try 2 of 2)"), (B, "unloading b/1 failed")):
        assert f"{words}: SystemExit: this is for the whole process; " in str(
            pooled.manager.status(each).error
        )
    assert pooled.manager.status(C).error is None


def test_interrupted_load_past_its_limit_ends_once() -> None:
    """The time limit has told its end already."""
    clock = FakeClock()
    manager = BasicManager(
        BasicManagerOptions(load=LoadOptions(retries=0, timeout_seconds=60.0)), Surroundings(clock=clock)
    )
    driver = Driver(manager)

    class Late(InterruptedLoader):
        def load(self) -> None:
            clock.advance(61.0)
            manager.step()
            super().load()

    manager.manage(A, Late())
    with pytest.raises(KeyboardInterrupt):
        manager.load(A)

    assert driver.states(A) == [S.START, S.LOADING, S.END]
    assert isinstance(driver.events[-1].error, errors.LoadTimedOut)
    assert manager.close(PATIENCE_SECONDS) == ()


def test_retry_wait_holds_no_thread(pooled: Stage) -> None:
    """With one load thread, a version between two tries does not keep others from loading."""
    pooled.begin(A, loader := FailingLoader(OSError("not yet")))
    pooled.driver.until(lambda: loader.calls == ["load"] and pooled.manager.status(A).error is not None)

    pooled.begin(B, FakeLoader())
    pooled.driver.until_state(B, S.AVAILABLE)
    assert pooled.driver.states(A)[-1] is S.LOADING

    pooled.clock.advance(10.0)
    pooled.driver.until_state(A, S.AVAILABLE)


def test_hanging_load_is_reported_and_held_apart(pooled: Stage) -> None:
    """A load past its limit has failed; others go on loading; what it loads at last is unloaded."""
    pooled.begin(A, hanging := StalledLoader())
    assert hanging.loading.wait(PATIENCE_SECONDS)
    pooled.begin(B, FakeLoader())
    pooled.clock.advance(61.0)

    pooled.driver.until_state(A, S.END)
    pooled.driver.until_state(B, S.AVAILABLE)

    status = pooled.manager.status(A)
    assert isinstance(status.error, errors.LoadTimedOut)
    assert status.running
    hanging.go_on.set()
    assert hanging.unloaded.wait(PATIENCE_SECONDS)
    assert pooled.driver.states(A) == [S.START, S.LOADING, S.END]


def test_hanging_load_that_fails_late_is_not_unloaded(pooled: Stage) -> None:
    """A load that fails after its time-out leaves the reported reason as it is."""
    pooled.begin(A, hanging := StalledLoader(failure=OSError("late")))
    assert hanging.loading.wait(PATIENCE_SECONDS)
    pooled.clock.advance(61.0)
    pooled.driver.until_state(A, S.END)

    hanging.go_on.set()
    pooled.driver.until(lambda: not pooled.manager.status(A).running)

    assert isinstance(pooled.manager.status(A).error, errors.LoadTimedOut)
    assert hanging.calls == ["load"]


def test_slow_inline_load_is_past_its_limit_too() -> None:
    """A load that ends past its limit has failed, though without threads nobody could look meanwhile."""
    stage = Stage(LoadOptions(0, Backoff(0.0), 60.0), manual=True)

    class SlowLoader(FakeLoader):
        """Takes a minute and a second."""

        def load(self) -> None:
            """Load slowly."""
            super().load()
            stage.clock.advance(61.0)

    stage.begin(A, loader := SlowLoader())
    stage.loads.run()

    assert loader.calls == ["load", "unload"]
    assert stage.driver.states(A) == [S.START, S.LOADING, S.END]
    assert isinstance(stage.manager.status(A).error, errors.LoadTimedOut)


def test_threads_are_lent_for_hanging_loads_only_as_long_as_they_hang(pooled: Stage) -> None:
    """Each load that hangs is made up for by one thread, until it ends."""
    stalled = [StalledLoader() for _ in range(3)]
    for version, loader in enumerate(stalled):
        pooled.begin(ServableId("s", version), loader)
        assert loader.loading.wait(PATIENCE_SECONDS)
        pooled.clock.advance(61.0)
        pooled.driver.until_state(ServableId("s", version), S.END)

    for loader in stalled:
        loader.go_on.set()
        assert loader.unloaded.wait(PATIENCE_SECONDS)
    pooled.begin(B, FakeLoader())
    pooled.driver.until_state(B, S.AVAILABLE)


def test_cancel_ends_a_wait_at_once(manual: Stage) -> None:
    """A load that waits between tries ends with its own error at the moment when it is cancelled."""
    manual.begin(A, loader := FailingLoader(OSError("own error"), OSError("second")))
    manual.loads.run()
    assert manual.driver.states(A) == [S.START, S.LOADING]

    manual.manager.cancel_load(A)

    assert manual.driver.states(A) == [S.START, S.LOADING, S.END]
    assert "own error" in str(manual.driver.events[-1].error)
    manual.clock.advance(100.0)
    manual.manager.step()
    assert (manual.loads.jobs, loader.calls) == ([], ["load"])


def test_cancel_before_a_thread_is_free_ends_the_load(manual: Stage) -> None:
    """A load that nobody has begun is ended without its loader being called."""
    manual.begin(A, loader := FakeLoader())

    manual.manager.cancel_load(A)
    manual.loads.run()

    assert (manual.driver.states(A), loader.calls) == ([S.START, S.END], [])
    assert isinstance(manual.driver.events[-1].error, errors.LoadCancelled)


def test_cancelled_load_that_fails_keeps_its_own_error(pooled: Stage) -> None:
    """A running try is not interrupted; when it fails, it is the last, and its error is told."""
    pooled.begin(A, loader := StalledLoader(failure=OSError("own error")))
    assert loader.loading.wait(PATIENCE_SECONDS)

    pooled.manager.cancel_load(A)
    loader.go_on.set()
    pooled.driver.until_state(A, S.END)

    assert "own error" in str(pooled.driver.events[-1].error)
    assert loader.calls == ["load"]


def test_cancelled_load_that_succeeds_is_never_available(pooled: Stage) -> None:
    """A load that succeeds after the cancel is unloaded, and ends as cancelled."""
    pooled.begin(A, loader := StalledLoader())
    assert loader.loading.wait(PATIENCE_SECONDS)

    pooled.manager.cancel_load(A)
    loader.go_on.set()
    pooled.driver.until_state(A, S.END)

    assert pooled.driver.states(A) == [S.START, S.LOADING, S.END]
    assert isinstance(pooled.driver.events[-1].error, errors.LoadCancelled)
    assert loader.calls == ["load", "unload"]
    assert pooled.manager.status(A).harness_state is HarnessState.DISABLED


def test_load_after_a_cancelled_load_is_refused(manual: Stage) -> None:
    """A life that was cancelled is over; the version needs a new loader."""
    manual.begin(A, FailingLoader(OSError()))
    manual.loads.run()
    manual.manager.cancel_load(A)

    with pytest.raises(errors.IllegalTransition):
        manual.manager.load(A)


def test_release_only_schedules_the_unload(manual: Stage) -> None:
    """The thread that releases the last handle hands the unload over, and unloads nothing itself."""
    manual.begin(A, loader := FakeLoader())
    manual.loads.run()
    handle = manual.manager.handle("a")
    manual.manager.unload(A)
    assert manual.unloads.jobs == []

    handle.release()
    assert (len(manual.unloads.jobs), loader.calls) == (1, ["load"])
    manual.unloads.run()

    assert loader.calls == ["load", "unload"]


def test_unload_waits_for_every_handle(manual: Stage) -> None:
    """With two handles out, one release is not enough; no new handle can be had meanwhile."""
    manual.begin(A, FakeLoader())
    manual.loads.run()
    first, second = manual.manager.handle("a"), manual.manager.handle("a")
    manual.manager.unload(A)
    with pytest.raises(errors.ServableNotFound):
        manual.manager.handle("a")

    first.release()
    assert manual.unloads.jobs == []
    third = second.another()
    second.release()
    assert manual.unloads.jobs == []
    assert third.servable.signatures
    third.release()

    assert len(manual.unloads.jobs) == 1


def test_loads_run_beside_each_other() -> None:
    """With two load threads, two loads are under way at the same time."""
    manager = BasicManager(BasicManagerOptions(load_threads=2))
    loaders = {A: StalledLoader(), B: StalledLoader()}
    for each, loader in loaders.items():
        manager.manage(each, loader)
        manager.load(each)

    assert all(loader.loading.wait(PATIENCE_SECONDS) for loader in loaders.values())

    for loader in loaders.values():
        loader.go_on.set()
    assert manager.close(PATIENCE_SECONDS) == ()


def test_close_does_not_wait_for_a_hanging_load() -> None:
    """A loader that never returns is named when the time is over; what it loads at last is unloaded."""
    manager = BasicManager(BasicManagerOptions(load_threads=1))
    manager.manage(A, hanging := StalledLoader())
    manager.load(A)
    assert hanging.loading.wait(PATIENCE_SECONDS)

    assert manager.close(0.0) == (A,)

    hanging.go_on.set()
    assert hanging.unloaded.wait(PATIENCE_SECONDS)


def test_load_seconds_are_measured(manual: Stage) -> None:
    """The status says how long the load took, by the injected clock."""

    class SlowLoader(FakeLoader):
        """Takes a while."""

        def load(self) -> None:
            """Load slowly."""
            super().load()
            manual.clock.advance(2.5)

    manual.begin(A, SlowLoader())
    manual.loads.run()

    assert manual.manager.status(A).load_seconds == 2.5
