"""Loading on demand and unloading for room, with every combination of inline and pooled executors."""

import _thread
import dataclasses
import gc
import random
import signal
import threading
import weakref
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from lifecycle import errors
from lifecycle.backoff import Backoff
from lifecycle.caching_manager import CachingManager, CachingManagerOptions
from lifecycle.event_bus import EventBus
from lifecycle.execution import BasicManagerOptions, Surroundings
from lifecycle.loader_harness import LoadOptions
from lifecycle.servable_handle import ServableHandle
from lifecycle.servable_id import ServableId, ServableRequest
from lifecycle.servable_state import ServableEvent, ServableState
from tests.fakes.clock import FakeClock
from tests.fakes.servables import BrokenLoader, FailingLoader, FakeLoader, StalledLoader
from tests.fakes.shelf import Shelf
from tests.kit.waiting import PATIENCE_SECONDS, wait_until

S = ServableState
ONE_TRY = LoadOptions(retries=0)
A, B, C = ServableId("a", 1), ServableId("b", 1), ServableId("c", 1)


class Caller:
    """Asks for a handle on a thread of its own."""

    def __init__(self, manager: CachingManager, servable_id: ServableId) -> None:
        self._handle: ServableHandle | None = None
        self._error: errors.LifecycleError | None = None
        self._thread = threading.Thread(target=self._ask, args=(manager, servable_id))
        self._thread.start()

    def _ask(self, manager: CachingManager, servable_id: ServableId) -> None:
        try:
            self._handle = manager.handle(servable_id.name, servable_id.version)
        except errors.LifecycleError as error:
            self._error = error

    @property
    def waits(self) -> bool:
        """Whether it has no answer yet."""
        return self._thread.is_alive()

    def handle(self) -> ServableHandle:
        """The handle that it got."""
        self._thread.join(PATIENCE_SECONDS)
        assert self._handle is not None, self._error
        return self._handle

    def error(self) -> errors.LifecycleError:
        """The error that it got."""
        self._thread.join(PATIENCE_SECONDS)
        assert self._error is not None, self._handle
        return self._error


class Stage:
    """A caching manager, what exists for it, its clock and what it publishes."""

    def __init__(self, options: CachingManagerOptions) -> None:
        self.shelf = Shelf({"a": [1, 2, 3], "b": [1], "c": [1]})
        self.clock = FakeClock()
        self.events: list[ServableEvent] = []
        bus = EventBus()
        bus.subscribe(self.events.append)  # before the manager itself: what a caller hears of is written down
        self.manager = CachingManager(self.shelf, options, Surroundings(bus, self.clock))

    def use(self, *ids: ServableId) -> None:
        """Take a handle on each, one after the other, and release it."""
        for each in ids:
            self.manager.handle(each.name, each.version).release()

    def states(self, servable_id: ServableId) -> list[ServableState]:
        """What was published of a version, in order."""
        return [event.state for event in self.events if event.id == servable_id]


def callers_waiting(stage: Stage) -> list[int]:
    """How many calls wait for each load that is under way."""
    return [load.callers for load in tuple(stage.manager._loads.values())]


def options(threads: tuple[int, int], most: int | None = 2, **changes: float) -> CachingManagerOptions:
    """Options with these threads and one try a load; a call waits for room as long as the clock stands still."""
    made = CachingManagerOptions(most, 60.0, 10.0, BasicManagerOptions(*threads, ONE_TRY))
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture(params=[(0, 0), (4, 0), (0, 2), (4, 2)], ids=lambda each: f"load{each[0]}-unload{each[1]}")
def threads(request: pytest.FixtureRequest) -> tuple[int, int]:
    """How many load and unload threads; 0 is inline."""
    load, unload = request.param
    return load, unload


@pytest.fixture
def stage(threads: tuple[int, int]) -> Iterator[Stage]:
    """Two versions at most, of a, b and c; a has three."""
    made = Stage(options(threads))
    yield made
    assert made.manager.close(PATIENCE_SECONDS) == ()


# On demand


