"""The intent: makes the aspired versions true, step by step, in the order that a policy gives.

Source: TensorFlow Serving's `core/aspired_versions_manager.h`. What differs: actions on different servables
happen in one step; a failed version can be tried again; a version that is kept can be taken back.
"""

import dataclasses
import logging
import threading
from collections.abc import Callable, Sequence

from lifecycle import (
    aspired_version_policy,
    basic_manager,
    errors,
    execution,
    loader_harness,
    servable_handle,
)
from lifecycle.aspired_version_policy import Action, ActionKind
from lifecycle.loader_harness import HarnessState
from lifecycle.managed_servable import VersionStatus
from lifecycle.servable_id import ServableId, ServableRequest
from lifecycle.source import AspiredVersion
from lifecycle.threads import PeriodicStep

_log = logging.getLogger(__name__)

ActionOrder = Callable[[Sequence[Action]], Sequence[Action]]


def unloads_first(actions: Sequence[Action]) -> Sequence[Action]:
    """Unloads before loads, so that room is made before it is needed; otherwise by name."""
    return sorted(actions, key=lambda action: (action.kind is not ActionKind.UNLOAD, action.id))


@dataclasses.dataclass(frozen=True, slots=True)
class AspiredVersionsManagerOptions:
    """How the aspired is made true.

    Attributes:
        step_interval_seconds: how often to step, on a thread; 0 is without a thread: the owner calls `step`.
            With a thread, every change makes it step at once; the interval bounds how late a retry begins.
        retry_failed_after_seconds: after a version has failed for good, how long until it is given a new
        loader;
            None is never (as in TensorFlow Serving).
        reload_failed_when_aspired_again: a failed version that is aspired once more gets the new loader at
        once. policy: decides for each servable. order: the order in which one step carries out its actions.
        basic: how loads and unloads are carried out.
    """

    step_interval_seconds: float = 0.0
    retry_failed_after_seconds: float | None = None
    reload_failed_when_aspired_again: bool = False
    policy: aspired_version_policy.AspiredVersionPolicy = dataclasses.field(
        default_factory=aspired_version_policy.AvailabilityPreservingPolicy
    )
    order: ActionOrder = unloads_first
    basic: execution.BasicManagerOptions = dataclasses.field(default_factory=execution.BasicManagerOptions)

    def __post_init__(self) -> None:
        if not self.step_interval_seconds >= 0:
            raise ValueError(f"step_interval_seconds is {self.step_interval_seconds}; expected 0 or more")
        after_seconds = self.retry_failed_after_seconds
        if after_seconds is not None and not after_seconds >= 0:
            raise ValueError(f"retry_failed_after_seconds is {after_seconds}; expected 0 or more, or None")


