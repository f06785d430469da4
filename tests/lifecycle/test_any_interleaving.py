"""The promises of the aspired-versions manager under any order of events, found by hypothesis.

Loads and unloads run when the machine says so, and things happen while a load is under way: the loader itself
makes them happen from inside its `load`.
"""

import functools
from collections.abc import Callable, Mapping, Sequence

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lifecycle import errors
from lifecycle.aspired_version_policy import (
    Action,
    AspiredVersionPolicy,
    AvailabilityPreservingPolicy,
    ResourcePreservingPolicy,
    VersionSnapshot,
)
from lifecycle.aspired_versions_manager import AspiredVersionsManager, AspiredVersionsManagerOptions
from lifecycle.backoff import Backoff
from lifecycle.execution import BasicManagerOptions, Surroundings
from lifecycle.loader_harness import LoadOptions
from lifecycle.servable_handle import ServableHandle  # noqa: TC001 - hypothesis reads the annotations
from lifecycle.servable_id import ServableId
from lifecycle.servable_state import ServableEvent, ServableState
from lifecycle.source import AspiredVersion
from tests.fakes.clock import FakeClock
from tests.fakes.servables import AddingServable, FakeLoader, ManualExecutor

S = ServableState
NAMES = st.sampled_from(["a", "b"])
VERSIONS = st.integers(1, 3)
LISTS = st.lists(VERSIONS, unique=True, max_size=3)
FAILURES = st.sampled_from([None, None, None, OSError("not yet"), errors.PermanentLoadFailure("corrupt")])
RETRY_SECONDS, LIMIT_SECONDS, RENEW_SECONDS = 10.0, 60.0, 30.0

NEXT_STATES: Mapping[S | None, set[S]] = {
    None: {S.START},
    S.START: {S.LOADING, S.END},
    S.LOADING: {S.AVAILABLE, S.END},
    S.AVAILABLE: {S.UNLOADING},
    S.UNLOADING: {S.END},
    S.END: {S.START},
}


class WatchedLoader(FakeLoader):
    """Tells the machine of its calls, and ends a load as the machine wants it."""

    def __init__(self, machine: "AnyInterleaving", servable_id: ServableId) -> None:
        super().__init__()
        self._machine = machine
        self._id = servable_id

    def load(self) -> None:
        """Let things happen meanwhile, then load or fail."""
        meanwhile, self._machine.meanwhile = self._machine.meanwhile, []
        failure, self._machine.failure = self._machine.failure, None
        for happen in meanwhile:
            happen()
        if failure is not None or self._id.version in self._machine.broken:
            raise failure or OSError("broken for ever")
        if "load" in self.calls:
            self._machine.wrong.append(f"a loader of {self._id} was loaded twice")
        super().load()
        self._machine.loaded.add(self.servable)

    def unload(self) -> None:
        """Note whether somebody holds it."""
        if any(handle.id == self._id for handle in self._machine.handles):
            self._machine.wrong.append(f"{self._id} was unloaded under a handle")
        self._machine.loaded.discard(self.servable)
        super().unload()


class FicklePolicy:
    """Another policy, but for the times when it fails."""

    def __init__(self, inner: AspiredVersionPolicy) -> None:
        self._inner = inner
        self.fails = False

    def next_action(self, versions: Sequence[VersionSnapshot]) -> Action | None:
        """What the other one says."""
        if self.fails:
            raise RuntimeError("undecided")
        return self._inner.next_action(versions)