def test_version_is_loaded_when_it_is_asked_for(stage: Stage) -> None:
    """Nothing is loaded before; then the caller has a handle on it, and the bus has told its way."""
    assert (stage.manager.available_ids(), stage.manager.available_handles()) == ((), {})

    with stage.manager.handle("a", 2) as handle:
        rows = np.zeros((1, 2), np.float32)
        assert handle.servable.run("serving_default", {"x": rows}, ("number",))["number"].tolist() == [2.0]
        assert handle.id == ServableId("a", 2)

    assert stage.manager.available_ids() == (ServableId("a", 2),)
    assert stage.states(ServableId("a", 2)) == [S.START, S.LOADING, S.AVAILABLE]


def test_versions_and_names_are_loaded_by_themselves(stage: Stage) -> None:
    """Each id is loaded for itself, and all that are loaded are listed."""
    stage.use(ServableId("a", 1), B)

    handles = stage.manager.available_handles()

    assert tuple(sorted(handles)) == stage.manager.available_ids() == (A, B)
    assert [(each.id, each.state, each.handles) for each in stage.manager.states()] == [
        (A, S.AVAILABLE, 1),
        (B, S.AVAILABLE, 1),
    ]
    for handle in handles.values():
        handle.release()


def test_loaded_version_is_not_loaded_again(stage: Stage) -> None:
    """Later calls share it."""
    with stage.manager.handle("a", 1) as first, stage.manager.handle("a", 1) as second:
        assert first.servable is second.servable

    assert len(stage.shelf.made) == 1


def test_latest_and_earliest_are_those_that_exist(stage: Stage) -> None:
    """Not those that happen to be loaded: a version that has come is served from then on."""
    with stage.manager.handle("a") as latest:
        assert latest.id == ServableId("a", 3)
    with stage.manager.handle_for(ServableRequest.earliest("a")) as earliest:
        assert earliest.id == ServableId("a", 1)

    stage.shelf.existing["a"].append(4)

    with stage.manager.handle("a") as latest:
        assert latest.id == ServableId("a", 4)


def test_latest_that_is_loaded_is_not_loaded_again(stage: Stage) -> None:
    """It was asked for by its number before."""
    stage.use(ServableId("a", 3))

    with stage.manager.handle("a") as latest:
        assert latest.id == ServableId("a", 3)
    assert len(stage.shelf.made) == 1


@pytest.mark.parametrize(("name", "version"), [("z", None), ("z", 1), ("a", 9)])
def test_what_does_not_exist_is_not_found(stage: Stage, name: str, version: int | None) -> None:
    """Neither a name nor a version that is not there; nothing is unloaded for it, and it may come."""
    stage.use(A, B)

    with pytest.raises(errors.ServableNotFound, match=name):
        stage.manager.handle(name, version)

    assert stage.manager.available_ids() == (A, B)
    stage.shelf.existing.setdefault(name, []).append(version or 1)
    stage.manager.handle(name, version).release()


# Errors


def test_failed_load_is_told_and_published(stage: Stage) -> None:
    """The caller gets the reason; nothing of it is available."""
    stage.shelf.prepared[A] = [BrokenLoader()]

    with pytest.raises(errors.LoadFailed, match=r"loading a/1 failed .* OSError: no such model"):
        stage.manager.handle("a", 1)

    assert (stage.manager.available_ids(), stage.manager.states()) == ((), ())
    assert stage.states(A) == [S.START, S.LOADING, S.END]
    assert "no such model" in str(stage.events[-1].error)


def test_failed_load_is_tried_again_after_its_time(stage: Stage) -> None:
    """Until then the reason is told at once, without a load; one success and it is as if nothing had been."""
    stage.shelf.prepared[A] = [BrokenLoader(), BrokenLoader()]
    for lives in (1, 2):
        for _ in range(3):
            with pytest.raises(errors.LoadFailed, match="no such model"):
                stage.manager.handle("a", 1)
        stage.clock.advance(9.0)
        with pytest.raises(errors.LoadFailed, match="no such model"):
            stage.manager.handle("a", 1)
        assert len(stage.shelf.made) == lives
        stage.clock.advance(1.0)

    stage.use(A)

    assert len(stage.shelf.made) == 3


def test_old_errors_are_forgotten(stage: Stage) -> None:
    """What is told no more is not kept, though nobody asks for that version again."""
    for each in (A, B):
        stage.shelf.prepared[each] = [BrokenLoader()]
        with pytest.raises(errors.LoadFailed):
            stage.manager.handle(each.name, each.version)
        stage.clock.advance(10.0)

    assert list(stage.manager._failed) == [B]


