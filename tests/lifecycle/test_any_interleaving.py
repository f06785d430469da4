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
from lifecycle.resource_tracker import ResourceTracker
from lifecycle.resources import HOST, NOTHING, ResourceAllocation, host
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
LIMIT, LOADING = 12, 1
"""Memory that there is, where it is limited; and what a load takes besides what it leaves."""

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

    def estimate_resources(self) -> ResourceAllocation:
        """Let things happen meanwhile, where that is wanted, then say it or fail; after the load it is less."""
        if self._loaded:
            return host(size(self._id) - LOADING)
        if self._machine.while_estimating:
            failure = self._happen()
            if failure is not None:
                raise failure
        return host(size(self._id))

    def _happen(self) -> Exception | None:
        meanwhile, self._machine.meanwhile = self._machine.meanwhile, []
        failure, self._machine.failure = self._machine.failure, None
        for happen in meanwhile:
            happen()
        return failure

    def load(self) -> None:
        """Take memory, let things happen meanwhile, then load or fail."""
        self._machine.in_memory[self] = size(self._id)
        self._machine.look_at_memory()
        try:
            self._load()
        except Exception:
            del self._machine.in_memory[self]
            raise
        self._machine.in_memory[self] -= LOADING

    def _load(self) -> None:
        failure = self._happen()
        if failure is not None or self._id.version in self._machine.broken:
            raise failure or OSError("broken for ever")
        if "load" in self.calls:
            self._machine.wrong.append(f"a loader of {self._id} was loaded twice")
        super().load()
        self._machine.loaded.add(self.servable)

    def unload(self) -> None:
        """Note whether somebody holds it."""
        self._machine.look_at_memory()
        if any(handle.id == self._id for handle in self._machine.handles):
            self._machine.wrong.append(f"{self._id} was unloaded under a handle")
        self._machine.loaded.discard(self.servable)
        super().unload()
        del self._machine.in_memory[self]
        self._machine.look_at_memory()


