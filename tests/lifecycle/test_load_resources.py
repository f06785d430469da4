"""Loads under a limit of memory, with every combination of inline and pooled executors."""

from collections.abc import Iterator

import pytest

from lifecycle import errors
from lifecycle.backoff import Backoff
from lifecycle.basic_manager import BasicManager
from lifecycle.execution import BasicManagerOptions, Surroundings
from lifecycle.loader_harness import HarnessState, LoadOptions
from lifecycle.resource_tracker import ResourceTracker
from lifecycle.resources import HOST, NOTHING, host
from lifecycle.servable_id import ServableId
from lifecycle.servable_state import ServableState
from tests.fakes.clock import FakeClock
from tests.fakes.servables import (
    Driver,
    FakeLoader,
    ManualExecutor,
    SizedLoader,
    StalledSizedLoader,
)
from tests.kit.waiting import PATIENCE_SECONDS

S = ServableState
A, B, C = ServableId("a", 1), ServableId("b", 1), ServableId("c", 1)
LIMIT = 10


class Stage:
    """A manager that may set ten bytes aside, with two tries a load."""

    def __init__(self, threads: tuple[int, int], *, manual: bool = False) -> None:
        self.tracker = ResourceTracker({HOST: LIMIT}.get)
        self.clock = FakeClock()
        self.loads, self.unloads = ManualExecutor(), ManualExecutor()
        executors = (self.loads, self.unloads) if manual else (None, None)
        self.manager = BasicManager(
            BasicManagerOptions(*threads, LoadOptions(1, Backoff(10.0), 60.0)),
            Surroundings(
                clock=self.clock,
                load_executor=executors[0],
                unload_executor=executors[1],
                resources=self.tracker,
            ),
        )
        self.driver = Driver(self.manager)

    def begin(self, servable_id: ServableId, loader: FakeLoader) -> None:
        """Manage and load."""
        self.manager.manage(servable_id, loader)
        self.manager.load(servable_id)

    def load(self, servable_id: ServableId, loader: FakeLoader) -> None:
        """Load, and wait until it is available."""
        self.begin(servable_id, loader)
        self.driver.until_state(servable_id, S.AVAILABLE)

    def refused(self, servable_id: ServableId) -> str:
        """Why there was no room for it, once it has ended so."""
        self.driver.until_state(servable_id, S.END)
        error = self.manager.status(servable_id).error
        assert isinstance(error, errors.ResourceExhausted), error
        return str(error)


@pytest.fixture(params=[(0, 0), (2, 0), (0, 2), (2, 2)], ids=lambda each: f"load{each[0]}-unload{each[1]}")
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """With so many load and unload threads; 0 is inline."""
    made = Stage(request.param)
    yield made
    assert made.manager.close(PATIENCE_SECONDS) == ()
    assert made.tracker.used() == NOTHING


@pytest.fixture
def pooled() -> Iterator[Stage]:
    """Two threads for loads and one for unloads."""
    made = Stage((2, 1))
    yield made
    assert made.manager.close(PATIENCE_SECONDS) == ()
    assert made.tracker.used() == NOTHING


@pytest.fixture
def manual() -> Stage:
    """Jobs run when the test says so."""
    return Stage((1, 1), manual=True)


def test_what_a_load_needs_is_set_aside_until_it_is_unloaded(stage: Stage) -> None:
    """It is shown with the version, too."""
    stage.load(A, SizedLoader(7))
    assert (stage.tracker.used(), stage.manager.status(A).resources) == (host(7), host(7))

    stage.manager.unload(A)
    stage.driver.until_state(A, S.END)

    assert (stage.tracker.used(), stage.manager.status(A).resources) == (NOTHING, NOTHING)
    stage.load(B, SizedLoader(10))


def test_load_that_does_not_fit_fails_alone_and_stays_managed(stage: Stage) -> None:
    """It says what it needs and what there is; its loader was never asked to load, and others go on."""
    stage.load(A, SizedLoader(7))
    stage.begin(B, loader := SizedLoader(4))

    assert stage.refused(B).startswith(
        "there is no room for b/1: it needs 4 bytes of the host's memory; 3 bytes of 10"
    )
    assert stage.driver.states(B) == [S.START, S.END]
    assert stage.manager.status(B).harness_state is HarnessState.ERROR
    assert loader.calls == ["estimate"]
    stage.load(C, SizedLoader(3))
    assert stage.manager.available_ids() == (A, C)