def test_failed_version_is_nobody_elses(stage: Stage) -> None:
    """Another version of the same name is loaded, and the failed one takes no room."""
    stage.shelf.prepared[A] = [BrokenLoader()]
    with pytest.raises(errors.LoadFailed):
        stage.manager.handle("a", 1)

    with stage.manager.handle("a", 2) as two, stage.manager.handle("a", 3) as three:
        assert (two.id.version, three.id.version) == (2, 3)


def test_loader_that_cannot_be_made_is_told(stage: Stage) -> None:
    """Whatever the factory raises fails this call, and is not remembered."""
    stage.shelf.prepared[A] = [
        RuntimeError("out of loaders"),
        errors.InvalidModel("no loader for such a thing"),
    ]

    with pytest.raises(errors.LoadFailed, match="no loader for a/1: RuntimeError: out of loaders"):
        stage.manager.handle("a", 1)
    with pytest.raises(errors.InvalidModel, match="such a thing"):
        stage.manager.handle("a", 1)

    stage.use(A)


def test_interrupted_call_leaves_nothing_behind(stage: Stage) -> None:
    """Ctrl-C while a loader is made ends this call; the next one loads."""
    stage.shelf.prepared[A] = [KeyboardInterrupt()]

    with pytest.raises(KeyboardInterrupt):
        stage.manager.handle("a", 1)

    stage.use(A)


def test_load_may_be_tried_several_times(threads: tuple[int, int]) -> None:
    """The caller waits for the later try, whose time the waiting thread itself looks for."""
    basic = BasicManagerOptions(*threads, LoadOptions(retries=1, retry_wait=Backoff(10.0)))
    stage = Stage(CachingManagerOptions(2, basic=basic))
    loader = FailingLoader(OSError("not yet"))
    stage.shelf.prepared[A] = [loader]
    caller = Caller(stage.manager, A)
    wait_until(
        lambda: any(each.error and not each.running for each in stage.manager.states()), "no try has failed"
    )

    stage.clock.advance(10.0)

    caller.handle().release()
    assert loader.calls == ["load", "load"]
    stage.manager.close(PATIENCE_SECONDS)


class InterruptedLoader(FakeLoader):
    """Is cut off in its load, as by Ctrl-C."""

    def load(self) -> None:
        """Be interrupted."""
        raise KeyboardInterrupt


def test_interrupted_load_is_over() -> None:
    """Ctrl-C while a version is loaded in the calling thread ends this call; the next one, in its time, loads anew."""
    stage = Stage(options((0, 0), retry_failed_seconds=0.0))
    stage.shelf.prepared[A] = [InterruptedLoader()]

    with pytest.raises(KeyboardInterrupt):
        stage.manager.handle("a", 1)

    stage.use(A, B)
    assert stage.manager.close(PATIENCE_SECONDS) == ()


def test_interrupted_wait_keeps_no_handle() -> None:
    """Ctrl-C while others load ends this call; what it had asked for can make room like anything else."""
    stage = Stage(options((1, 0), most=1))
    (stalled,) = stall(stage, A)

    def interrupt() -> None:
        wait_until(
            lambda: stalled.loading.is_set() and callers_waiting(stage) == [1], "the call does not wait"
        )
        _thread.interrupt_main()

    interrupter = threading.Thread(target=interrupt)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    interrupter.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            stage.manager.handle("a", 1)
    finally:
        interrupter.join(PATIENCE_SECONDS)
        signal.signal(signal.SIGINT, before)

    stalled.go_on.set()
    wait_until(lambda: stage.manager.available_ids() == (A,), "it was not loaded")
    assert [each.handles for each in stage.manager.states()] == [0]
    stage.use(B)
    assert stage.manager.available_ids() == (B,)
    assert stage.manager.close(PATIENCE_SECONDS) == ()


