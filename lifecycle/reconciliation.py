"""One step from what is managed towards what is aspired: the decisions of `aspired_versions_manager`.

Source: TensorFlow Serving's `core/aspired_versions_manager.cc`. What differs: actions on different servables
happen in one step; a failed version can be tried again; a version that is kept can be taken back.
"""

import dataclasses
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from lifecycle import aspired_version_policy, basic_manager, errors, loader_harness
from lifecycle.aspired_version_policy import Action, ActionKind, VersionSnapshot
from lifecycle.backoff import Backoff
from lifecycle.loader_harness import HarnessState
from lifecycle.servable_id import ServableId
from lifecycle.source import AspiredVersion

_log = logging.getLogger(__name__)

_FALLBACK = aspired_version_policy.AvailabilityPreservingPolicy()
"""Decides what may go where a policy has failed: what it unloads is replaced, or wanted by nobody."""

ActionOrder = Callable[[Sequence[Action]], Sequence[Action]]


def unloads_first(actions: Sequence[Action]) -> Sequence[Action]:
    """Unloads before loads, so that room is made before it is needed; otherwise by name."""
    return sorted(actions, key=lambda action: (action.kind is not ActionKind.UNLOAD, action.id))


@dataclasses.dataclass(frozen=True, slots=True)
class ReconciliationOptions:
    """What one step may do.

    Attributes:
        retry_failed: after a version has failed for good, how long until it is given a new loader, by how often that
            has happened in a row; None is never (as in TensorFlow Serving).
        reload_failed_when_aspired_again: a failed version that is aspired once more gets the new loader at once, and
            one that waits for its next try is tried at once.
        policy: decides for each servable.
        order: the order in which one step carries out its actions.
    """

    retry_failed: Backoff | None = None
    reload_failed_when_aspired_again: bool = False
    policy: aspired_version_policy.AspiredVersionPolicy = dataclasses.field(
        default_factory=aspired_version_policy.AvailabilityPreservingPolicy
    )
    order: ActionOrder = unloads_first


