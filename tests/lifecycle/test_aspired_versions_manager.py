"""Making the aspired true, with every combination of inline and pooled executors."""

import functools
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from lifecycle import errors
from lifecycle.aspired_version_policy import (
    Action,
    ActionKind,
    AvailabilityPreservingPolicy,
    VersionSnapshot,
)
from lifecycle.aspired_versions_manager import AspiredVersionsManager, AspiredVersionsManagerOptions
from lifecycle.backoff import Backoff
from lifecycle.execution import BasicManagerOptions, Surroundings
from lifecycle.loader_harness import HarnessState, LoadOptions
from lifecycle.servable_id import ServableId, ServableRequest
from lifecycle.servable_state import ServableState
from lifecycle.source import AspiredVersion
from tests.fakes.clock import FakeClock
from tests.fakes.servables import (
    BrokenLoader,
    Driver,
    FailingLoader,
    FakeLoader,
    ManualExecutor,
    StalledLoader,
)
from tests.kit.waiting import PATIENCE_SECONDS

S = ServableState
ONE_TRY = LoadOptions(retries=0, retry_wait=Backoff(0.0))


def m(version: int) -> ServableId:
    """A version of m."""
    return ServableId("m", version)


def aspire(*loaders: tuple[ServableId, FakeLoader]) -> list[AspiredVersion]:
    """Aspired versions with these loaders."""
    return [AspiredVersion(each, functools.partial(itself, loader)) for each, loader in loaders]


def itself(loader: FakeLoader) -> FakeLoader:
    """The loader: makes a factory of it."""
    return loader


def fresh(*versions: int) -> list[AspiredVersion]:
    """Aspired versions of m, each with a new loader."""
    return aspire(*((m(version), FakeLoader(version)) for version in versions))


class Stage:
    """A manager, its clock and its driver."""

    def __init__(
        self, options: AspiredVersionsManagerOptions, surroundings: Surroundings | None = None
    ) -> None:
        self.clock = FakeClock()
        self.manager = AspiredVersionsManager(options, surroundings or Surroundings(clock=self.clock))
        self.driver = Driver(self.manager)

    def aspire(self, *versions: int) -> None:
        """Aspire these versions of m, with new loaders."""
        self.manager.set_aspired_versions("m", fresh(*versions))

    def until_available(self, *versions: int) -> None:
        """Step until exactly these versions of m are available and nothing of m is on its way."""
        wanted = tuple(m(version) for version in versions)

        def holds() -> bool:
            settled = all(each.state in {S.AVAILABLE, S.END} for each in self.manager.states())
            return settled and self.manager.available_ids() == wanted and not self.manager.pending_names()

        self.driver.until(holds)

    def shown(self) -> list[tuple[str, ServableState, bool]]:
        """The managed versions with their states and whether they are aspired."""
        return [(str(each.id), each.state, each.aspired) for each in self.manager.states()]


def options(threads: tuple[int, int], **changes: object) -> AspiredVersionsManagerOptions:
    """Options with these threads and one try a load."""
    basic = BasicManagerOptions(threads[0], threads[1], ONE_TRY)
    return AspiredVersionsManagerOptions(basic=basic, **changes)  # type: ignore[arg-type]


@pytest.fixture(params=[(0, 0), (2, 0), (0, 2), (2, 2)], ids=lambda each: f"load{each[0]}-unload{each[1]}")
def threads(request: pytest.FixtureRequest) -> tuple[int, int]:
    """How many load and unload threads; 0 is inline."""
    load, unload = request.param
    return load, unload


@pytest.fixture
def stage(threads: tuple[int, int]) -> Iterator[Stage]:
    """Nothing aspired yet; one try a load; failed versions stay failed."""
    made = Stage(options(threads))
    yield made
    assert made.manager.close(PATIENCE_SECONDS) == ()


class ManualStage(Stage):
    """Loads and unloads happen when the test runs them."""

    def __init__(self, **changes: object) -> None:
        self.loads, self.unloads = ManualExecutor(), ManualExecutor()
        clock = FakeClock()
        surroundings = Surroundings(clock=clock, load_executor=self.loads, unload_executor=self.unloads)
        super().__init__(options((1, 1), **changes), surroundings)
        self.clock = clock


@pytest.fixture
def manual() -> ManualStage:
    """Nothing aspired yet."""
    return ManualStage()