@pytest.mark.parametrize("load_threads", [0, 1])
def test_load_past_its_limit_is_told_and_not_joined_by_another(load_threads: int) -> None:
    """Calls end with its error for as long as the loader hangs, and others are loaded; afterwards it is tried anew."""
    basic = BasicManagerOptions(load_threads, 0, LoadOptions(retries=0, timeout_seconds=60.0))
    stage = Stage(CachingManagerOptions(1, 0.0, 10.0, basic))
    hanging = StalledLoader()
    stage.shelf.prepared[A] = [hanging]
    first = Caller(stage.manager, A)
    assert hanging.loading.wait(PATIENCE_SECONDS)
    second = Caller(stage.manager, A)  # inline, the first one hangs in the loader itself
    wait_until(lambda: callers_waiting(stage) == [2], "the second call does not wait")
    stage.clock.advance(61.0)
    assert isinstance(second.error(), errors.LoadTimedOut)

    stage.clock.advance(11.0)
    with pytest.raises(errors.LoadTimedOut):
        stage.manager.handle("a", 1)
    assert len(stage.shelf.made) == 1
    stage.use(B)

    hanging.go_on.set()
    assert isinstance(first.error(), errors.LoadTimedOut)
    assert hanging.unloaded.wait(PATIENCE_SECONDS)
    wait_until(lambda: not stage.manager.states()[0].running, "the load still hangs")
    stage.use(A)
    assert stage.manager.available_ids() == (A,)
    stage.manager.close(PATIENCE_SECONDS)


# Several callers


def stall(stage: Stage, *ids: ServableId) -> list[StalledLoader]:
    """Loaders that load once they are let go."""
    loaders = [StalledLoader(number) for number, _ in enumerate(ids)]
    for each, loader in zip(ids, loaders, strict=True):
        stage.shelf.prepared[each] = [loader]
    return loaders


def test_different_versions_are_loaded_beside_each_other(threads: tuple[int, int]) -> None:
    """No load waits for another; all callers get what they asked for."""
    stage = Stage(options(threads, most=None))
    ids = [ServableId("a", 1), ServableId("a", 2), B, C]
    loaders = stall(stage, *ids)
    callers = [Caller(stage.manager, each) for each in ids]
    for loader in loaders:
        assert loader.loading.wait(PATIENCE_SECONDS)
    for loader in loaders:
        loader.go_on.set()

    handles = [caller.handle() for caller in callers]

    assert [handle.id for handle in handles] == ids
    assert stage.manager.available_ids() == tuple(ids)
    for handle in handles:
        handle.release()
    assert stage.manager.close(PATIENCE_SECONDS) == ()


def test_calls_for_one_version_share_a_load(stage: Stage) -> None:
    """Whoever comes while it is loaded waits for that load; two versions, eight callers, two loads."""
    loaders = stall(stage, A, B)
    callers = [Caller(stage.manager, each) for each in (A, B) * 4]
    wait_until(lambda: callers_waiting(stage) == [4, 4], "not all wait")
    for loader in loaders:
        loader.go_on.set()

    handles = [caller.handle() for caller in callers]

    assert [handle.id for handle in handles] == [A, B] * 4
    assert sorted(each for each, _ in stage.shelf.made) == [A, B]
    assert [each.handles for each in stage.manager.states()] == [4, 4]
    assert not stage.manager._loads
    for handle in handles:
        handle.release()


def test_every_caller_hears_why_the_load_failed(stage: Stage) -> None:
    """One load fails; all who wait for it are told."""
    stalled = StalledLoader(failure=errors.InvalidModel("the weights are cut short"))
    stage.shelf.prepared[A] = [stalled]
    callers = [Caller(stage.manager, A) for _ in range(4)]
    wait_until(lambda: callers_waiting(stage) == [4], "not all wait")

    stalled.go_on.set()

    for caller in callers:
        assert "the weights are cut short" in str(caller.error())
    assert len(stage.shelf.made) == 1


# Room


def test_what_was_used_longest_ago_makes_room(stage: Stage) -> None:
    """A third version takes the place of the one whose last handle was taken first."""
    stage.use(A, B, A)

    stage.use(C)

    assert stage.manager.available_ids() == (A, C)
    assert stage.states(B) == [S.START, S.LOADING, S.AVAILABLE, S.UNLOADING, S.END]
    assert [loader.calls for loader in stage.shelf.made_for(B)] == [["load", "unload"]]


