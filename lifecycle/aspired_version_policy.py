"""Which version of one servable to load or unload next: a decision on a snapshot, without side effects.

Source: TensorFlow Serving's `core/aspired_version_policy.h` and `core/availability_preserving_policy.h`.
"""

import dataclasses
import enum
from collections.abc import Sequence
from typing import Protocol

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
        ascending order. Only a new aspired version can be loaded, and only a ready one unloaded.
        """
        ...


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
        new = [each.id for each in aspired if each.state is HarnessState.NEW]
        return Action(ActionKind.LOAD, max(new)) if new else None
