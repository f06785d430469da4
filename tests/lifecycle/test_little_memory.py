"""Making the aspired true where not all fits into memory, with every combination of inline and pooled executors."""

import functools
from collections.abc import Callable, Iterator

import pytest

from lifecycle import errors
from lifecycle.aspired_version_policy import AvailabilityPreservingPolicy, ResourcePreservingPolicy
from lifecycle.aspired_versions_manager import AspiredVersionsManager, AspiredVersionsManagerOptions
from lifecycle.backoff import Backoff
from lifecycle.execution import BasicManagerOptions, Surroundings
from lifecycle.loader_harness import LoadOptions
from lifecycle.resource_tracker import ResourceTracker
from lifecycle.resources import HOST, NOTHING, ResourceAllocation, host
from lifecycle.servable_id import ServableId
from lifecycle.servable_state import ServableState
from lifecycle.source import AspiredVersion
from tests.fakes.clock import FakeClock
from tests.fakes.servables import Driver, SizedLoader
from tests.kit.waiting import PATIENCE_SECONDS

S = ServableState
A1, A2, B1 = ServableId("a", 1), ServableId("a", 2), ServableId("b", 1)
RENEW_SECONDS = 30.0


class Stage:
    """A manager with ten bytes of memory, which gives versions that failed another chance."""

    def __init__(self, threads: tuple[int, int], *, renews: bool = True, saves: bool = False) -> None:
        self.clock = FakeClock()
        self.tracker = ResourceTracker({HOST: 10}.get)
        self.manager = AspiredVersionsManager(
            AspiredVersionsManagerOptions(
                retry_failed=Backoff(RENEW_SECONDS) if renews else None,
                policy=ResourcePreservingPolicy() if saves else AvailabilityPreservingPolicy(),
                basic=BasicManagerOptions(*threads, LoadOptions(retries=0)),
            ),
            Surroundings(clock=self.clock, resources=self.tracker),
        )
        self.driver = Driver(self.manager)
        self.sizes = {A1: 6, A2: 6, B1: 6}

    def aspire(self, name: str, *versions: int) -> None:
        """These versions, each with a loader that needs what `sizes` says when it is made."""
        ids = [ServableId(name, version) for version in versions]
        self.manager.set_aspired_versions(
            name, [AspiredVersion(each, functools.partial(self._loader, each)) for each in ids]
        )

    def _loader(self, servable_id: ServableId) -> SizedLoader:
        return SizedLoader(self.sizes[servable_id])

    def until_refused(self, servable_id: ServableId) -> None:
        """Until it has ended for want of room."""

        def refused() -> bool:
            last = self.driver.last(servable_id)
            return last is not None and isinstance(last.error, errors.ResourceExhausted)

        self.driver.until(refused)


Make = Callable[..., Stage]