def test_what_was_unloaded_is_loaded_again(stage: Stage) -> None:
    """Each life has a loader of its own."""
    stage.use(A, B, C, A)

    assert stage.manager.available_ids() == (A, C)
    assert [loader.calls for loader in stage.shelf.made_for(A)] == [["load", "unload"], ["load"]]


def test_what_is_in_use_stays(stage: Stage) -> None:
    """Of those that are not in use, the one used longest ago goes instead."""
    with stage.manager.handle("a", 1):
        stage.use(B, C)

        assert stage.manager.available_ids() == (A, C)


def test_call_ends_when_all_stay_in_use(threads: tuple[int, int]) -> None:
    """It is told who holds what; nothing was unloaded, and what is loaded can still be had."""
    stage = Stage(options(threads, room_wait_seconds=0.0))
    held = [stage.manager.handle("a", 1), stage.manager.handle("b", 1), stage.manager.handle("b", 1)]

    with pytest.raises(
        errors.NoRoom, match=r"no room to load c/1: 2 .* a/1 \(AVAILABLE, 1 .* b/1 \(AVAILABLE, 2 "
    ):
        stage.manager.handle("c", 1)
    stage.use(A, B)

    assert stage.states(A) == stage.states(B) == [S.START, S.LOADING, S.AVAILABLE]
    for handle in held:
        handle.release()
    assert stage.manager.close(PATIENCE_SECONDS) == ()


def test_call_waits_for_room_until_its_time(stage: Stage) -> None:
    """Up to the limit, and no longer."""
    with stage.manager.handle("a", 1), stage.manager.handle("b", 1):
        caller = Caller(stage.manager, C)
        wait_until(lambda: stage.manager._residents._asking, "it does not ask for room")
        stage.clock.advance(59.0)
        assert caller.waits
        stage.clock.advance(1.0)

        assert "none could be unloaded within 60 s" in str(caller.error())


def test_release_lets_a_waiting_call_go_on(stage: Stage) -> None:
    """The version that is no longer in use makes room."""
    a, b = stage.manager.handle("a", 1), stage.manager.handle("b", 1)
    caller = Caller(stage.manager, C)
    wait_until(lambda: stage.manager._residents._asking, "it does not ask for room")
    a.release()

    with caller.handle() as c:
        assert c.id == C
    assert stage.manager.available_ids() == (B, C)
    b.release()


class StalledUnloadLoader(FakeLoader):
    """Unloads only once it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.unloading = threading.Event()
        self.go_on = threading.Event()

    def unload(self) -> None:
        """Wait, then unload."""
        self.unloading.set()
        assert self.go_on.wait(PATIENCE_SECONDS), "nobody let the stalled unload go"
        super().unload()


def test_what_is_being_unloaded_still_takes_room(threads: tuple[int, int]) -> None:
    """The next one is loaded when the unload is over; who asks for what leaves waits for its next life."""
    stage = Stage(options(threads, most=1))
    leaving = StalledUnloadLoader()
    stage.shelf.prepared[A] = [leaving]
    stage.use(A)
    for_b = Caller(stage.manager, B)
    assert leaving.unloading.wait(PATIENCE_SECONDS)
    for_a = Caller(stage.manager, A)
    wait_until(lambda: A in stage.manager._loads, "nobody waits for the next life of a/1")
    assert stage.manager.available_ids() == ()

    leaving.go_on.set()

    with for_b.handle() as b:
        assert b.id == B
    with for_a.handle() as a:
        assert a.id == A
    assert stage.manager.available_ids() == (A,)
    assert stage.manager.close(PATIENCE_SECONDS) == ()


def test_without_a_limit_nothing_is_unloaded(threads: tuple[int, int]) -> None:
    """As in TensorFlow Serving."""
    stage = Stage(options(threads, most=None))

    stage.use(A, B, C, ServableId("a", 2), ServableId("a", 3))

    assert len(stage.manager.available_ids()) == 5
    assert stage.manager.close(PATIENCE_SECONDS) == ()
    assert [loader.calls for _, loader in stage.shelf.made] == [["load", "unload"]] * 5


class CountedLoader(FakeLoader):
    """Counts how many are in memory."""

    def __init__(self, count: "Count") -> None:
        super().__init__()
        self._count = count

    def load(self) -> None:
        """One more."""
        self._count.add(+1)
        super().load()

    def unload(self) -> None:
        """One less."""
        super().unload()
        self._count.add(-1)


class Count:
    """How many are in memory, and how many there were at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.now = self.most = 0

    def add(self, change: int) -> None:
        """So many more."""
        with self._lock:
            self.now += change
            self.most = max(self.most, self.now)


