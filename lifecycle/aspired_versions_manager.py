"""The intent: makes the aspired versions true. Most users of this package begin here.

Source: TensorFlow Serving's `core/aspired_versions_manager.h`; `reconciliation` says what differs.
"""

import dataclasses
import threading
from collections.abc import Sequence

from lifecycle import basic_manager, errors, execution, reconciliation, servable_handle
from lifecycle.managed_servable import VersionStatus
from lifecycle.resources import NOTHING, ResourceAllocation
from lifecycle.servable_id import ServableId, ServableRequest
from lifecycle.source import AspiredVersion
from lifecycle.threads import PeriodicStep


@dataclasses.dataclass(frozen=True, slots=True)
class AspiredVersionsManagerOptions(reconciliation.ReconciliationOptions):
    """How the aspired is made true: what one step may do, and what surrounds the steps.

    Attributes:
        step_interval_seconds: how often to step, on a thread; 0 is without a thread: the owner calls `step`.
            With a thread, every change makes it step at once; the interval bounds how late a retry begins.
        basic: how loads and unloads are carried out.
    """

    step_interval_seconds: float = 0.0
    basic: execution.BasicManagerOptions = dataclasses.field(default_factory=execution.BasicManagerOptions)

    def __post_init__(self) -> None:
        if not self.step_interval_seconds >= 0:
            raise ValueError(f"step_interval_seconds is {self.step_interval_seconds}; expected 0 or more")


class AspiredVersionsManager:
    """Loads what is aspired and unloads what is not. Thread-safe; a `source.Target`.

    1. Omission is un-aspiration: a version that the last list for its name lacks is unloaded, when the policy
       allows; nothing else is ever unloaded.
    2. A life has one loader. A version that stays aspired keeps it. One that is aspired again while its loader
       is on its way out waits, with its whole list, until that is gone, and then gets the new one; only what
       the policy keeps, because nothing can replace it, is taken back as it is.
    3. One list for each name is pending; a later list replaces one that waits.

    `step` does everything; other methods only take note or look. No subscriber of the bus may call `step`.
    """

    def __init__(
        self,
        options: AspiredVersionsManagerOptions | None = None,
        surroundings: execution.Surroundings | None = None,
    ) -> None:
        options = options or AspiredVersionsManagerOptions()
        surroundings = surroundings or execution.Surroundings()
        self._clock = surroundings.clock
        self._make_room: execution.MakeRoom = execution.nothing_to_unload
        self._basic = basic_manager.BasicManager(options.basic, surroundings, self._ask_for_room)
        self.bus = self._basic.bus
        self._taking_note = threading.Lock()  # guards the two below
        self._pending: dict[str, tuple[AspiredVersion, ...]] = {}
        self._closed = False
        self._stepping = threading.Lock()  # held while a step runs; guards _reconciliation
        self._reconciliation = reconciliation.Reconciliation(self._basic, options, self._clock)
        self._periodic = PeriodicStep(self.step, options.step_interval_seconds, "lifecycle-step")
        self._unsubscribe = self.bus.subscribe(lambda _: self._periodic.wake())

    def set_aspired_versions(self, name: str, versions: Sequence[AspiredVersion]) -> None:
        """Take note of the complete list of aspired versions of one name; an empty one unloads it.

        Raises:
            InvalidAspiration: a version of another name, or a version twice; nothing is changed.
            ManagerClosed: the manager was closed.
        """
        seen: set[ServableId] = set()
        for version in versions:
            if version.id.name != name:
                raise errors.InvalidAspiration(f"{version.id} is aspired under the name {name!r}")
            if version.id in seen:
                raise errors.InvalidAspiration(f"{version.id} is aspired twice in one list")
            seen.add(version.id)
        with self._taking_note:
            if self._closed:
                raise errors.ManagerClosed(f"the manager is closed and takes no aspirations for {name!r}")
            self._pending[name] = tuple(versions)
        self._periodic.wake()

    def make_room_by(self, make_room: execution.MakeRoom) -> None:
        """Ask this whether room can be made, by other aspirations, before a load ends for want of it; any thread asks.

        While it says so, the load waits. By default there is nothing to unload.
        """
        self._make_room = make_room

    def set_load_threads(self, threads: int) -> None:
        """Load so many at a time from now on, 1 or more: many while nothing is served yet, few afterwards.

        A manager that loads in its caller stays so.
        """
        self._basic.set_load_threads(threads)

    def handle(self, name: str, version: int | None = None) -> servable_handle.ServableHandle:
        """A handle on a version, or on the latest available one.

        Raises:
            ServableNotFound: no such version is available.
        """
        return self._basic.handle(name, version)

    def handle_for(self, request: ServableRequest) -> servable_handle.ServableHandle:
        """As `handle`, for a request that may also ask for the earliest version."""
        return self._basic.handle_for(request)

    def available_handles(self) -> dict[ServableId, servable_handle.ServableHandle]:
        """A handle on each available version; the caller releases them."""
        return self._basic.available_handles()

    def available_ids(self) -> tuple[ServableId, ...]:
        """The ids of which a handle can be had, ascending."""
        return self._basic.available_ids()

    def states(self) -> tuple[VersionStatus, ...]:
        """Every managed version, by name and ascending version."""
        aspired = self._reconciliation.aspired  # only looked at: a step may be changing it
        return tuple(dataclasses.replace(each, aspired=each.id in aspired) for each in self._basic.states())

    def resources_of(self, servable_id: ServableId) -> ResourceAllocation:
        """The memory that is set aside for a version; nothing for one that is not managed."""
        try:
            return self._basic.status(servable_id).resources
        except errors.NotManaged:
            return NOTHING

    def waiting_for_room(self) -> tuple[tuple[ServableId, ResourceAllocation], ...]:
        """The loads that wait for room, in the order of asking, and what each needs."""
        return self._basic.waiting_for_room()

    def pending_names(self) -> tuple[str, ...]:
        """The names whose last list is not yet taken up."""
        with self._taking_note:
            return tuple(sorted(self._pending))

    def step(self) -> None:
        """Reconcile once: take up what is pending, then do one action for each servable that needs one."""
        with self._stepping:
            self._basic.step()
            self._reconciliation.forget_what_is_gone()
            with self._taking_note:
                pending = dict(self._pending)
            taken_up = self._reconciliation.take_up(pending)
            with self._taking_note:
                for name in taken_up:
                    if self._pending.get(name) is pending[name]:  # otherwise a later list has come meanwhile
                        del self._pending[name]
            self._reconciliation.renew_failed()
            self._reconciliation.act()

    def close(self, timeout_seconds: float) -> tuple[ServableId, ...]:
        """Stop stepping, cancel every load, unload everything.

        Returns:
            The versions that are not unloaded after that time: a handle is held, or their loader hangs.
        """
        deadline = self._clock() + timeout_seconds
        with self._taking_note:
            self._closed = True
            self._pending.clear()
        self._periodic.close(timeout_seconds)
        left = self._basic.close(max(0.0, deadline - self._clock()))
        self._unsubscribe()
        return left

    def _ask_for_room(self, servable_id: ServableId, needs: ResourceAllocation) -> bool:
        return self._make_room(servable_id, needs)