# Handles


def test_handles_by_version_earliest_and_latest(stage: Stage) -> None:
    """A handle leads to what was asked for; 0 is a version."""
    stage.aspire(0, 1, 2)
    stage.until_available(0, 1, 2)

    with stage.manager.handle("m") as latest, stage.manager.handle("m", 0) as zero:
        assert (latest.id, zero.id) == (m(2), m(0))
    with stage.manager.handle_for(ServableRequest.earliest("m")) as earliest:
        assert earliest.id == m(0)
    handles = stage.manager.available_handles()
    assert tuple(sorted(handles)) == stage.manager.available_ids() == (m(0), m(1), m(2))
    for handle in handles.values():
        handle.release()


def test_version_zero_can_be_the_latest(stage: Stage) -> None:
    """Version 0 alone is served as the latest."""
    stage.aspire(0)
    stage.until_available(0)

    with stage.manager.handle("m") as handle:
        assert handle.id == m(0)


@pytest.mark.parametrize(("name", "version"), [("n", None), ("m", 9)], ids=["name", "version"])
def test_unknown_name_and_version_are_not_found(stage: Stage, name: str, version: int | None) -> None:
    """A handle can be had only of what is available."""
    stage.aspire(1)
    stage.until_available(1)

    with pytest.raises(errors.ServableNotFound, match=repr(name)):
        stage.manager.handle(name, version)


# Aspirations


def test_empty_list_unloads_all(stage: Stage) -> None:
    """Who aspires nothing gets everything of that name unloaded, and nothing of another."""
    stage.aspire(1, 2)
    stage.manager.set_aspired_versions("n", aspire((ServableId("n", 1), FakeLoader())))
    stage.driver.until(lambda: len(stage.manager.available_ids()) == 3)

    stage.aspire()

    stage.driver.until(lambda: stage.shown() == [("n/1", S.AVAILABLE, True)])


def test_omitted_versions_are_unloaded(stage: Stage) -> None:
    """Only what the new list lacks goes."""
    stage.aspire(1, 2, 3)
    stage.until_available(1, 2, 3)

    stage.aspire(2)

    stage.driver.until(lambda: stage.shown() == [("m/2", S.AVAILABLE, True)])


def test_smaller_version_number_can_be_aspired(stage: Stage) -> None:
    """A rollback loads the lower version before it drops the higher."""
    stage.aspire(2)
    stage.until_available(2)

    stage.aspire(1)
    stage.until_available(1)

    order = [(str(event.id), event.state) for event in stage.driver.events]
    assert order.index(("m/1", S.AVAILABLE)) < order.index(("m/2", S.UNLOADING))


def test_aspired_version_keeps_its_first_loader(stage: Stage) -> None:
    """A list that names a version again does not load it again."""
    first, second = FakeLoader(), FakeLoader()
    stage.manager.set_aspired_versions("m", aspire((m(1), first)))
    stage.until_available(1)

    stage.manager.set_aspired_versions("m", aspire((m(1), second)))
    stage.until_available(1)

    assert (first.calls, second.calls) == (["load"], [])


def test_later_list_replaces_one_that_waits(stage: Stage) -> None:
    """Of two lists between two steps, the first is as if it had never been."""
    stage.aspire(1)
    stage.aspire(2)
    stage.until_available(2)

    assert stage.driver.states(m(1)) == []


def test_wrong_list_changes_nothing(stage: Stage) -> None:
    """A list with a foreign name or a version twice is refused as a whole."""
    stage.aspire(1)
    stage.until_available(1)

    with pytest.raises(errors.InvalidAspiration, match="n/1 is aspired under the name 'm'"):
        stage.manager.set_aspired_versions("m", [*fresh(2), *aspire((ServableId("n", 1), FakeLoader()))])
    with pytest.raises(errors.InvalidAspiration, match="m/2 is aspired twice"):
        stage.manager.set_aspired_versions("m", fresh(2, 2))

    stage.manager.step()
    assert stage.shown() == [("m/1", S.AVAILABLE, True)]