def test_many_callers_keep_to_the_limit(threads: tuple[int, int]) -> None:
    """Threads that want more than there is room for all get everything, one after the other."""
    stage, count, served = Stage(options(threads, most=3)), Count(), []
    ids = [ServableId(f"m{number}", 1) for number in range(6)]
    for each in ids:
        stage.shelf.existing[each.name] = [1]
        stage.shelf.prepared[each] = [CountedLoader(count) for _ in range(500)]

    def call(seed: int) -> None:
        for each in random.Random(seed).choices(ids, k=40):
            with stage.manager.handle(each.name) as handle:
                assert handle.servable.signatures
                served.append(handle.id)

    callers = [threading.Thread(target=call, args=(seed,)) for seed in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(PATIENCE_SECONDS)

    assert len(served) == 6 * 40
    assert count.most <= 3
    assert stage.manager.close(PATIENCE_SECONDS) == ()
    assert count.now == 0


# The whole


def test_close_unloads_everything(stage: Stage) -> None:
    """Afterwards no handle is given."""
    stage.use(A, B)

    assert stage.manager.close(PATIENCE_SECONDS) == ()

    assert [loader.calls for _, loader in stage.shelf.made] == [["load", "unload"]] * 2
    assert stage.manager.available_ids() == ()
    with pytest.raises(errors.ManagerClosed, match="a/1"):
        stage.manager.handle("a", 1)


def test_closed_manager_hears_no_more() -> None:
    """A bus that outlives it does not keep it."""
    bus = EventBus()
    manager = CachingManager(Shelf({"a": [1]}), options((0, 0)), Surroundings(bus))
    manager.handle("a").release()
    gone = weakref.ref(manager)

    assert manager.close(PATIENCE_SECONDS) == ()
    del manager
    gc.collect()

    assert gone() is None


def test_close_names_what_is_held(stage: Stage) -> None:
    """It is unloaded when it is released, and a second close finds nothing left."""
    handle = stage.manager.handle("a", 1)

    assert stage.manager.close(0.0) == (A,)
    handle.release()

    assert stage.manager.close(PATIENCE_SECONDS) == ()
    assert stage.states(A)[-1] is S.END


@pytest.mark.parametrize("what", ["a load", "room"])
def test_close_ends_the_calls_that_wait(threads: tuple[int, int], what: str) -> None:
    """Whether they wait for a load, which may hang, or for room."""
    stage = Stage(options(threads, most=1))
    (stalled,) = stall(stage, A)
    waiting = Caller(stage.manager, A)
    assert stalled.loading.wait(PATIENCE_SECONDS)
    other = Caller(stage.manager, B if what == "room" else A)
    if what == "room":
        wait_until(lambda: stage.manager._residents._asking, "it does not ask for room")
    else:
        wait_until(lambda: callers_waiting(stage) == [2], "the second call does not wait")

    stage.manager.close(0.0)

    assert isinstance(other.error(), errors.ManagerClosed)
    stalled.go_on.set()
    assert isinstance(waiting.error(), errors.LifecycleError)
    assert stage.manager.close(PATIENCE_SECONDS) == ()
    assert stage.manager.available_ids() == ()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CachingManagerOptions(0), "most_loaded is 0; expected 1 or more, or None"),
        (lambda: CachingManagerOptions(1, room_wait_seconds=-1.0), "room_wait_seconds is -1.0"),
        (lambda: CachingManagerOptions(1, retry_failed_seconds=float("nan")), "retry_failed_seconds is nan"),
    ],
    ids=["most_loaded", "room_wait_seconds", "retry_failed_seconds"],
)
def test_wrong_options_are_refused(make: Callable[[], CachingManagerOptions], message: str) -> None:
    """An option outside its range is named at construction."""
    with pytest.raises(ValueError, match=message):
        make()
