"""Which of the requested loads may begin: those for which what they need could be set aside.

Source: the *decision phase* of TensorFlow Serving's `core/basic_manager.cc`. What differs: no thread waits for room, so
that a load that does not fit holds up none that does.
"""

import logging

from lifecycle.loader_harness import HarnessState
from lifecycle.managed_servable import ManagedServable
from lifecycle.resource_tracker import Reservation, ResourceTracker
from lifecycle.resources import ResourceAllocation
from lifecycle.servable_id import ServableId
from lifecycle.servable_state import ServableState

_log = logging.getLogger(__name__)


class LoadApproval:
    """The loads of one manager that have asked for room, and what is set aside for its versions.

    1. Room is set aside for one load after the other; who has asked first has the first choice.
    2. Who does not fit waits for as long as anything is on its way, in this manager or in another that has the same
       tracker, that may leave room.
    3. What is set aside stays so until nothing of the version is in memory: a load that hangs past its limit keeps it.

    Guarded by the manager's lock.
    """

    def __init__(self, tracker: ResourceTracker) -> None:
        self._tracker = tracker
        self._waiting: list[ManagedServable] = []

    def ask(self, managed: ManagedServable) -> list[ManagedServable]:
        """Stand in line, then decide; gives what is approved. Requires: its load is requested, its needs are known."""
        self._waiting.append(managed)
        approved, _ = self.decide()
        if managed in self._waiting:
            # As things are now: to say it anew whenever something ends would cost each end a look at all that wait.
            managed.waiting = f"it waits until something else has ended: {self.refusal(managed)}"
            if not self.is_hopeless(managed):
                _log.warning("a load waits: %s: %s", managed.harness.id, managed.waiting)
        return approved

    def decide(self) -> tuple[list[ManagedServable], ManagedServable | None]:
        """Approve the loads for which there is room.

        Returns:
            Those; and one, if any, for which there is none, and for which nothing that is on its way can make any. It
            goes on waiting; the caller makes room or ends it, and asks again.
        """
        approved: list[ManagedServable] = []
        for managed in tuple(self._waiting):
            if managed.harness.state is not HarnessState.LOAD_REQUESTED:  # cancelled
                self._waiting.remove(managed)
                continue
            managed.reservation = self._tracker.reserve(managed.harness.id, managed.needs)
            if managed.reservation is not None:
                self._waiting.remove(managed)
                managed.harness.approve_load()
                approved.append(managed)
        return approved, next(filter(self.is_hopeless, self._waiting), None)

    def line(self) -> tuple[tuple[ServableId, ResourceAllocation], ...]:
        """The loads that wait for room, in the order of asking, and what each needs."""
        return tuple(
            (managed.harness.id, managed.needs)
            for managed in self._waiting
            if managed.harness.state is HarnessState.LOAD_REQUESTED
        )

    def is_hopeless(self, managed: ManagedServable) -> bool:
        """Whether it waits for room, there is none, and nothing that is on its way can make any."""
        if managed.harness.state is not HarnessState.LOAD_REQUESTED or managed not in self._waiting:
            return False
        return not self._tracker.may_have_room(managed.needs) and not self._tracker.has_room(managed.needs)

    def note(self, managed: ManagedServable, state: ServableState) -> None:
        """A version has come to a new public state; what is set aside for it follows."""
        reservation = managed.reservation
        if reservation is None:
            return
        if state is ServableState.UNLOADING:
            self._tracker.unsettle(reservation)
        elif state is ServableState.AVAILABLE:
            self._tracker.settle(reservation, managed.needs)
        elif (
            state is ServableState.END and managed.harness.running
        ):  # it hangs, and nobody knows for how long
            self._tracker.settle(reservation)
        elif state is ServableState.END:
            managed.reservation = None
            self._tracker.release(reservation)

    def take_late(self, managed: ManagedServable) -> Reservation | None:
        """What is set aside for a load that ended after its end was told; `release` it once nothing is in memory."""
        reservation, managed.reservation = managed.reservation, None
        if reservation is not None:
            self._tracker.unsettle(reservation)
        return reservation

    def release(self, reservation: Reservation) -> None:
        """What had been set aside is free."""
        self._tracker.release(reservation)

    def could_have_room(self, managed: ManagedServable) -> bool:
        """Whether it would fit if nothing else were there."""
        return self._tracker.could_ever_have_room(managed.needs)

    def has_room(self, managed: ManagedServable) -> bool:
        """Whether there is room now for what has ended for want of it."""
        return self._tracker.has_room(managed.needs)

    def refusal(self, managed: ManagedServable) -> str:
        """Why there is no room for it."""
        return self._tracker.refusal(managed.harness.id, managed.needs)
