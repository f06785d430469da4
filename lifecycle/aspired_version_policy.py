"""Which version of one servable to load or unload next: a decision on a snapshot, without side effects.

Source: TensorFlow Serving's `core/aspired_version_policy.h`, `core/availability_preserving_policy.h` and
`core/resource_preserving_policy.h`.
"""

import dataclasses
import enum
from collections.abc import Sequence
from typing import Protocol

from lifecycle import errors
from lifecycle.loader_harness import HarnessState
from lifecycle.servable_id import ServableId


@dataclasses.dataclass(frozen=True, slots=True)
class VersionSnapshot:
    """One managed version as a policy sees it."""

    id: ServableId
    state: HarnessState
    aspired: bool


class ActionKind(enum.Enum):
    """What may be done to a version."""

    LOAD = "load"
    UNLOAD = "unload"


@dataclasses.dataclass(frozen=True, slots=True)
class Action:
    """What is to be done next to one version."""

    kind: ActionKind
    id: ServableId


class AspiredVersionPolicy(Protocol):
    """Decides for one servable name at a time. Stateless: the same snapshot gives the same answer."""

    def next_action(self, versions: Sequence[VersionSnapshot]) -> Action | None:
        """What to do next; None when nothing is to be done, or something must be waited for.

        Called by the manager's step, once for each name and step, with every managed version of that name in
        ascending order. Only a new aspired version can be loaded, and only a ready un-aspired one unloaded;
        `checked` tells.
        """
        ...


def checked(action: Action | None, versions: Sequence[VersionSnapshot]) -> Action | None:
    """The action, where it can be done to one of the versions.

    Raises:
        PolicyFailed: it cannot, or it is no action.
    """
    if action is None:
        return None
    if not isinstance(action, Action):
        raise errors.PolicyFailed(f"it returned a {type(action).__name__}; expected an Action or None")
    version = next((each for each in versions if each.id == action.id), None)
    if version is None:
        raise errors.PolicyFailed(f"it wants to {action.kind.value} {action.id}, which is not managed")
    load = action.kind is ActionKind.LOAD
    if (version.aspired, version.state) != (load, HarnessState.NEW if load else HarnessState.READY):
        wanted = "aspired" if version.aspired else "un-aspired"
        raise errors.PolicyFailed(
            f"it wants to {action.kind.value} {action.id}, which is {wanted} and {version.state.value}"
        )
    return action


class AvailabilityPreservingPolicy:
    """Keeps a servable available, at the price of two versions in memory for a while.

    1. When nothing is aspired, or an aspired version is ready, or more than one un-aspired version is ready:
       unload the lowest un-aspired version that is ready.
    2. Otherwise, or when there is none: load the highest new aspired version.

    So the last ready version goes only when an aspired one has taken its place; a version that fails to load
    displaces nothing.
    """

    def next_action(self, versions: Sequence[VersionSnapshot]) -> Action | None:
        """See the class."""
        aspired = [each for each in versions if each.aspired]
        leaving = [each.id for each in versions if not each.aspired and each.state is HarnessState.READY]
        replaced = any(each.state is HarnessState.READY for each in aspired)
        if leaving and (not aspired or replaced or len(leaving) > 1):
            return Action(ActionKind.UNLOAD, min(leaving))
        return _load_highest(versions)


class ResourcePreservingPolicy:
    """Never has a version in memory beside the one that it replaces, at the price of a gap in availability.

    1. Unload the lowest un-aspired version that is ready.
    2. Otherwise, while any un-aspired version is not yet gone: wait.
    3. Otherwise load the highest new aspired version.
    """

    def next_action(self, versions: Sequence[VersionSnapshot]) -> Action | None:
        """See the class."""
        leaving = [each for each in versions if not each.aspired]
        ready = [each.id for each in leaving if each.state is HarnessState.READY]
        if ready:
            return Action(ActionKind.UNLOAD, min(ready))
        gone = {HarnessState.DISABLED, HarnessState.ERROR}
        return _load_highest(versions) if all(each.state in gone for each in leaving) else None


def _load_highest(versions: Sequence[VersionSnapshot]) -> Action | None:
    new = [each.id for each in versions if each.aspired and each.state is HarnessState.NEW]
    return Action(ActionKind.LOAD, max(new)) if new else None