@pytest.fixture(params=[(0, 0), (2, 0), (0, 2), (2, 2)], ids=lambda each: f"load{each[0]}-unload{each[1]}")
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes stages with so many load and unload threads; 0 is inline."""
    made: list[Stage] = []

    def new(**how: bool) -> Stage:
        made.append(Stage(request.param, **how))
        return made[-1]

    yield new
    for stage in made:
        assert stage.manager.close(PATIENCE_SECONDS) == ()
        assert stage.tracker.used() == NOTHING


def test_version_that_had_no_room_comes_when_there_is(make: Make) -> None:
    """As soon as the other one has gone: the clock stands still all the while."""
    stage = make()
    stage.aspire("a", 1)
    stage.driver.until_state(A1, S.AVAILABLE)
    stage.aspire("b", 1)
    stage.until_refused(B1)

    stage.aspire("a")

    stage.driver.until_state(B1, S.AVAILABLE)
    assert stage.tracker.used() == stage.manager.resources_of(B1) == host(6)
    assert stage.manager.resources_of(ServableId("unknown", 1)) == NOTHING


def test_version_that_had_no_room_is_given_another_chance_after_a_while(make: Make) -> None:
    """As any that failed; its files may need less by then."""
    stage = make()
    stage.sizes[B1] = 11
    stage.aspire("b", 1)
    stage.until_refused(B1)
    stage.sizes[B1] = 6
    for _ in range(5):
        stage.manager.step()
    assert stage.driver.states(B1) == [S.START, S.END]

    stage.clock.advance(RENEW_SECONDS)

    stage.driver.until_state(B1, S.AVAILABLE)


def test_without_another_chance_it_stays_refused(make: Make) -> None:
    """As in TensorFlow Serving, until it is aspired anew."""
    stage = make(renews=False)
    stage.aspire("a", 1)
    stage.driver.until_state(A1, S.AVAILABLE)
    stage.aspire("b", 1)
    stage.until_refused(B1)
    stage.aspire("a")
    stage.driver.until(lambda: stage.tracker.used() == NOTHING)
    for _ in range(5):
        stage.manager.step()

    assert stage.driver.states(B1) == [S.START, S.END]


def test_new_version_without_room_displaces_nothing(make: Make) -> None:
    """The old one serves on; when the new one needs less, it takes over."""
    stage = make()
    stage.aspire("a", 1)
    stage.driver.until_state(A1, S.AVAILABLE)
    stage.aspire("a", 2)
    stage.until_refused(A2)
    assert "the policy resource_preserving" in str(stage.manager.states()[1].error)
    assert stage.manager.available_ids() == (A1,)

    stage.sizes[A2] = 4
    stage.manager.step()  # from here on it waits for another chance
    stage.clock.advance(RENEW_SECONDS)

    stage.driver.until(lambda: stage.manager.available_ids() == (A2,))


def test_with_the_policy_that_saves_memory_the_new_version_finds_room(make: Make) -> None:
    """The old one goes first."""
    stage = make(saves=True)
    stage.aspire("a", 1)
    stage.driver.until_state(A1, S.AVAILABLE)

    stage.aspire("a", 2)

    stage.driver.until(lambda: stage.manager.available_ids() == (A2,))
    assert stage.driver.states(A2) == [S.START, S.LOADING, S.AVAILABLE]


def test_load_that_has_no_room_waits_while_somebody_says_that_it_can_be_made(make: Make) -> None:
    """It is asked about again and again, and shown with what it needs; then it ends as ever, or is loaded."""
    stage = make()
    asked: list[tuple[ServableId, ResourceAllocation]] = []
    answers = [True, True, True]

    def make_room(servable_id: ServableId, needs: ResourceAllocation) -> bool:
        asked.append((servable_id, needs))
        return bool(answers) and answers.pop()

    stage.manager.make_room_by(make_room)
    stage.aspire("a", 1)
    stage.driver.until_state(A1, S.AVAILABLE)
    assert (asked, stage.manager.waiting_for_room()) == ([], ())
    stage.aspire("b", 1)
    stage.driver.until(lambda: bool(asked))
    assert all(each == (B1, host(6)) for each in asked)
    stage.until_refused(B1)
    assert len(asked) == 4

    answers += [True] * 1000
    stage.aspire("a")
    stage.driver.until_state(B1, S.AVAILABLE)
    stage.aspire("a", 1)
    stage.driver.until(lambda: stage.manager.waiting_for_room() == ((A1, host(6)),))
    stage.aspire("b")
    stage.driver.until_state(A1, S.AVAILABLE)
    assert stage.manager.waiting_for_room() == ()


def test_what_is_too_big_for_all_of_it_is_refused_without_asking(make: Make) -> None:
    """No room that anybody could make would help."""
    stage = make()
    stage.manager.make_room_by(lambda *_: pytest.fail("it was asked"))
    stage.sizes[B1] = 11
    stage.aspire("b", 1)
    stage.until_refused(B1)