def test_version_with_an_error_is_not_served(stage: Stage) -> None:
    """What the source could not provide is shown with its reason, and others of its name are served."""
    error = errors.LoadFailed("no such path")
    stage.manager.set_aspired_versions("m", [*fresh(1), AspiredVersion(m(2), error=error)])
    stage.until_available(1)

    assert stage.shown() == [("m/1", S.AVAILABLE, True), ("m/2", S.END, True)]
    assert [(event.state, event.error) for event in stage.driver.events if event.id == m(2)] == [
        (S.END, error)
    ]


@pytest.mark.parametrize("failure", [OSError("no plug-in"), SystemExit("no plug-in")])
def test_factory_that_raises_fails_its_version_alone(stage: Stage, failure: BaseException) -> None:
    """A loader that cannot even be made is told like a load that failed."""

    def fail() -> FakeLoader:
        raise failure

    stage.manager.set_aspired_versions("m", [*fresh(1), AspiredVersion(m(2), fail)])
    stage.until_available(1)

    last = stage.driver.last(m(2))
    assert last is not None
    assert "no loader for m/2: no plug-in" in str(last.error)


# Steps


def test_one_action_a_name_and_step(manual: ManualStage) -> None:
    """A step begins one load for each name, the highest version first."""
    manual.aspire(1, 2)
    manual.manager.set_aspired_versions("n", aspire((ServableId("n", 1), FakeLoader())))

    manual.manager.step()
    assert [str(each) for each in in_state(manual, HarnessState.LOAD_APPROVED)] == ["m/2", "n/1"]
    manual.manager.step()

    assert len(manual.loads.jobs) == 3


def in_state(stage: Stage, state: HarnessState) -> list[ServableId]:
    """The versions in that state."""
    return [each.id for each in stage.manager.states() if each.harness_state is state]


def test_one_unload_a_name_and_step(manual: ManualStage) -> None:
    """A step begins one unload for each name, the lowest version first."""
    manual.aspire(1, 2)
    for _ in range(2):
        manual.manager.step()
        manual.loads.run()
    manual.aspire()

    manual.manager.step()
    assert in_state(manual, HarnessState.QUIESCED) == [m(1)]
    manual.manager.step()

    assert in_state(manual, HarnessState.QUIESCED) == [m(1), m(2)]


@pytest.mark.parametrize("reverse", [False, True], ids=["unloads first", "custom order"])
def test_unloads_go_before_loads(threads: tuple[int, int], *, reverse: bool) -> None:
    """In one step, unloads come before loads of other names, unless the order is given."""
    order: list[ActionKind] = []

    def note(actions: Sequence[Action]) -> Sequence[Action]:
        ordered = sorted(actions, key=lambda each: each.kind.value, reverse=not reverse)
        order.extend(each.kind for each in ordered)
        return ordered

    changes: dict[str, object] = {"order": note} if reverse else {}
    stage = Stage(options(threads, **changes))
    stage.manager.set_aspired_versions("z", aspire((ServableId("z", 1), FakeLoader())))
    stage.driver.until_state(ServableId("z", 1), S.AVAILABLE)
    order.clear()
    stage.manager.set_aspired_versions("z", [])
    stage.aspire(1)
    before = len(stage.driver.events)

    stage.driver.until(lambda: stage.shown() == [("m/1", S.AVAILABLE, True)])

    if reverse:
        assert order == [ActionKind.LOAD, ActionKind.UNLOAD]
    elif threads == (0, 0):
        acted = [str(event) for event in stage.driver.events[before:] if event.state is not S.START]
        assert acted == ["z/1 UNLOADING", "z/1 END", "m/1 LOADING", "m/1 AVAILABLE"]
    stage.manager.close(PATIENCE_SECONDS)


def test_policy_sees_every_version(manual: ManualStage) -> None:
    """The policy is shown all versions of a name, un-aspired, failed and loading ones too, ascending."""
    seen: list[list[VersionSnapshot]] = []

    class Watching(AvailabilityPreservingPolicy):
        """Notes what it is shown."""

        def next_action(self, versions: Sequence[VersionSnapshot]) -> Action | None:
            """Note, then decide."""
            seen.append([*versions])
            return super().next_action(versions)

    stage = ManualStage(policy=Watching())
    stage.manager.set_aspired_versions("m", aspire((m(3), BrokenLoader())))
    stage.manager.step()
    stage.loads.run()
    stage.aspire(1, 2, 3)
    stage.manager.step()
    stage.manager.step()

    assert [(each.id, each.state, each.aspired) for each in seen[-1]] == [
        (m(1), HarnessState.NEW, True),
        (m(2), HarnessState.LOAD_APPROVED, True),
        (m(3), HarnessState.ERROR, True),
    ]