class AspiredVersionsManager:
    """Loads what is aspired and unloads what is not. Thread-safe; a `source.Target`.

    1. Omission is un-aspiration: a version that the last list for its name lacks is unloaded, when the policy
       allows; nothing else is ever unloaded.
    2. A life has one loader. A version that is aspired again while its old loader is on its way out waits,
    with
       its whole list, until that is gone, and then gets the new one. If the policy keeps the old one because
       nothing can replace it, it is taken back as it is.
    3. One list for each name is pending; a later list replaces one that waits.

    `step` does everything; other methods only take note or look. It must not be called by a subscriber of
    the bus.
    """

    def __init__(
        self,
        options: AspiredVersionsManagerOptions | None = None,
        surroundings: execution.Surroundings | None = None,
    ) -> None:
        self._options = options or AspiredVersionsManagerOptions()
        surroundings = surroundings or execution.Surroundings()
        self._clock = surroundings.clock
        self._basic = basic_manager.BasicManager(self._options.basic, surroundings)
        self.bus = self._basic.bus
        self._taking_note = threading.Lock()  # guards the two below
        self._pending: dict[str, tuple[AspiredVersion, ...]] = {}
        self._closed = False
        self._stepping = threading.Lock()  # guards the two below; held while a step runs
        self._aspired: dict[ServableId, AspiredVersion] = {}
        self._retry_at: dict[ServableId, float] = {}
        self._periodic = PeriodicStep(self.step, self._options.step_interval_seconds, "lifecycle-step")
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
        aspired = self._aspired
        return tuple(dataclasses.replace(each, aspired=each.id in aspired) for each in self._basic.states())

    def pending_names(self) -> tuple[str, ...]:
        """The names whose last list is not yet taken up."""
        with self._taking_note:
            return tuple(sorted(self._pending))

    def step(self) -> None:
        """Reconcile once: take up what is pending, then do one action for each servable that needs one."""
        with self._stepping:
            self._basic.step()
            self._forget_what_is_gone()
            for name in self.pending_names():
                self._take_up(name)
            self._renew_failed()
            for action in self._options.order(self._actions()):
                self._act(action)

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

    def _forget_what_is_gone(self) -> None:
        for servable_id, state in self._basic.harness_states().items():
            if servable_id not in self._aspired and state in loader_harness.AT_REST:
                self._basic.stop_managing(servable_id)

    def _take_up(self, name: str) -> None:
        versions = self._pending.get(name, ())
        wanted = {version.id: version for version in versions}
        managed = self._snapshot(name)
        returning = [each for each in managed if each.id in wanted and not each.aspired]
        if returning and not self._are_kept(returning, managed):
            return
        with self._taking_note:
            if self._pending.get(name) is not versions:
                return  # a later list has replaced it, or the manager was closed
            del self._pending[name]
        for each in managed:
            if each.id not in wanted and self._aspired.pop(each.id, None) is not None:
                self._retry_at.pop(each.id, None)
                self._basic.cancel_load(each.id)
        states = {each.id: each.state for each in managed}
        for version in versions:
            self._aspired[version.id] = version
            if version.id not in states:
                self._manage(version, None)
            elif self._options.reload_failed_when_aspired_again and states[version.id] is HarnessState.ERROR:
                self._renew(version)

    def _are_kept(
        self,
        returning: Sequence[aspired_version_policy.VersionSnapshot],
        managed: Sequence[aspired_version_policy.VersionSnapshot],
    ) -> bool:
        if any(each.state is not HarnessState.READY for each in returning):
            return False
        action = self._options.policy.next_action(managed)
        return action is None or action.kind is ActionKind.LOAD

    def _renew_failed(self) -> None:
        after_seconds = self._options.retry_failed_after_seconds
        if after_seconds is None:
            return
        now = self._clock()
        states = self._basic.harness_states()
        for servable_id, version in self._aspired.items():
            if states[servable_id] is not HarnessState.ERROR or version.loader_factory is None:
                continue
            due = self._retry_at.setdefault(servable_id, now + after_seconds)
            # A loader that hangs past its limit is not joined by another: it would only hang as well.
            if now >= due and not self._basic.status(servable_id).running:
                self._renew(version)

    def _renew(self, version: AspiredVersion) -> None:
        earlier_error = self._basic.status(version.id).error
        self._retry_at.pop(version.id, None)
        self._basic.stop_managing(version.id)
        self._manage(version, earlier_error)

    def _manage(self, version: AspiredVersion, earlier_error: errors.LifecycleError | None) -> None:
        if version.loader_factory is None:
            assert version.error is not None
            self._basic.manage_failed(version.id, version.error)
            return
        try:
            loader = version.loader_factory()
        except Exception as error:  # noqa: BLE001 - a factory may raise anything; it fails this version alone
            _log.warning("making a loader for %s failed", version.id, exc_info=True)
            self._basic.manage_failed(version.id, errors.LoadFailed(f"no loader for {version.id}: {error}"))
        else:
            self._basic.manage(version.id, loader, earlier_error)

    def _snapshot(self, name: str) -> list[aspired_version_policy.VersionSnapshot]:
        return [
            aspired_version_policy.VersionSnapshot(servable_id, state, servable_id in self._aspired)
            for servable_id, state in sorted(self._basic.harness_states().items())
            if servable_id.name == name
        ]

    def _actions(self) -> list[Action]:
        states = self._basic.harness_states()
        unsettled = {
            each.name
            for each, state in states.items()
            if state is (HarnessState.NEW if each in self._aspired else HarnessState.READY)
        }
        actions = (self._options.policy.next_action(self._snapshot(name)) for name in sorted(unsettled))
        return [action for action in actions if action is not None]

    def _act(self, action: Action) -> None:
        try:
            if action.kind is ActionKind.LOAD:
                self._basic.load(action.id)
            else:
                self._basic.unload(action.id)
        except errors.LifecycleError:
            # The basic manager was closed meanwhile, or a policy asks for what cannot be done.
            _log.exception("cannot %s %s", action.kind.value, action.id)
