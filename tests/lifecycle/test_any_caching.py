"""The promises of the caching manager under any order of events, found by hypothesis.

Loads run in the thread that asks, unloads when the machine says so; and things happen while a load is under way: the
loader itself makes them happen from inside its `load`.
"""

import functools
from collections.abc import Callable  # noqa: TC003 - hypothesis reads the annotations

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lifecycle import errors
from lifecycle.caching_manager import CachingManager, CachingManagerOptions
from lifecycle.execution import BasicManagerOptions, Surroundings
from lifecycle.loader_harness import LoadOptions
from lifecycle.servable_handle import ServableHandle  # noqa: TC001 - hypothesis reads the annotations
from lifecycle.servable_id import ServableId
from lifecycle.servable_state import ServableEvent, ServableState
from tests.fakes.clock import FakeClock
from tests.fakes.servables import FakeLoader, ManualExecutor

S = ServableState
IDS = [ServableId(name, 1) for name in "abcd"]
MOST, RETRY_SECONDS = 2, 10.0


class WatchedLoader(FakeLoader):
    """Tells the machine of its calls, and ends a load as the machine wants it."""

    def __init__(self, machine: "AnyCaching", servable_id: ServableId) -> None:
        super().__init__()
        self._machine = machine
        self._id = servable_id

    def load(self) -> None:
        """Let things happen meanwhile, then load or fail."""
        machine = self._machine
        machine.loading.append(self._id)
        machine.check(len(machine.loading) + len(machine.loaded) <= MOST, "there was no room")
        meanwhile, machine.meanwhile = machine.meanwhile, []
        failure, machine.failure = machine.failure, None
        for happen in meanwhile:
            happen()
        machine.loading.remove(self._id)
        if failure is not None:
            raise failure
        super().load()
        machine.check(self._id not in machine.loaded, f"{self._id} was loaded twice")
        machine.loaded.add(self._id)

    def unload(self) -> None:
        """Note whether somebody holds it."""
        self._machine.check(self._id not in self._machine.held, f"{self._id} was unloaded under a handle")
        self._machine.loaded.discard(self._id)
        super().unload()


class AnyCaching(RuleBasedStateMachine):
    """Calls, load results, handles, unloads and time in any order. No call waits for room."""

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.unloads = FakeClock(), ManualExecutor()
        options = CachingManagerOptions(
            MOST, 0.0, RETRY_SECONDS, BasicManagerOptions(0, 1, LoadOptions(retries=0))
        )
        self.manager = CachingManager(
            self, options, Surroundings(clock=self.clock, unload_executor=self.unloads)
        )
        self.manager.bus.subscribe(self._hear)
        self.handles: list[ServableHandle] = []
        self.loading: list[ServableId] = []
        self.loaded: set[ServableId] = set()
        self.leaving: set[ServableId] = set()
        self.uses: list[ServableId] = []  # the last of each version, in order
        self.failed: dict[ServableId, float] = {}
        self.made: list[ServableId] = []
        self.failure: Exception | None = None
        self.meanwhile: list[Callable[[], object]] = []
        self.wrong: list[str] = []

    def versions(self, name: str) -> tuple[int, ...]:
        """The machine is the loader factory."""
        return (1,)

    def loader(self, servable_id: ServableId) -> WatchedLoader:
        """A watched one."""
        self.made.append(servable_id)
        return WatchedLoader(self, servable_id)

    def check(self, holds: bool, otherwise: str) -> None:
        """Note what is wrong: what is raised in a loader or a subscriber does not come out."""
        if not holds:
            self.wrong.append(otherwise)

    @property
    def held(self) -> set[ServableId]:
        """On what a handle is held."""
        return {handle.id for handle in self.handles}

    @property
    def idle(self) -> list[ServableId]:
        """What could make room, the one used longest ago first."""
        return [each for each in self.uses if each in self.loaded - self.leaving - self.held]

    def _hear(self, event: ServableEvent) -> None:
        if event.state is S.UNLOADING:
            self.check(self.idle[:1] == [event.id], f"{event.id} was evicted, of {self.idle}")
            self.leaving.add(event.id)
        elif event.ended:
            self.leaving.discard(event.id)

    @rule(each=st.sampled_from(IDS), fails=st.booleans(), what=st.integers(0, 3), other=st.sampled_from(IDS))
    def ask(self, each: ServableId, other: ServableId, what: int, *, fails: bool) -> None:
        """A call; while it loads, if it does, other things may happen, on whatever it was not."""
        happenings: list[list[Callable[[], object]]] = [
            [],
            [functools.partial(self.call, other)],
            [self.release_all, functools.partial(self.call, other)],
            [self.run_unloads, functools.partial(self.call, other)],
        ]
        self.meanwhile = happenings[what]
        self.failure = OSError("broken") if fails else None
        self.call(each)
        self.meanwhile, self.failure = [], None

    def call(self, each: ServableId) -> None:
        """Ask for a handle, and compare with what should come of it."""
        if each in self.loading:
            return  # it would wait for itself
        there = each in self.loaded - self.leaving
        told_until = self.failed.get(each, 0.0)
        asked, made = self.clock(), len(self.made)
        try:
            handle = self.manager.handle(each.name)
        except errors.NoRoom:
            assert not there
            assert self.leaving or not self.idle
        except errors.LoadFailed:
            assert not there
            if asked < told_until:
                assert len(self.made) == made
            else:
                self.failed[each] = self.clock() + RETRY_SECONDS
        else:
            assert there or asked >= told_until
            assert not there or len(self.made) == made
            self.handles.append(handle)
            assert handle.servable.signatures
            self.uses = [*(other for other in self.uses if other != each), each]

    @precondition(lambda self: self.handles)
    @rule(choice=st.data())
    def release(self, choice: st.DataObject) -> None:
        """A request ends."""
        self.handles.pop(choice.draw(st.integers(0, len(self.handles) - 1))).release()

    @rule()
    def release_all(self) -> None:
        """All requests end."""
        while self.handles:
            self.handles.pop().release()

    @rule()
    def run_unloads(self) -> None:
        """The unload threads get to it."""
        while self.unloads.jobs:
            self.unloads.run()

    @rule(seconds=st.sampled_from([1.0, RETRY_SECONDS]))
    def advance(self, seconds: float) -> None:
        """Time goes by."""
        self.clock.advance(seconds)

    @rule()
    def settle(self) -> None:
        """When nothing is held or on its way, everything can be had."""
        self.release_all()
        self.run_unloads()
        self.advance(RETRY_SECONDS)
        for each in IDS:
            for _ in range(2):  # the first call may only have begun to make room
                self.call(each)
                self.release_all()
                self.run_unloads()
            assert each in self.loaded
            assert each in self.manager.available_ids()

    @invariant()
    def nothing_went_wrong(self) -> None:
        """The limit was kept, nothing was unloaded under a handle, and the right one made room."""
        assert self.wrong == []
        assert len(self.loaded) <= MOST
        assert set(self.manager.available_ids()) == self.loaded - self.leaving
        assert not self.manager._loads

    def teardown(self) -> None:
        """A close unloads everything."""
        self.release_all()
        self.run_unloads()
        self.manager.close(0.0)
        self.run_unloads()
        assert self.loaded == set()


TestAnyCaching = AnyCaching.TestCase
TestAnyCaching.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