def test_order_that_makes_up_an_action_harms_nobody(
    manual: ManualStage, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be done is logged, and the step goes on with the next."""

    def order(actions: Sequence[Action]) -> Sequence[Action]:
        return [Action(ActionKind.UNLOAD, m(1)), *actions]

    stage = ManualStage(order=order)
    stage.aspire(1)

    stage.manager.step()

    assert "cannot unload m/1" in caplog.text
    assert len(stage.loads.jobs) == 1


# Lives


def test_life_is_published_in_order(stage: Stage) -> None:
    """Start, loading, available, unloading, end: each once and without an error."""
    stage.aspire(1)
    stage.until_available(1)
    stage.aspire()
    stage.driver.until_state(m(1), S.END)

    assert stage.driver.states(m(1)) == [S.START, S.LOADING, S.AVAILABLE, S.UNLOADING, S.END]
    assert {event.error for event in stage.driver.events} == {None}


def test_failed_load_is_published_with_its_reason(stage: Stage) -> None:
    """Start, loading, end with the error; nothing is served."""
    stage.manager.set_aspired_versions("m", aspire((m(1), BrokenLoader())))
    stage.driver.until_state(m(1), S.END)

    assert stage.driver.states(m(1)) == [S.START, S.LOADING, S.END]
    assert "no such model" in str(stage.driver.events[-1].error)


def test_load_succeeds_after_retries(threads: tuple[int, int]) -> None:
    """Tries that fail are repeated after their wait, as often as allowed."""
    basic = BasicManagerOptions(*threads, load=LoadOptions(retries=2, retry_wait=Backoff(10.0)))
    stage = Stage(AspiredVersionsManagerOptions(basic=basic))
    loader = FailingLoader(OSError("1"), OSError("2"))
    stage.manager.set_aspired_versions("m", aspire((m(1), loader)))
    for tries in (1, 2):
        stage.driver.until(functools.partial(waits_after, stage, tries))
        stage.clock.advance(10.0)
    stage.until_available(1)

    assert stage.driver.states(m(1)) == [S.START, S.LOADING, S.AVAILABLE]
    stage.manager.close(PATIENCE_SECONDS)


def waits_after(stage: Stage, tries: int) -> bool:
    """Whether m/1 waits for its next try."""
    (status,) = stage.manager.states()
    return status.attempts == tries and not status.running


def has_ended(stage: Stage, lives: int) -> bool:
    """Whether m/1 has ended that often."""
    return stage.driver.states(m(1)).count(S.END) == lives


def test_load_fails_after_the_last_retry(threads: tuple[int, int]) -> None:
    """When every try has failed, the version is failed, and stays so."""
    basic = BasicManagerOptions(*threads, load=LoadOptions(retries=1, retry_wait=Backoff(0.0)))
    stage = Stage(AspiredVersionsManagerOptions(basic=basic))
    stage.manager.set_aspired_versions("m", aspire((m(1), loader := BrokenLoader())))
    stage.driver.until_state(m(1), S.END)
    stage.clock.advance(1e6)
    for _ in range(3):
        stage.manager.step()

    assert loader.calls == ["load", "load"]
    assert stage.shown() == [("m/1", S.END, True)]
    stage.manager.close(PATIENCE_SECONDS)


def test_failing_version_displaces_nothing(stage: Stage) -> None:
    """When a new version fails, old ones shrink to one, which stays until a later version is available."""
    stage.aspire(1, 2)
    stage.until_available(1, 2)
    stage.manager.set_aspired_versions("m", aspire((m(3), BrokenLoader())))

    stage.driver.until(lambda: stage.shown() == [("m/2", S.AVAILABLE, False), ("m/3", S.END, True)])
    for _ in range(3):
        stage.manager.step()
    assert stage.manager.available_ids() == (m(2),)

    stage.aspire(4)
    stage.driver.until(lambda: stage.shown() == [("m/4", S.AVAILABLE, True)])


def test_servable_is_unloaded_off_the_request_thread(stage: Stage) -> None:
    """A request that outlives the aspiration neither unloads nor frees the servable itself."""
    stage.manager.set_aspired_versions("m", aspire((m(1), loader := FakeLoader())))
    stage.until_available(1)
    handle = stage.manager.handle("m")
    stage.aspire()
    stage.driver.until_state(m(1), S.UNLOADING)
    assert loader.calls == ["load"]

    requester = threading.Thread(target=handle.release)
    requester.start()
    requester.join(PATIENCE_SECONDS)
    stage.driver.until_state(m(1), S.END)

    assert loader.calls == ["load", "unload"]
    assert loader.called_by[-1] != requester.ident


# Aspired again


def test_reaspired_while_pinned_waits_for_the_old_loader(stage: Stage) -> None:
    """A version that is aspired anew on its way out gets its new loader only when the old one is gone."""
    old, new = FakeLoader(), FakeLoader()
    stage.manager.set_aspired_versions("m", aspire((m(1), old)))
    stage.until_available(1)
    pin = stage.manager.handle("m")
    stage.aspire()
    stage.driver.until_state(m(1), S.UNLOADING)

    stage.manager.set_aspired_versions("m", aspire((m(1), new)))
    for _ in range(3):
        stage.manager.step()
    assert (new.calls, stage.manager.pending_names()) == ([], ("m",))
    assert stage.shown() == [("m/1", S.UNLOADING, False)]

    pin.release()
    stage.until_available(1)
    assert (old.calls, new.calls) == (["load", "unload"], ["load"])
    first, second = stage.driver.states(m(1))[:5], stage.driver.states(m(1))[5:]
    assert first == [S.START, S.LOADING, S.AVAILABLE, S.UNLOADING, S.END]
    assert second == [S.START, S.LOADING, S.AVAILABLE]


def test_postponed_list_waits_as_a_whole(stage: Stage) -> None:
    """While one of its versions is on its way out, no part of a list is taken up."""
    stage.aspire(1)
    stage.until_available(1)
    pin = stage.manager.handle("m")
    stage.aspire()
    stage.driver.until_state(m(1), S.UNLOADING)

    stage.aspire(1, 2)
    for _ in range(3):
        stage.manager.step()
    assert stage.driver.states(m(2)) == []

    pin.release()
    stage.until_available(1, 2)


def test_reaspired_failed_version_gets_a_new_loader(stage: Stage) -> None:
    """A failed version that is un-aspired and aspired anew is loaded with the new loader."""
    stage.manager.set_aspired_versions("m", aspire((m(1), BrokenLoader())))
    stage.driver.until_state(m(1), S.END)
    stage.aspire()
    stage.manager.step()

    stage.aspire(1)

    stage.until_available(1)


def test_reaspired_new_version_never_uses_its_old_loader(manual: ManualStage) -> None:
    """A version un-aspired before its load is never loaded; aspired anew, it uses the new loader."""
    old, other, new = FakeLoader(), FakeLoader(), FakeLoader()
    manual.manager.set_aspired_versions("m", aspire((m(1), old), (m(2), other)))
    manual.manager.step()
    assert in_state(manual, HarnessState.NEW) == [m(1)]

    manual.manager.set_aspired_versions("m", aspire((m(2), other)))
    manual.manager.step()
    manual.manager.set_aspired_versions("m", aspire((m(1), new), (m(2), other)))
    for _ in range(3):
        manual.manager.step()
    while manual.loads.jobs:
        manual.loads.run()

    assert (old.calls, new.calls) == ([], ["load"])
    assert manual.driver.states(m(1)) == [S.START, S.END, S.START, S.LOADING, S.AVAILABLE]


def test_version_that_is_kept_can_be_taken_back(stage: Stage) -> None:
    """A rollback to a version that still serves, since its successor failed, takes it back without a gap."""
    stage.manager.set_aspired_versions("m", aspire((m(1), old := FakeLoader())))
    stage.until_available(1)
    stage.manager.set_aspired_versions("m", aspire((m(2), BrokenLoader())))
    stage.driver.until_state(m(2), S.END)

    stage.aspire(1)

    stage.driver.until(lambda: stage.shown() == [("m/1", S.AVAILABLE, True)])
    assert (old.calls, stage.driver.states(m(1))) == (["load"], [S.START, S.LOADING, S.AVAILABLE])


def test_unaspired_load_is_cancelled(threads: tuple[int, int]) -> None:
    """A version un-aspired while it waits for a retry is dropped at once, not at the end of its wait."""
    basic = BasicManagerOptions(*threads, load=LoadOptions(retries=5, retry_wait=Backoff(60.0)))
    stage = Stage(AspiredVersionsManagerOptions(basic=basic))
    stage.manager.set_aspired_versions("m", aspire((m(1), BrokenLoader())))
    stage.driver.until(lambda: waits_after(stage, 1))

    stage.aspire()

    stage.driver.until(lambda: stage.manager.states() == ())
    assert stage.driver.states(m(1)) == [S.START, S.LOADING, S.END]
    stage.manager.close(PATIENCE_SECONDS)


# Failed versions


def test_failed_version_is_tried_again_in_time(threads: tuple[int, int]) -> None:
    """With the option set, a failed version gets a new loader after its time, until it heals."""
    stage = Stage(options(threads, retry_failed=Backoff(30.0)))
    loaders: list[FakeLoader] = [BrokenLoader(), BrokenLoader(), FakeLoader()]
    made: list[FakeLoader] = []

    def factory() -> FakeLoader:
        made.append(loaders[len(made)])
        return made[-1]

    stage.manager.set_aspired_versions("m", [AspiredVersion(m(1), factory)])
    for lives in (1, 2):
        stage.driver.until(functools.partial(has_ended, stage, lives))
        stage.manager.step()
        stage.clock.advance(29.0)
        stage.manager.step()
        assert len(made) == lives
        stage.clock.advance(1.0)
    stage.until_available(1)

    assert [len(each.calls) for each in made] == [1, 1, 1]
    (status,) = stage.manager.states()
    assert status.error is None
    stage.manager.close(PATIENCE_SECONDS)


def test_a_version_that_fails_again_and_again_is_tried_ever_more_rarely() -> None:
    """Once it has loaded, or somebody asks for it anew, it counts from the beginning."""
    stage = ManualStage(retry_failed=Backoff(10.0, 40.0), reload_failed_when_aspired_again=True)
    loaders: list[FakeLoader] = []

    def factory() -> FakeLoader:
        loaders.append(BrokenLoader())
        return loaders[-1]

    def fail() -> None:
        stage.manager.step()
        stage.loads.run()
        stage.manager.step()

    stage.manager.set_aspired_versions("m", [AspiredVersion(m(1), factory)])
    fail()
    for wait in (10.0, 20.0, 40.0, 40.0):
        stage.clock.advance(wait - 1.0)
        stage.manager.step()
        lives = len(loaders)
        stage.clock.advance(1.0)
        fail()
        assert len(loaders) == lives + 1, wait

    stage.manager.set_aspired_versions("m", [AspiredVersion(m(1), factory)])
    fail()
    lives = len(loaders)
    stage.clock.advance(10.0)
    fail()
    assert len(loaders) == lives + 1


def test_a_wait_between_tries_ends_when_the_version_is_aspired_once_more(threads: tuple[int, int]) -> None:
    """With the option set: whoever asks again has mended something. The loader stays."""
    basic = BasicManagerOptions(*threads, load=LoadOptions(retries=1, retry_wait=Backoff(3600.0)))
    stage = Stage(AspiredVersionsManagerOptions(basic=basic, reload_failed_when_aspired_again=True))
    loader = FailingLoader(OSError("away"))
    stage.manager.set_aspired_versions("m", aspire((m(1), loader)))
    stage.driver.until(lambda: loader.calls == ["load"] and not stage.manager.states()[0].running)
    stage.manager.step()
    assert loader.calls == ["load"]

    stage.aspire(1)
    stage.until_available(1)
    assert loader.calls == ["load", "load"]
    stage.manager.close(PATIENCE_SECONDS)


def test_reason_stays_while_a_failed_version_is_tried_again() -> None:
    """Between the new start and its end, the status still tells why the last life failed."""
    stage = ManualStage(retry_failed=Backoff(30.0))
    stage.manager.set_aspired_versions("m", [AspiredVersion(m(1), BrokenLoader)])
    stage.manager.step()
    stage.loads.run()
    stage.manager.step()
    stage.clock.advance(30.0)
    stage.manager.step()

    (status,) = stage.manager.states()
    assert status.state is S.START
    assert "no such model" in str(status.error)


def test_hanging_version_is_not_tried_beside_itself() -> None:
    """A version whose load hangs past its limit is tried again only once that load has ended."""
    basic = BasicManagerOptions(load_threads=1, load=LoadOptions(0, Backoff(0.0), timeout_seconds=60.0))
    stage = Stage(AspiredVersionsManagerOptions(basic=basic, retry_failed=Backoff(1.0)))
    hanging, healthy = StalledLoader(), FakeLoader()
    loaders: list[FakeLoader] = [hanging, healthy]
    stage.manager.set_aspired_versions("m", [AspiredVersion(m(1), lambda: loaders.pop(0))])
    stage.manager.step()
    assert hanging.loading.wait(PATIENCE_SECONDS)
    stage.clock.advance(61.0)
    stage.driver.until_state(m(1), S.END)
    for _ in range(3):
        stage.clock.advance(61.0)
        stage.manager.step()
    assert loaders == [healthy]

    hanging.go_on.set()
    stage.until_available(1)
    stage.manager.close(PATIENCE_SECONDS)


@pytest.mark.parametrize("reload", [False, True], ids=["stays failed", "is loaded anew"])
def test_failed_version_that_is_aspired_once_more(threads: tuple[int, int], *, reload: bool) -> None:
    """With the option set, a failed version gets the new loader at once; without it, it stays failed."""
    stage = Stage(options(threads, reload_failed_when_aspired_again=reload))
    stage.manager.set_aspired_versions("m", aspire((m(1), FakeLoader()), (m(2), BrokenLoader())))
    stage.driver.until_state(m(2), S.END)
    stage.driver.until_state(m(1), S.AVAILABLE)

    stage.aspire(1, 2)
    for _ in range(3):
        stage.manager.step()

    if reload:
        stage.until_available(1, 2)
    assert stage.driver.states(m(1)) == [S.START, S.LOADING, S.AVAILABLE]
    assert ("m/2", S.AVAILABLE if reload else S.END, True) in stage.shown()
    stage.manager.close(PATIENCE_SECONDS)


# The whole


def test_periodic_thread_steps_by_itself(threads: tuple[int, int]) -> None:
    """With an interval, nobody has to step; a new list, and each change, is acted on at once."""
    stage = Stage(options(threads, step_interval_seconds=3600.0))
    heard = threading.Event()
    stage.manager.bus.subscribe(lambda event: heard.set() if event.id == m(1) and event.ended else None)
    stage.aspire(1)
    wait_for(lambda: m(1) in stage.manager.available_ids())

    stage.aspire(2)

    assert heard.wait(PATIENCE_SECONDS)
    assert stage.manager.available_ids() == (m(2),)
    assert stage.manager.close(PATIENCE_SECONDS) == ()


def wait_for(holds: Callable[[], bool]) -> None:
    """Wait, without stepping."""
    never = threading.Event()
    for _ in range(int(PATIENCE_SECONDS / 0.01)):
        if holds():
            return
        never.wait(0.01)
    raise AssertionError("it never held")


def test_many_names_converge_in_few_steps(stage: Stage) -> None:
    """Names do not wait for each other, nor for one that is broken."""
    ids = [ServableId(f"s{number:02}", 1) for number in range(50)]
    for number, each in enumerate(ids):
        loader = BrokenLoader() if number == 7 else FakeLoader()
        stage.manager.set_aspired_versions(each.name, aspire((each, loader)))

    stage.manager.step()
    stage.driver.until_state(ids[7], S.END)
    stage.driver.until(lambda: len(stage.manager.available_ids()) == 49)

    assert [each.id for each in stage.manager.states() if each.state is S.END] == [ids[7]]


def test_closed_manager_takes_nothing(threads: tuple[int, int]) -> None:
    """After the close, everything has been unloaded and a list is refused."""
    stage = Stage(options(threads))
    stage.aspire(1, 2)
    stage.until_available(1, 2)

    assert stage.manager.close(PATIENCE_SECONDS) == ()

    assert stage.driver.states(m(1))[-1] is S.END
    with pytest.raises(errors.ManagerClosed):
        stage.aspire(3)


def test_wrong_options_are_refused() -> None:
    """An option outside its range is named at construction."""
    with pytest.raises(ValueError, match="step_interval_seconds is -1"):
        AspiredVersionsManagerOptions(step_interval_seconds=-1.0)
