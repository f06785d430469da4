"""What a manager keeps about one version, and the frozen view of it that it shows."""

import dataclasses
import logging
from collections.abc import Callable, Mapping

from lifecycle import errors, loader, resource_tracker, resources, servable_handle
from lifecycle.loader_harness import HarnessState, LoaderHarness
from lifecycle.resources import NOTHING, ResourceAllocation
from lifecycle.servable_id import ServableId
from lifecycle.servable_state import ServableState

_log = logging.getLogger(__name__)

PUBLIC_STATES: Mapping[HarnessState, ServableState] = {
    HarnessState.NEW: ServableState.START,
    HarnessState.LOAD_REQUESTED: ServableState.START,
    HarnessState.LOAD_APPROVED: ServableState.START,
    HarnessState.LOADING: ServableState.LOADING,
    HarnessState.READY: ServableState.AVAILABLE,
    HarnessState.UNLOAD_REQUESTED: ServableState.AVAILABLE,
    HarnessState.QUIESCING: ServableState.UNLOADING,
    HarnessState.QUIESCED: ServableState.UNLOADING,
    HarnessState.UNLOADING: ServableState.UNLOADING,
    HarnessState.DISABLED: ServableState.END,
    HarnessState.ERROR: ServableState.END,
}
"""What outsiders see of each state of a harness."""


@dataclasses.dataclass(frozen=True, slots=True)
class VersionStatus:
    """One managed version at one moment, for people and status records.

    Attributes:
        id: which version.
        state: its public state.
        harness_state: the finer state behind it.
        aspired: whether it is wanted; False when it is on its way out.
        error: why it failed, or why its last try did while another follows; None when all is well. A version
            that is tried anew keeps the reason of its last failure until it is available.
        since: when it reached `state`; wall clock, seconds since the epoch.
        load_seconds: how long the last ended try to load took.
        attempts: tries to load, begun in this life.
        handles: how many handles are held.
        running: whether a try is under way; in `END` this is one past its limit, whose thread still hangs.
        resources: the memory that is set aside for it.
        waiting: what its load waits for before it begins; None when for nothing but its turn.
    """

    id: ServableId
    state: ServableState
    harness_state: HarnessState
    aspired: bool
    error: errors.LifecycleError | None
    since: float
    load_seconds: float | None
    attempts: int
    handles: int
    running: bool
    resources: ResourceAllocation = NOTHING
    waiting: str | None = None


class ManagedServable:
    """One version's harness, loader and handles, and what is set aside for it.

    Guarded by its manager's lock, but for `call_estimate`, `call_load` and `call_unload`: the harness sees to it that
    never two of these run at a time, and they may take long.
    """

    def __init__(self, harness: LoaderHarness, loader: loader.Loader | None) -> None:
        self.harness = harness
        self.loader = loader
        self.pins: servable_handle.Pins | None = None
        self.needs = NOTHING
        self.reservation: resource_tracker.Reservation | None = None
        self.waiting: str | None = None
        self.since = 0.0
        self.earlier_error: errors.LifecycleError | None = None

    def call_estimate(self) -> BaseException | None:
        """Ask the loader what it needs; gives what that raised, and then `needs` is what it was."""

        def estimate() -> None:
            self.needs = resources.estimate(self.loader)

        return self._raised_by(estimate, "estimating what %s needs failed")

    def call_load(self, hook: Callable[[ServableId], None] | None) -> BaseException | None:
        """Call the loader once, the hook before the first try; gives what either raised, but for Ctrl-C's."""
        loader = self.loader
        assert loader is not None, f"{self.harness.id} has no loader"

        def load() -> None:
            if hook is not None and self.harness.attempts == 1:
                hook(self.harness.id)
            loader.load()
            self.pins = servable_handle.Pins(self.harness.id, loader.servable)

        return self._raised_by(load, "loading %s failed")

    def call_unload(self) -> BaseException | None:
        """Let go of the servable and of the loader, after its unload; gives what that raised."""
        loaded, self.loader = self.loader, None
        assert loaded is not None, f"{self.harness.id} has no loader"
        if self.pins is not None:
            self.pins.servable = None
        return self._raised_by(loaded.unload, "unloading %s failed")

    def status(self) -> VersionStatus:
        """What can be said about it now. `aspired` is for the manager of intents to fill in."""
        harness = self.harness
        return VersionStatus(
            id=harness.id,
            state=PUBLIC_STATES[harness.state],
            harness_state=harness.state,
            aspired=True,
            error=harness.error or self.earlier_error,
            since=self.since,
            load_seconds=harness.attempt_seconds,
            attempts=harness.attempts,
            handles=self.pins.held if self.pins else 0,
            running=harness.running,
            resources=self.reservation.needs if self.reservation else NOTHING,
            waiting=self.waiting if harness.state is HarnessState.LOAD_REQUESTED else None,
        )

    def _raised_by(self, call: Callable[[], object], failure: str) -> BaseException | None:
        """What a call of somebody else's code raises, but for Ctrl-C's, once it is logged; None when it returns."""
        try:
            call()
        except KeyboardInterrupt:
            raise
        # It may be anything, sys.exit's and a panic's in Rust included; it fails this version alone.
        except BaseException as error:  # noqa: BLE001
            _log.warning(failure, self.harness.id, exc_info=True)
            return error
        return None