class Reconciliation:
    """Knows what is aspired and what failed when. Called by one thread at a time.

    Attributes:
        aspired: the versions that are wanted, from the lists that have been taken up.
    """

    def __init__(
        self, basic: basic_manager.BasicManager, options: ReconciliationOptions, clock: Callable[[], float]
    ) -> None:
        self.aspired: dict[ServableId, AspiredVersion] = {}
        self._basic = basic
        self._options = options
        self._clock = clock
        self._retry_at: dict[ServableId, float] = {}
        self._failures: dict[ServableId, int] = {}  # in a row, of versions that are aspired

    def forget_what_is_gone(self) -> None:
        """Stop managing what nobody wants and of which nothing is loaded."""
        for servable_id, state in self._basic.harness_states().items():
            if servable_id not in self.aspired and state in loader_harness.AT_REST:
                self._basic.stop_managing(servable_id)

    def take_up(self, pending: Mapping[str, Sequence[AspiredVersion]]) -> list[str]:
        """Take up the lists that need not wait; their names are returned."""
        streams = self._streams(pending)
        return [name for name, versions in pending.items() if self._take_up(versions, streams[name])]

    def renew_failed(self) -> None:
        """Give a new loader to each failed version whose time has come, or for which there is room now."""
        wait = self._options.retry_failed
        if wait is None:
            return
        now = self._clock()
        states = self._basic.harness_states()
        for servable_id, version in self.aspired.items():
            if states[servable_id] is HarnessState.READY:
                self._failures.pop(servable_id, None)
            if states[servable_id] is not HarnessState.ERROR or version.loader_factory is None:
                continue
            if servable_id not in self._retry_at:
                failures = self._failures[servable_id] = self._failures.get(servable_id, 0) + 1
                self._retry_at[servable_id] = now + wait.wait_seconds(failures)
            due = now >= self._retry_at[servable_id] or self._basic.room_has_come(servable_id)
            # A loader that hangs past its limit is not joined by another: it would only hang as well.
            if due and not self._basic.status(servable_id).running:
                self._renew(version)

    def act(self) -> None:
        """Carry out one action for each servable that needs one."""
        states = self._basic.harness_states()
        unsettled = {
            each.name
            for each, state in states.items()
            if state is (HarnessState.NEW if each in self.aspired else HarnessState.READY)
        }
        streams = self._streams(unsettled)
        actions = [self._next_action(streams[name]) for name in sorted(unsettled)]
        for action in self._options.order([action for action in actions if action is not None]):
            try:
                if action.kind is ActionKind.LOAD:
                    self._basic.load(action.id)
                else:
                    self._basic.unload(action.id)
            except errors.LifecycleError:
                # The basic manager was closed meanwhile, or an order has made up an action of its own.
                _log.exception("cannot %s %s", action.kind.value, action.id)

    def _next_action(self, versions: Sequence[VersionSnapshot]) -> Action | None:
        """What the policy says. One that fails loads nothing, and keeps nothing that is replaced or not wanted."""
        try:
            return self._decide(versions)
        except errors.PolicyFailed as error:
            for each in versions:
                if each.aspired and each.state is HarnessState.NEW:
                    _log.warning("%s is not loaded", each.id, exc_info=True)
                    self._basic.refuse(each.id, errors.PolicyFailed(f"{each.id} is not loaded: {error}"))
            action = _FALLBACK.next_action(versions)
            return action if action is not None and action.kind is ActionKind.UNLOAD else None

    def _decide(self, versions: Sequence[VersionSnapshot]) -> Action | None:
        """What the policy says. Raises `PolicyFailed`, whatever a policy does."""
        try:
            action = self._options.policy.next_action(versions)
            return aspired_version_policy.checked(action, versions)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            why = str(error) if isinstance(error, errors.PolicyFailed) else f"{type(error).__name__}: {error}"
            raise errors.PolicyFailed(f"its policy failed: {why}") from error

    def _streams(self, names: Iterable[str]) -> dict[str, list[VersionSnapshot]]:
        streams: dict[str, list[VersionSnapshot]] = {name: [] for name in names}
        if streams:
            for each, state in self._basic.harness_states().items():
                if each.name in streams:
                    streams[each.name].append(VersionSnapshot(each, state, each in self.aspired))
        for versions in streams.values():
            versions.sort(key=lambda each: each.id.version)
        return streams

    def _take_up(self, versions: Sequence[AspiredVersion], managed: Sequence[VersionSnapshot]) -> bool:
        wanted = {version.id: version for version in versions}
        returning = [each for each in managed if each.id in wanted and not each.aspired]
        if returning and not self._are_kept(returning, managed):
            return False
        for each in managed:
            if each.aspired and each.id not in wanted:
                self._unaspire(each.id)
        states = {each.id: each.state for each in managed}
        for version in versions:
            self.aspired[version.id] = version
            if version.id not in states:
                self._manage(version, None)
            elif self._options.reload_failed_when_aspired_again:
                self._failures.pop(version.id, None)
                if states[version.id] is HarnessState.ERROR:
                    self._renew(version)
                else:
                    self._basic.hasten(version.id)
        return True

    def _are_kept(self, returning: Sequence[VersionSnapshot], managed: Sequence[VersionSnapshot]) -> bool:
        # The policy keeps them while nothing can replace them; waiting for their end might be for ever.
        if any(each.state is not HarnessState.READY for each in returning):
            return False
        try:
            action = self._decide(managed)
        except errors.PolicyFailed:
            action = _FALLBACK.next_action(managed)
        return action is None or action.kind is ActionKind.LOAD

    def _unaspire(self, servable_id: ServableId) -> None:
        del self.aspired[servable_id]
        self._retry_at.pop(servable_id, None)
        self._failures.pop(servable_id, None)
        self._basic.cancel_load(servable_id)

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
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a factory may raise anything; it fails this version alone
            _log.warning("making a loader for %s failed", version.id, exc_info=True)
            self._basic.manage_failed(version.id, errors.LoadFailed(f"no loader for {version.id}: {error}"))
        else:
            self._basic.manage(version.id, loader, earlier_error)
