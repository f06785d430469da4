"""The promises about lazy models under any order of events, found by hypothesis."""

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lifecycle.resources import HOST
from lifecycle.servable_handle import ServableHandle  # noqa: TC001 - hypothesis reads the annotations
from lifecycle.servable_state import ServableState
from tests.fakes.lazy_world import LazyWorld
from tests.fakes.servables import ManualExecutor
from worker.lazy_models import LazyLimits
from worker.model_table import Sleep

MEMORY, MOST = 10, 3
EAGER = {"e1": 2, "e2": 3}
LAZY = {"a": 1, "b": 2, "c": 4, "d": 5, "e": 5}
"""What each needs: the eager ones fit beside any of these."""


class AnyLazy(RuleBasedStateMachine):
    """Requests, handles, loads, unloads, records and time in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.loads, self.unloads = ManualExecutor(), ManualExecutor()
        limits = LazyLimits(MOST, idle_seconds=20.0)
        self.world = LazyWorld(MEMORY, limits, loads=self.loads, unloads=self.unloads)
        self.world.sizes.update(EAGER | LAZY)
        self.world.set_lazy(*LAZY)
        self.world.set_eager("e1")
        self.wanted = {"e1"}
        self.was_there: set[str] = set()
        self.waiting: set[str] = set()
        self.handles: list[ServableHandle] = []

    @rule(name=st.sampled_from(sorted(LAZY)))
    def ask(self, name: str) -> None:
        """A request comes, and is asked for again with each turn until it is answered."""
        self.waiting.add(name)

    @rule(name=st.sampled_from(sorted(LAZY)))
    def hold(self, name: str) -> None:
        """A request is with a model for a while."""
        handle = self.world.handle(name)
        if handle is not None:
            self.handles.append(handle)

    @precondition(lambda self: self.handles)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """It is answered."""
        index = data.draw(st.integers(0, len(self.handles) - 1))
        self.handles.pop(index).release()

    @rule(name=st.sampled_from(sorted(EAGER)))
    def set_or_remove(self, name: str) -> None:
        """An eager model comes or goes."""
        if name in self.wanted:
            self.wanted.discard(name)
            self.was_there.discard(name)
            self.world.remove(name)
        else:
            self.wanted.add(name)
            self.world.set_eager(name)

    @rule(seconds=st.sampled_from([0.05, 0.05, 0.5, 6.0, 30.0]))
    def turn(self, seconds: float) -> None:
        """Everybody comes round."""
        self._look()
        self.world.step(1, seconds)
        self.was_there |= self.wanted & self.world.available()

    @precondition(lambda self: self.loads.jobs or self.unloads.jobs)
    @rule(data=st.data())
    def work(self, data: st.DataObject) -> None:
        """A load or an unload, or the look at what a load needs, is done."""
        jobs = [(each, n) for each in (self.loads, self.unloads) for n in range(len(each.jobs))]
        executor, index = data.draw(st.sampled_from(jobs))
        executor.run(index)

    def _look(self) -> None:
        for name in sorted(self.waiting):
            if self.world.answers(name):
                self.waiting.discard(name)

    @invariant()
    def nothing_is_beyond_its_limit(self) -> None:
        """Neither the memory nor the number."""
        assert self.world.tracker.used().of(HOST) <= MEMORY
        states = self.world.manager.states()
        alive = {each.id.name for each in states if each.state is not ServableState.END}
        assert len(alive & LAZY.keys()) <= MOST

    @invariant()
    def eager_models_stay(self) -> None:
        """Once one is there it is there, until it is removed."""
        assert self.was_there <= self.world.available()

    @invariant()
    def nothing_is_unloaded_under_a_handle(self) -> None:
        """Its servable is there until the last is released."""
        assert all(each.servable is not None for each in self.handles)

    def teardown(self) -> None:
        """Once nobody is in the way, each request that waits is answered, and each eager model is there."""
        while self.handles:
            self.handles.pop().release()
        for _ in range(2000):
            self._look()
            if not self.waiting and self.wanted <= self.world.available():
                break
            while self.loads.jobs or self.unloads.jobs:
                (self.loads if self.loads.jobs else self.unloads).run()
            self.world.step()
        assert self.waiting == set(), self.world.states()
        assert self.wanted <= self.world.available(), self.world.states()
        for name in LAZY:
            model = self.world.table.lookup(name)
            assert model is not None
            assert model.sleep is not Sleep.ASLEEP or name not in self.world.available()


TestAnyLazy = AnyLazy.TestCase
TestAnyLazy.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