class AnyInterleaving(RuleBasedStateMachine):
    """Aspirations, load results, handles, time and steps in any order, with a policy that fails at times.

    Attributes:
        policy: the policy.
        keeps_the_last: whether it keeps the last available version until another one takes its place.
    """

    policy: AspiredVersionPolicy = AvailabilityPreservingPolicy()
    keeps_the_last = True

    def __init__(self) -> None:
        super().__init__()
        self.fickle = FicklePolicy(self.policy)
        self.clock = FakeClock()
        self.loads, self.unloads = ManualExecutor(), ManualExecutor()
        load = LoadOptions(retries=1, retry_wait=Backoff(RETRY_SECONDS), timeout_seconds=LIMIT_SECONDS)
        self.manager = AspiredVersionsManager(
            AspiredVersionsManagerOptions(
                retry_failed=Backoff(RENEW_SECONDS),
                policy=self.fickle,
                basic=BasicManagerOptions(1, 1, load),
            ),
            Surroundings(clock=self.clock, load_executor=self.loads, unload_executor=self.unloads),
        )
        self.manager.bus.subscribe(self._hear)
        self.aspired: dict[str, list[int]] = {}
        self.handles: list[ServableHandle] = []
        self.loaded: set[AddingServable] = set()
        self.failure: Exception | None = None
        self.meanwhile: list[Callable[[], object]] = []
        self.broken: list[int] = []
        self.wrong: list[str] = []
        self._last: dict[ServableId, S] = {}

    def _hear(self, event: ServableEvent) -> None:
        # What a subscriber or a loader raises does not come out of the manager: it is noted for the invariant.
        last = self._last.get(event.id)
        if event.state not in NEXT_STATES[last]:
            self.wrong.append(f"{event} after {last}")
        self._last[event.id] = event.state
        if event.state is S.UNLOADING and self.keeps_the_last:
            states = [each for each in self.manager.states() if each.id.name == event.id.name]
            replaced = any(each.state is S.AVAILABLE for each in states)
            if not replaced and any(each.aspired for each in states):
                self.wrong.append(f"{event.id} left without a replacement")
        if event.state is S.AVAILABLE:
            self.manager.handle(event.id.name, event.id.version).release()

    @initialize()
    def serve(self) -> None:
        """Something is available from the start, so that there is something to lose."""
        self.aspire("a", [1, 2])
        self.aspire("b", [1])
        self.settle([])

    @rule(name=NAMES, versions=LISTS)
    def aspire(self, name: str, versions: list[int]) -> None:
        """A new complete list."""
        self.aspired[name] = versions
        ids = [ServableId(name, version) for version in versions]
        aspired = [AspiredVersion(each, functools.partial(WatchedLoader, self, each)) for each in ids]
        self.manager.set_aspired_versions(name, aspired)

    @rule()
    def step(self) -> None:
        """Reconcile."""
        self.manager.step()

    @rule(fails=st.booleans())
    def change_mind(self, *, fails: bool) -> None:
        """The policy fails from now on, or does no more."""
        self.fickle.fails = fails

    @rule(seconds=st.sampled_from([RETRY_SECONDS, RENEW_SECONDS, LIMIT_SECONDS + 1]))
    def advance(self, seconds: float) -> None:
        """Time goes by."""
        self.clock.advance(seconds)

    @precondition(lambda self: self.loads.jobs)
    @rule(data=st.data(), failure=FAILURES, name=NAMES, versions=LISTS, what=st.integers(0, 4))
    def load(
        self, data: st.DataObject, failure: Exception | None, name: str, versions: list[int], what: int
    ) -> None:
        """A load thread takes a job; while it loads, other things may happen."""
        happenings: list[list[Callable[[], object]]] = [
            [],
            [self.step],
            [functools.partial(self.aspire, name, versions), self.step, self.step],
            [functools.partial(self.advance, LIMIT_SECONDS + 1)],
            [functools.partial(self.advance, LIMIT_SECONDS + 1), self.step, self.step],
        ]
        self.failure, self.meanwhile = failure, happenings[what]
        self.loads.run(data.draw(st.integers(0, len(self.loads.jobs) - 1)))

    @precondition(lambda self: self.unloads.jobs)
    @rule(data=st.data())
    def unload(self, data: st.DataObject) -> None:
        """An unload thread takes a job."""
        self.unloads.run(data.draw(st.integers(0, len(self.unloads.jobs) - 1)))

    @rule(name=NAMES, version=st.none() | VERSIONS)
    def take(self, name: str, version: int | None) -> None:
        """A request takes a handle, if it can."""
        try:
            handle = self.manager.handle(name, version)
        except errors.ServableNotFound:
            return
        assert handle.servable in self.loaded, "a handle leads to what is not loaded"
        self.handles.append(handle)

    @precondition(lambda self: self.handles)
    @rule(data=st.data(), again=st.booleans())
    def release(self, data: st.DataObject, *, again: bool) -> None:
        """A request ends; perhaps another handle was taken beside its own."""
        handle = self.handles.pop(data.draw(st.integers(0, len(self.handles) - 1)))
        if again:
            self.handles.append(handle.another())
        handle.release()

    @rule(broken=LISTS)
    def settle(self, broken: list[int]) -> None:
        """When nothing more happens, the aspired versions that can be loaded are available, and no others.

        Where none of them can, the last old version stays, if the policy is to keep it.
        """
        self.broken = broken
        self.fickle.fails = False
        while self.handles:
            self.handles.pop().release()
        for _ in range(20):
            self.manager.step()
            while self.loads.jobs:
                self.loads.run()
            while self.unloads.jobs:
                self.unloads.run()
            self.clock.advance(RENEW_SECONDS)
        self.broken = []

        assert self.manager.pending_names() == ()
        for name, wanted in self.aspired.items():
            available = {each.version for each in self.manager.available_ids() if each.name == name}
            assert available >= set(wanted) - set(broken)
            kept = self.keeps_the_last and wanted and set(wanted) <= set(broken) and len(available) == 1
            assert available <= set(wanted) or kept
            managed = {each.id.version for each in self.manager.states() if each.id.name == name}
            assert managed == available | set(wanted)
        assert self.loads.lent == 0

    @invariant()
    def nothing_went_wrong(self) -> None:
        """No event came out of order, and no version left without a replacement."""
        assert self.wrong == []

    def teardown(self) -> None:
        """A close unloads everything that is not held."""
        while self.handles:
            self.handles.pop().release()
        while self.unloads.jobs:
            self.unloads.run()
        self.manager.close(0.0)
        while self.loads.jobs or self.unloads.jobs:
            (self.loads if self.loads.jobs else self.unloads).run()
        assert self.loaded == set()


class AnyInterleavingSavingMemory(AnyInterleaving):
    """The same with the policy that unloads first."""

    policy: AspiredVersionPolicy = ResourcePreservingPolicy()
    keeps_the_last = False


TestAnyInterleaving = AnyInterleaving.TestCase
TestAnyInterleaving.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestAnyInterleavingSavingMemory = AnyInterleavingSavingMemory.TestCase
TestAnyInterleavingSavingMemory.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