def test_load_that_can_never_fit_waits_for_nobody(pooled: Stage) -> None:
    """More than the limit: it ends while another load is under way."""
    pooled.begin(A, loading := StalledSizedLoader(2))
    assert loading.loading.wait(PATIENCE_SECONDS)
    pooled.begin(B, SizedLoader(11))

    assert pooled.refused(B).startswith("b/1 is too big")
    loading.go_on.set()


def test_loader_that_says_nothing_needs_nothing(stage: Stage) -> None:
    """Those of others that know nothing of resources load as before."""
    stage.load(A, SizedLoader(10))

    stage.load(B, FakeLoader())

    assert stage.manager.status(B).resources == NOTHING


def test_loads_that_fit_together_run_together(pooled: Stage) -> None:
    """Both are under way at the same time."""
    loaders = {A: StalledSizedLoader(5), B: StalledSizedLoader(5)}
    for each, loader in loaders.items():
        pooled.begin(each, loader)

    assert all(loader.loading.wait(PATIENCE_SECONDS) for loader in loaders.values())
    assert pooled.tracker.used() == host(10)
    for loader in loaders.values():
        loader.go_on.set()


def test_two_loads_never_take_the_same_room(pooled: Stage) -> None:
    """The second waits for the end of the first without a thread, and has its turn or its reason then."""
    pooled.begin(A, first := StalledSizedLoader(6))
    assert first.loading.wait(PATIENCE_SECONDS)
    pooled.begin(B, second := SizedLoader(6))
    pooled.driver.until(lambda: second.calls == ["estimate"])
    pooled.load(C, SizedLoader(4))
    waits = pooled.manager.status(B)
    assert waits.state is S.START
    assert (waits.waiting or "").startswith(
        "it waits until something else has ended: there is no room for b/1: "
    )

    first.go_on.set()

    assert "a/1 6 bytes, c/1 4 bytes" in pooled.refused(B)


def test_room_is_free_again_when_a_load_fails(stage: Stage) -> None:
    """After its last try, not before."""
    failing = StalledSizedLoader(10, failure=errors.PermanentLoadFailure("corrupt"))
    failing.go_on.set()
    stage.begin(A, failing)
    stage.driver.until_state(A, S.END)
    assert stage.tracker.used() == NOTHING

    stage.load(B, SizedLoader(10))


def test_waiting_load_goes_on_when_another_fails(pooled: Stage) -> None:
    """Nobody has to ask again."""
    pooled.begin(A, failing := StalledSizedLoader(6, failure=errors.PermanentLoadFailure("corrupt")))
    assert failing.loading.wait(PATIENCE_SECONDS)
    pooled.begin(B, waiting := SizedLoader(6))
    pooled.driver.until(lambda: waiting.calls == ["estimate"])

    failing.go_on.set()

    pooled.driver.until_state(B, S.AVAILABLE)
    assert pooled.driver.states(A)[-1] is S.END


def test_room_stays_set_aside_between_two_tries(manual: Stage) -> None:
    """A load that will be tried again needs it again; a cancel frees it at once."""
    failing = StalledSizedLoader(6, failure=OSError("not yet"))
    failing.go_on.set()
    manual.begin(A, failing)
    manual.loads.run()
    manual.begin(B, SizedLoader(6))
    manual.loads.run()
    assert (manual.tracker.used(), manual.driver.states(B)) == (host(6), [S.START])

    manual.manager.cancel_load(A)

    assert manual.driver.states(A)[-1] is S.END
    manual.loads.run()
    assert manual.driver.states(B)[-1] is S.AVAILABLE


def test_estimate_may_become_less_once_it_is_loaded(stage: Stage) -> None:
    """What only loading took is free for others."""
    stage.load(A, SizedLoader(8, after=5))

    assert stage.manager.status(A).resources == host(5)
    stage.load(B, SizedLoader(5))


def test_estimate_never_becomes_more_once_it_is_loaded(stage: Stage) -> None:
    """Another load may have been promised the rest."""
    stage.load(A, SizedLoader(5, after=50))

    assert stage.tracker.used() == host(5)
    stage.load(B, SizedLoader(5))


def test_estimate_that_fails_after_the_load_keeps_what_was_said_before(stage: Stage) -> None:
    """The version is available: it can be loaded, whatever its estimate."""

    class Forgetful(SizedLoader):
        def load(self) -> None:
            super().load()
            self._failures.append(OSError("gone"))

    stage.load(A, Forgetful(5))

    assert stage.tracker.used() == host(5)


def test_first_load_is_refused_and_the_second_approved(stage: Stage) -> None:
    """Each is decided by itself, in its turn."""
    stage.load(C, SizedLoader(5))
    for each, size in ((A, 6), (B, 5)):
        stage.begin(each, SizedLoader(size))

    stage.driver.until_state(B, S.AVAILABLE)
    assert "c/1 5 bytes" in stage.refused(A)