def size(servable_id: ServableId) -> int:
    """The memory that loading a version takes; the third of b is too big for any machine here."""
    if servable_id == ServableId("b", 3):
        return LIMIT + 1
    return 2 + servable_id.version + (servable_id.name == "b")


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
        tracker: sets memory aside, where it is limited.
    """

    policy: AspiredVersionPolicy = AvailabilityPreservingPolicy()
    keeps_the_last = True
    limited = False

    def __init__(self) -> None:
        super().__init__()
        self.fickle = FicklePolicy(self.policy)
        self.clock = FakeClock()
        self.loads, self.unloads = ManualExecutor(), ManualExecutor()
        self.tracker = ResourceTracker({HOST: LIMIT}.get) if self.limited else None
        load = LoadOptions(retries=1, retry_wait=Backoff(RETRY_SECONDS), timeout_seconds=LIMIT_SECONDS)
        self.manager = AspiredVersionsManager(
            AspiredVersionsManagerOptions(
                retry_failed=Backoff(RENEW_SECONDS),
                policy=self.fickle,
                basic=BasicManagerOptions(1, 1, load),
            ),
            Surroundings(
                clock=self.clock,
                load_executor=self.loads,
                unload_executor=self.unloads,
                resources=self.tracker,
            ),
        )
        self.manager.bus.subscribe(self._hear)
        self.aspired: dict[str, list[int]] = {}
        self.handles: list[ServableHandle] = []
        self.loaded: set[AddingServable] = set()
        self.failure: Exception | None = None
        self.meanwhile: list[Callable[[], object]] = []
        self.while_estimating = False
        self.in_memory: dict[WatchedLoader, int] = {}
        self.broken: list[int] = []
        self.wrong: list[str] = []
        self._last: dict[ServableId, S] = {}

    def look_at_memory(self) -> None:
        """Where it is limited, no more is taken than is set aside, and no more is set aside than there is."""
        if self.tracker is not None:
            used = self.tracker.used().of(HOST)
            if not sum(self.in_memory.values()) <= used <= LIMIT:
                self.wrong.append(f"{self.in_memory} are in memory, {used} of {LIMIT} is set aside")

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
    @rule(
        data=st.data(),
        failure=FAILURES,
        name=NAMES,
        versions=LISTS,
        what=st.integers(0, 4),
        early=st.booleans(),
    )
    def load(
        self,
        data: st.DataObject,
        failure: Exception | None,
        name: str,
        versions: list[int],
        what: int,
        *,
        early: bool,
    ) -> None:
        """A load thread takes a job; while it loads, or estimates, other things may happen."""
        happenings: list[list[Callable[[], object]]] = [
            [],
            [self.step],
            [functools.partial(self.aspire, name, versions), self.step, self.step],
            [functools.partial(self.advance, LIMIT_SECONDS + 1)],
            [functools.partial(self.advance, LIMIT_SECONDS + 1), self.step, self.step],
        ]
        self.failure, self.meanwhile, self.while_estimating = failure, happenings[what], early
        self.loads.run(data.draw(st.integers(0, len(self.loads.jobs) - 1)))
        self.failure, self.meanwhile, self.while_estimating = None, [], False

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
        # A broken one has room set aside for its next try, at some moments, which would have to be told apart below.
        self.broken = broken = [] if self.limited else broken
        self.fickle.fails = False
        while self.handles:
            self.handles.pop().release()
        for seconds in (*[RENEW_SECONDS] * 20, *[0.0] * 10):  # at last, nothing is due any more
            self.manager.step()
            while self.loads.jobs:
                self.loads.run()
            while self.unloads.jobs:
                self.unloads.run()
            self.clock.advance(seconds)
        self.broken = []

        assert self.manager.pending_names() == ()
        for name, wanted in self.aspired.items():
            self.check_settled(name, set(wanted), set(broken))
        assert self.loads.lent == 0

    def check_settled(self, name: str, wanted: set[int], broken: set[int]) -> None:
        """Of one name, after all has come to rest."""
        available = {each.version for each in self.manager.available_ids() if each.name == name}
        hopeless = broken | self.without_room(name, wanted - available)
        assert available >= wanted - hopeless
        kept = self.keeps_the_last and wanted and wanted <= hopeless and len(available) == 1
        assert available <= wanted or kept
        managed = {each.id.version: each.state for each in self.manager.states() if each.id.name == name}
        assert managed.keys() == available | wanted
        assert broken or set(managed.values()) <= {S.AVAILABLE, S.END}

    def without_room(self, name: str, missing: set[int]) -> set[int]:
        """Those of the versions that say so, and for which there is none in truth."""
        if self.tracker is None:
            return set()
        errors_said = {each.id: each.error for each in self.manager.states()}
        ids = [ServableId(name, version) for version in missing]
        refused = {each for each in ids if isinstance(errors_said[each], errors.ResourceExhausted)}
        assert not any(self.tracker.has_room(host(size(each))) for each in refused)
        return {each.version for each in refused}

    @invariant()
    def nothing_went_wrong(self) -> None:
        """No event came out of order, and no version left without a replacement."""
        self.look_at_memory()
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
        assert self.tracker is None or self.tracker.used() == NOTHING


class AnyInterleavingSavingMemory(AnyInterleaving):
    """The same with the policy that unloads first."""

    policy: AspiredVersionPolicy = ResourcePreservingPolicy()
    keeps_the_last = False


class AnyInterleavingWithLittleMemory(AnyInterleaving):
    """The same where not all fits into memory."""

    limited = True


class AnyInterleavingSavingLittleMemory(AnyInterleavingSavingMemory):
    """The same with the policy that unloads first."""

    limited = True


TestAnyInterleaving = AnyInterleaving.TestCase
TestAnyInterleaving.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestAnyInterleavingSavingMemory = AnyInterleavingSavingMemory.TestCase
TestAnyInterleavingSavingMemory.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestAnyInterleavingWithLittleMemory = AnyInterleavingWithLittleMemory.TestCase
TestAnyInterleavingWithLittleMemory.settings = settings(
    max_examples=200, stateful_step_count=40, deadline=None
)
TestAnyInterleavingSavingLittleMemory = AnyInterleavingSavingLittleMemory.TestCase
TestAnyInterleavingSavingLittleMemory.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None
)
