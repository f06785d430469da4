"""Carries out loads and unloads that have been decided: on the executors, retried, announced in order.

The second half of `basic_manager`, whose lock it shares. Source: the *execution phase* of TensorFlow
Serving's `core/basic_manager.cc`.
"""

import dataclasses
import functools
import threading
import time
from collections.abc import Callable, Iterable

from lifecycle import errors, event_bus, load_approval, loader_harness, serving_map, threads
from lifecycle.loader_harness import HarnessState, Outcome
from lifecycle.managed_servable import ManagedServable
from lifecycle.resource_tracker import Reservation, ResourceTracker
from lifecycle.resources import ResourceAllocation
from lifecycle.servable_id import ServableId
from lifecycle.servable_state import ServableState


@dataclasses.dataclass(frozen=True, slots=True)
class BasicManagerOptions:
    """How a manager loads and unloads.

    Attributes:
        load_threads: loads at a time; 0 loads in the caller of `load` and `step`.
        unload_threads: unloads at a time; 0 unloads in the caller of `unload` and `step`.
        load: tries, waits and the time limit of each load.
        pre_load_hook: called on the load's thread before each first try; what it raises fails that try.
    """

    load_threads: int = 0
    unload_threads: int = 0
    load: loader_harness.LoadOptions = dataclasses.field(default_factory=loader_harness.LoadOptions)
    pre_load_hook: Callable[[ServableId], None] | None = None

    def __post_init__(self) -> None:
        for name in ("load_threads", "unload_threads"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 0 or more")


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """What a manager is given from outside; each part can be replaced by a test.

    Attributes:
        bus: hears of every change of state.
        clock: monotonic seconds.
        load_executor: runs loads; None makes one of the options.
        unload_executor: runs unloads; None makes one of the options.
        resources: sets aside what each load needs; None is without any limit. Several managers may share one.
    """

    bus: event_bus.EventBus = dataclasses.field(default_factory=event_bus.EventBus)
    clock: Callable[[], float] = time.monotonic
    load_executor: threads.Executor | None = None
    unload_executor: threads.Executor | None = None
    resources: ResourceTracker | None = None


MakeRoom = Callable[[ServableId, ResourceAllocation], bool]
"""Unloads something, or will soon, so that a load that needs so much may go on; False when there is nothing to unload.

It is asked again with each step for as long as there is no room.
"""


class Execution:
    """Runs the loads and unloads of one manager; thread-safe.

    No lock and no thread is held while a version waits for its handles or for its next try: the last released
    handle schedules the unload, and `begin_due` begins the try.
    """

    def __init__(self, options: BasicManagerOptions, surroundings: Surroundings) -> None:
        self.changed = threading.Condition()  # guards every harness; told when one may have come to rest
        self.serving = serving_map.ServingMap()
        self.bus = surroundings.bus
        self.clock = surroundings.clock
        self.make_room: MakeRoom = nothing_to_unload
        self._hook = options.pre_load_hook
        self._approval = (
            None if surroundings.resources is None else load_approval.LoadApproval(surroundings.resources)
        )
        self._loads = surroundings.load_executor or threads.new_executor(
            options.load_threads, "lifecycle-load"
        )
        self._unloads = surroundings.unload_executor or threads.new_executor(
            options.unload_threads, "lifecycle-unload"
        )

    def note(self, managed: ManagedServable, state: ServableState) -> None:
        """Put a change of state in its place among the events. Requires: under the lock; announce after it."""
        event = self.bus.enqueue(managed.harness.id, state, managed.harness.error)
        managed.since = event.time
        if state is ServableState.AVAILABLE:
            managed.earlier_error = None
        if self._approval is not None:
            self._approval.note(managed, state)
        self.changed.notify_all()

    def announce(self) -> None:
        """Tell what was noted, and begin the loads for which there is room now. Requires: the caller holds no lock."""
        while self._approval is not None:
            with self.changed:
                approved, hopeless = self._approval.decide()
            self._post_loads(approved)
            if hopeless is None or not self._make_room_or_end(hopeless, self._approval):
                break
        self.bus.deliver()

    def request(self, managed: ManagedServable) -> None:
        """Its load is wanted. Requires: under the lock; load after it."""
        managed.harness.request_load()
        if self._approval is None:
            managed.harness.approve_load()

    def has_room(self, managed: ManagedServable) -> bool:
        """Whether there is room now for a load that has ended for want of it."""
        return self._approval is not None and self._approval.has_room(managed)

    def waiting_for_room(self) -> tuple[tuple[ServableId, ResourceAllocation], ...]:
        """The loads that wait for room, and what each needs. Requires: under the lock."""
        return () if self._approval is None else self._approval.line()

    def set_load_threads(self, threads: int) -> None:
        """Load so many at a time from now on; an executor without threads stays so."""
        self._loads.resize(threads)

    def load(self, managed: ManagedServable) -> None:
        """Load what was requested, or try again what is due."""
        self._loads.submit(functools.partial(self._run_load, managed))

    def unload(self, managed: ManagedServable) -> None:
        """Unload what quiesces, once its last handle is released."""
        self.serving.remove(managed.harness.id)
        assert managed.pins is not None, f"{managed.harness.id} was never ready"
        if managed.pins.close(functools.partial(self._unload_idle, managed, self._unloads.post)):
            self._unload_idle(managed, self._unloads.submit)

    def begin_due(self, all_managed: Iterable[ManagedServable]) -> None:
        """Fail tries past their limit, begin those whose wait is over, run unloads that have no thread."""
        now = self.clock()
        due: list[ManagedServable] = []
        expired: list[ManagedServable] = []
        with self.changed:
            for managed in all_managed:
                if managed.harness.expire(now):
                    expired.append(managed)
                    self.note(managed, ServableState.END)
                elif managed.harness.take_due_retry(now):
                    due.append(managed)
        for _ in expired:
            self._loads.lend_thread()
        self.announce()
        for managed in due:
            self.load(managed)
        self._loads.run_posted()
        self._unloads.run_posted()

    def close(self, deadline: float, *, late_unloads: bool) -> None:
        """End the threads; those of unloads stay when a handle may still be released that allows one."""
        self._loads.close(max(0.0, deadline - self.clock()))
        if not late_unloads:
            self._unloads.close(max(0.0, deadline - self.clock()))

    def _post_loads(self, approved: Iterable[ManagedServable]) -> None:
        for each in approved:
            self._loads.post(functools.partial(self._run_load, each))

    def _run_load(self, managed: ManagedServable) -> None:
        estimating = managed.harness.state is HarnessState.LOAD_REQUESTED
        run = self._run_estimate if estimating else self._run_attempt
        while run(managed) is Outcome.RETRY:
            with self.changed:
                if not managed.harness.take_due_retry(self.clock()):
                    return

    def _run_estimate(self, managed: ManagedServable) -> Outcome | None:
        harness, approval = managed.harness, self._approval
        assert approval is not None, f"{harness.id} needs no approval"
        with self.changed:
            if not harness.begin_estimate(self.clock()):
                return None
        try:
            error = managed.call_estimate()
        except BaseException:
            self._end_interrupted(managed)
            raise
        with self.changed:
            expired = harness.state is HarnessState.ERROR
            outcome = harness.end_estimate(error, self.clock())
            approved = approval.ask(managed) if outcome is Outcome.READY else []
            if harness.state is HarnessState.ERROR and not expired:
                self.note(managed, ServableState.END)
        self._post_loads(each for each in approved if each is not managed)
        self.announce()
        if expired:
            self._loads.return_thread()
        if managed in approved:
            self._run_load(managed)
        return outcome

    def _run_attempt(self, managed: ManagedServable) -> Outcome | None:
        harness = managed.harness
        with self.changed:
            if not harness.begin_attempt(self.clock()):
                return None
            if harness.attempts == 1:
                self.note(managed, ServableState.LOADING)
        self.announce()
        try:
            error = managed.call_load(self._hook)
            if error is None and self._approval is not None:
                managed.call_estimate()
        except BaseException:
            self._end_interrupted(managed)
            raise
        with self.changed:
            expired = harness.state is HarnessState.ERROR
            outcome = harness.end_attempt(error, self.clock())
            late = self._take_late(managed) if outcome is Outcome.LATE else None
            if outcome is Outcome.READY:
                assert managed.pins is not None
                self.serving.add(managed.pins)
                self.note(managed, ServableState.AVAILABLE)
            elif harness.state is HarnessState.ERROR and not expired:
                self.note(managed, ServableState.END)
        self.announce()
        if outcome is Outcome.UNWANTED:
            self._finish_unload(managed)
        elif outcome is Outcome.LATE and error is None:
            managed.call_unload()
        self._release(late)
        if expired:
            self._loads.return_thread()
        return outcome

    def _end_interrupted(self, managed: ManagedServable) -> None:
        """End a load that Ctrl-C has cut off, in a thread that loads by itself: it would be under way for ever."""
        with self.changed:
            ended = managed.harness.state is HarnessState.ERROR
            managed.harness.cancel_load()  # no further try
            managed.harness.end_attempt(errors.LoadCancelled("it was interrupted"), self.clock())
            late = self._take_late(managed) if ended else None
            if not ended:
                self.note(managed, ServableState.END)
        self._release(late)
        self.announce()

    def _unload_idle(self, managed: ManagedServable, dispatch: Callable[[threads.Job], None]) -> None:
        with self.changed:
            managed.harness.finish_quiescing()
        dispatch(functools.partial(self._run_unload, managed))
        with self.changed:
            self.changed.notify_all()

    def _run_unload(self, managed: ManagedServable) -> None:
        with self.changed:
            managed.harness.start_unloading()
        self._finish_unload(managed)

    def _finish_unload(self, managed: ManagedServable) -> None:
        error = managed.call_unload()
        with self.changed:
            managed.harness.finish_unloading(error)
            self.note(managed, ServableState.END)
        self.announce()

    def _take_late(self, managed: ManagedServable) -> Reservation | None:
        return None if self._approval is None else self._approval.take_late(managed)

    def _release(self, late: Reservation | None) -> None:
        """Nothing is in memory any more of a load that ended after its end had been told."""
        if late is not None and self._approval is not None:
            self._approval.release(late)
            self.announce()

    def _make_room_or_end(self, managed: ManagedServable, approval: load_approval.LoadApproval) -> bool:
        """Whether it is worth deciding again; where not, room will come, and the next step asks for it again."""
        coming = approval.could_have_room(managed) and self.make_room(managed.harness.id, managed.needs)
        with self.changed:
            hopeless = approval.is_hopeless(managed)
            if hopeless and not coming:
                managed.harness.fail(errors.ResourceExhausted(approval.refusal(managed)))
                self.note(managed, ServableState.END)
        return not (hopeless and coming)


def nothing_to_unload(_servable_id: ServableId, _needs: ResourceAllocation) -> bool:
    """A `MakeRoom` that makes none."""
    return False