def test_waiting_load_goes_on_once_the_last_handle_is_released(stage: Stage) -> None:
    """An unload that is decided is waited for, however long a handle keeps it; others are not held up."""
    stage.load(A, SizedLoader(8))
    handle = stage.manager.handle("a")
    stage.manager.unload(A)
    stage.begin(B, waiting := SizedLoader(8))
    stage.driver.until(lambda: waiting.calls == ["estimate"])
    stage.load(C, SizedLoader(2))
    assert stage.manager.status(B).state is S.START

    handle.release()

    stage.driver.until_state(B, S.AVAILABLE)
    assert stage.driver.states(A)[-1] is S.END


def test_cancelled_wait_for_room_ends_at_once(manual: Stage) -> None:
    """Its loader is not asked again, and it stands in nobody's way."""
    manual.begin(A, SizedLoader(8))
    manual.loads.run()
    handle = manual.manager.handle("a")
    manual.manager.unload(A)
    manual.begin(B, waiting := SizedLoader(8))
    manual.loads.run()

    manual.manager.cancel_load(B)
    assert (manual.driver.states(B), waiting.calls) == ([S.START, S.END], ["estimate"])
    assert isinstance(manual.manager.status(B).error, errors.LoadCancelled)

    handle.release()
    manual.unloads.run()
    assert (manual.loads.jobs, manual.tracker.used()) == ([], NOTHING)


def test_load_that_waits_for_room_has_no_time_limit_of_its_own(manual: Stage) -> None:
    """The limit is for tries."""
    manual.begin(A, SizedLoader(8))
    manual.loads.run()
    handle = manual.manager.handle("a")
    manual.manager.unload(A)
    manual.begin(B, SizedLoader(8))
    manual.loads.run()

    manual.clock.advance(1000.0)
    manual.manager.step()

    assert manual.driver.states(B) == [S.START]
    handle.release()
    manual.unloads.run()
    manual.loads.run()
    assert manual.driver.states(B)[-1] is S.AVAILABLE


def test_load_that_hangs_past_its_limit_keeps_its_room(pooled: Stage) -> None:
    """Its memory is taken for as long as it hangs; nobody waits for it, and what it loads at last is unloaded first."""
    pooled.begin(A, hanging := StalledSizedLoader(6))
    assert hanging.loading.wait(PATIENCE_SECONDS)
    pooled.clock.advance(61.0)
    pooled.driver.until_state(A, S.END)
    pooled.begin(B, SizedLoader(6))
    assert "a/1 6 bytes" in pooled.refused(B)

    hanging.go_on.set()

    pooled.driver.until(lambda: pooled.tracker.used() == NOTHING)
    assert hanging.calls == ["estimate", "load", "estimate", "unload"]


def test_late_load_frees_its_room_only_when_it_is_unloaded(manual: Stage) -> None:
    """One that was past its limit when it ended is still in memory then."""

    class Slow(SizedLoader):
        def load(self) -> None:
            super().load()
            manual.clock.advance(61.0)

        def unload(self) -> None:
            super().unload()
            seen.append(manual.tracker.used().of(HOST))

    seen: list[int] = []
    manual.begin(A, Slow(6))
    manual.loads.run()

    assert (seen, manual.tracker.used()) == ([6], NOTHING)
    assert isinstance(manual.manager.status(A).error, errors.LoadTimedOut)


def test_cancelled_load_frees_its_room_when_it_is_unloaded(pooled: Stage) -> None:
    """A load that succeeds after the cancel; whoever waited gets the room then."""
    pooled.begin(A, cancelled := StalledSizedLoader(6))
    assert cancelled.loading.wait(PATIENCE_SECONDS)
    pooled.manager.cancel_load(A)
    pooled.begin(B, waiting := SizedLoader(6))
    pooled.driver.until(lambda: waiting.calls == ["estimate"])

    cancelled.go_on.set()

    pooled.driver.until_state(B, S.AVAILABLE)
    assert cancelled.calls[-1] == "unload"


def test_interrupted_load_frees_its_room() -> None:
    """Ctrl-C in a thread that loads by itself."""

    class Interrupted(SizedLoader):
        def load(self) -> None:
            raise KeyboardInterrupt

    stage = Stage((0, 0))
    with pytest.raises(KeyboardInterrupt):
        stage.begin(A, Interrupted(6))

    assert (stage.tracker.used(), stage.driver.states(A)[-1]) == (NOTHING, S.END)


def test_interrupted_estimate_ends_the_load() -> None:
    """It would be under way for ever."""

    class Interrupted(SizedLoader):
        def estimate_resources(self) -> None:  # type: ignore[override]
            raise KeyboardInterrupt

    stage = Stage((0, 0))
    with pytest.raises(KeyboardInterrupt):
        stage.begin(A, Interrupted(6))

    assert stage.driver.states(A) == [S.START, S.END]
    assert stage.manager.close(PATIENCE_SECONDS) == ()


def test_estimate_is_tried_again_and_succeeds(stage: Stage) -> None:
    """As often as a load; these tries count for themselves."""
    stage.begin(A, loader := SizedLoader(6, None, OSError("not yet")))
    stage.driver.until(lambda: stage.manager.status(A).error is not None)
    assert stage.driver.states(A) == [S.START]
    assert "estimating what a/1 needs failed (try 1 of 2): OSError: not yet" in str(
        stage.manager.status(A).error
    )

    stage.clock.advance(10.0)

    stage.driver.until_state(A, S.AVAILABLE)
    assert loader.calls == ["estimate", "estimate", "load", "estimate"]
    assert (stage.manager.status(A).error, stage.manager.status(A).attempts) == (None, 1)


def test_estimate_that_goes_on_failing_ends_the_load(stage: Stage) -> None:
    """With its reason, published; nothing is set aside."""
    stage.begin(A, loader := SizedLoader(6, None, OSError("first"), OSError("second")))
    stage.driver.until(lambda: stage.manager.status(A).error is not None)
    stage.clock.advance(10.0)
    stage.driver.until_state(A, S.END)

    last = stage.driver.last(A)
    assert last is not None
    assert "estimating what a/1 needs failed (try 2 of 2): OSError: second" in str(last.error)
    assert (loader.calls, stage.driver.states(A)) == (["estimate", "estimate"], [S.START, S.END])


def test_estimate_that_fails_for_good_is_not_tried_again(stage: Stage) -> None:
    """Though tries are left."""
    stage.begin(A, loader := SizedLoader(6, None, errors.PermanentLoadFailure("corrupt")))
    stage.driver.until_state(A, S.END)

    assert loader.calls == ["estimate"]
    assert isinstance(stage.manager.status(A).error, errors.PermanentLoadFailure)


def test_hanging_estimate_is_past_its_limit_too(pooled: Stage) -> None:
    """A mount that hangs holds up nobody else for good."""

    class Hanging(StalledSizedLoader):
        def estimate_resources(self) -> None:  # type: ignore[override]
            self.loading.set()
            assert self.go_on.wait(PATIENCE_SECONDS)

    pooled.begin(A, hanging := Hanging(1))
    assert hanging.loading.wait(PATIENCE_SECONDS)
    pooled.clock.advance(61.0)

    pooled.driver.until_state(A, S.END)
    assert isinstance(pooled.manager.status(A).error, errors.LoadTimedOut)
    pooled.load(B, SizedLoader(10))
    hanging.go_on.set()
    pooled.driver.until(lambda: not pooled.manager.status(A).running)
    assert (hanging.calls, pooled.driver.states(A)) == ([], [S.START, S.END])


def test_cancel_while_it_is_estimated_ends_the_load(manual: Stage) -> None:
    """Its loader is never asked to load."""

    class Cancelling(SizedLoader):
        def estimate_resources(self) -> object:  # type: ignore[override]
            manual.manager.cancel_load(A)
            return super().estimate_resources()

    manual.begin(A, loader := Cancelling(6))
    manual.loads.run()

    assert (manual.driver.states(A), loader.calls) == ([S.START, S.END], ["estimate"])
    assert isinstance(manual.manager.status(A).error, errors.LoadCancelled)
    assert manual.tracker.used() == NOTHING


def test_managers_share_what_there_is() -> None:
    """Two managers with one tracker; a step of the second finds the room that the first one has left."""
    first = Stage((1, 1))
    shared = BasicManager(BasicManagerOptions(1, 1), Surroundings(resources=first.tracker, clock=first.clock))
    driver = Driver(shared)
    first.load(A, SizedLoader(8))
    handle = first.manager.handle("a")
    first.manager.unload(A)
    shared.manage(B, waiting := SizedLoader(8))
    shared.load(B)
    driver.until(lambda: waiting.calls == ["estimate"])

    handle.release()

    driver.until_state(B, S.AVAILABLE)
    assert first.tracker.used() == host(8)
    for manager in (first.manager, shared):
        assert manager.close(PATIENCE_SECONDS) == ()
