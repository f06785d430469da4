"""Lazy models: loaded when they are first asked for, and unloaded, the one asked for longest ago first, to make room.

A model is woken and put to sleep as a whole, with all of its versions, by what is aspired of it: `worker.aspirations`
aspires nothing of one that the table says is asleep.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from lifecycle.managed_servable import VersionStatus
from lifecycle.resource_tracker import ResourceTracker
from lifecycle.resources import NOTHING, ResourceAllocation
from lifecycle.servable_id import ServableId
from lifecycle.servable_state import ServableState
from worker.lazy_demand import LazyDemand
from worker.lazy_room import Candidate, least_recent, leaving_for
from worker.lazy_states import Versions, is_alive, is_going, is_in_use, is_whole
from worker.log import Occasionally
from worker.model_table import ModelTable, Sleep

_log = logging.getLogger(__name__)

SETTLE_SECONDS = 0.5
"""A model that was woken stays at least so long once it is available: what is held for it is looked at twenty times a
second."""
ANSWER_SECONDS = 5.0
"""And at most so long until the first request has come to it."""
BACK_SOON_SECONDS = 60.0
"""A model that was unloaded for others and is asked for again within this time shows that there is too little room."""

Reason = Literal["memory", "number", "idle"]


class Manager(Protocol):
    """What is asked of `lifecycle.aspired_versions_manager.AspiredVersionsManager`."""

    def states(self) -> tuple[VersionStatus, ...]:
        """Every managed version."""
        ...

    def waiting_for_room(self) -> tuple[tuple[ServableId, ResourceAllocation], ...]:
        """The loads that wait for room, and what each needs."""
        ...


class LazyObserver(Protocol):
    """Hears what becomes of lazy models; `worker.metrics_lazy.LazyMetrics` is one."""

    def awake(self, models: int) -> None:
        """So many are loaded, or on their way."""
        ...

    def woken(self) -> None:
        """One is loaded because it was asked for."""
        ...

    def put_to_sleep(self, reason: str) -> None:
        """One is unloaded."""
        ...


@dataclass(frozen=True)
class LazyLimits:
    """How much of lazy models is kept loaded, besides what the memory allows.

    Attributes:
        most_awake: models at a time, those on their way included; 0 is without limit.
        idle_seconds: after so long without a request a model is unloaded; 0: never.
    """

    most_awake: int = 0
    idle_seconds: float = 0.0


class LazyModels:
    """Says of each lazy model, in the table, whether it is loaded; belongs to the control thread.

    1. No other model is ever unloaded, and a version in use only once its last request is answered.
    2. A model that was woken stays until it is available and what was held for it could be answered.
    3. For a load, of whichever model, that waits for memory, lazy models go only where that makes the room it needs.
    """

    def __init__(  # noqa: PLR0913 - what it is connected with, each by its name
        self,
        table: ModelTable,
        manager: Manager,
        tracker: ResourceTracker,
        demand: LazyDemand,
        observer: LazyObserver,
        *,
        limits: LazyLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._table = table
        self._manager = manager
        self._tracker = tracker
        self._demand = demand
        self._observer = observer
        self._limits = limits or LazyLimits()
        self._occasionally = Occasionally(_log, seconds=30.0, clock=clock)
        self._names: set[str] = set()
        self._awake: dict[str, float | None] = {}  # since when each was there as a whole; None: not yet
        self._made_room_at: dict[str, float] = {}
        self._crowded = False  # more are awake than may be

    def changed(self, name: str, now: float) -> None:
        """A valid record of this model, or its removal, has been applied to the table."""
        model = self._table.lookup(name)
        if model is None or model.sleep is None:
            self._names.discard(name)
            self._awake.pop(name, None)
            self._made_room_at.pop(name, None)
            self._demand.forget(name)
        elif name not in self._names:
            self._names.add(name)
            if any(each.id.name == name and each.aspired for each in self._manager.states()):
                # It was served until now: there is no reason to make the next request wait.
                self._awake[name] = now
                self._demand.use(name)
                self._table.set_sleep(name, Sleep.AWAKE)
                self._crowded = self._limits.most_awake > 0
        self._demand.watched = bool(self._names)
        self._observer.awake(len(self._awake))

    def step(self, now: float) -> bool:
        """Wake what is asked for, and put to sleep what has to go; whether anything has changed."""
        if not self._names:
            return False
        wanted = self._demand.wanted(now)
        idle = self._idle(now)
        due = wanted or idle or self._crowded or None in self._awake.values()
        if not due and not (self._awake and self._manager.waiting_for_room()):
            return False
        look = self._look()
        changed = self._note_whole(look, now)
        changed |= self._put_idle_to_sleep(idle, look, now)
        changed |= self._make_room(look, now)
        changed |= self._wake(wanted, look, now)
        self._observer.awake(len(self._awake))
        return changed

    def may_make_room(self, servable_id: ServableId, needs: ResourceAllocation) -> bool:
        """Whether a load that finds no room would have it without the other lazy models; then they will go.

        For the manager, which asks before the load ends for want of room: any thread.
        """
        others, going = NOTHING, self._names
        for status in self._manager.states():
            if status.id.name in going and status.id.name != servable_id.name:
                others += status.resources
        used = self._tracker.used()
        enough = all(
            used.of(device) - others.of(device) + needs.of(device) <= limit
            for device, limit in self._tracker.limits().items()
        )
        if enough and others.memory:
            self._demand.nudge()
            return True
        return False

    def _look(self) -> dict[str, dict[int, VersionStatus]]:
        """The managed versions by model."""
        found: dict[str, dict[int, VersionStatus]] = {}
        for status in self._manager.states():
            found.setdefault(status.id.name, {})[status.id.version] = status
        return found

    def _note_whole(self, look: Mapping[str, Versions], now: float) -> bool:
        changed = False
        for name in [name for name, since in self._awake.items() if since is None]:
            model = self._table.lookup(name)
            if model is not None and is_whole(model, look.get(name, {})):
                self._awake[name] = now
                self._table.set_sleep(name, Sleep.AWAKE)
                changed = True
        return changed

    def _idle(self, now: float) -> list[str]:
        limit = self._limits.idle_seconds
        if not limit:
            return []
        return [
            name
            for name, since in self._awake.items()
            if since is not None and now - max(since, self._demand.asked_at(name)) >= limit
        ]

    def _put_idle_to_sleep(self, idle: Iterable[str], look: Mapping[str, Versions], now: float) -> bool:
        unused = [name for name in idle if not is_in_use(look.get(name, {}))]
        for name in unused:
            self._put_to_sleep(name, "idle", now)
        return bool(unused)

    def _make_room(self, look: Mapping[str, Versions], now: float) -> bool:
        """Put to sleep what is in the way of loads that wait for memory."""
        # In this order: what changes meanwhile makes the room seem larger, and the next step looks again.
        used, line = self._tracker.used(), self._manager.waiting_for_room()
        if not line:
            return False
        leaving = NOTHING
        for name, versions in look.items():
            for each in versions.values():
                if each.state is ServableState.UNLOADING or self._table.asleep(name):
                    leaving += each.resources
        free = {
            device: limit - used.of(device) + leaving.of(device)
            for device, limit in self._tracker.limits().items()
        }
        places: dict[str, int] = {}
        for place, (servable_id, _) in enumerate(line):
            places.setdefault(servable_id.name, place)
        chosen = leaving_for(line, free, self._candidates(look, places, now))
        for name, servable_id in chosen.items():
            self._put_to_sleep(name, "memory", now, str(servable_id))
        return bool(chosen)

    def _candidates(
        self, look: Mapping[str, Versions], places: Mapping[str, int], now: float
    ) -> list[Candidate]:
        """The models that may go now."""
        found = []
        for name, since in self._awake.items():
            versions = look.get(name, {})
            stays = name not in places if since is None else self._may_be_waited_for(name, since, now)
            if not stays:
                memory = sum((each.resources for each in versions.values()), NOTHING)
                asked_at = self._demand.asked_at(name)
                found.append(Candidate(name, is_in_use(versions), asked_at, memory, places.get(name)))
        return found

    def _may_be_waited_for(self, name: str, since: float, now: float) -> bool:
        """Whether requests that were held for it may have had no chance yet to be answered."""
        answered = self._demand.asked_at(name) >= since
        return now - since < (SETTLE_SECONDS if answered else ANSWER_SECONDS)

    def _wake(self, wanted: Iterable[str], look: Mapping[str, Versions], now: float) -> bool:
        """Wake what is asked for, as far as the number allows, and make room by number for the rest."""
        changed, refused, most = False, 0, self._limits.most_awake
        present = {name for name in self._names if is_alive(look.get(name, {}))}
        present |= {name for name, since in self._awake.items() if since is None}
        for name in wanted:
            if not self._table.asleep(name):
                self._demand.grant(name)
            elif is_going(look.get(name, {})):
                continue
            elif most and len(present - {name}) >= most:
                refused += 1
            else:
                present.add(name)
                self._wake_one(name, now)
                changed = True
        if not most:
            return changed
        too_many = len(present & self._awake.keys()) + refused - most
        for each in least_recent(self._candidates(look, {}, now)):
            if too_many > 0 and each.name in present:
                self._put_to_sleep(each.name, "number", now)
                too_many -= 1
                changed = True
        self._crowded = too_many > 0
        return changed

    def _wake_one(self, name: str, now: float) -> None:
        self._demand.grant(name)
        self._awake[name] = None
        self._table.set_sleep(name, Sleep.WAKING)
        self._observer.woken()
        _log.info("a lazy model is loaded: it was asked for", extra={"model": name})
        made_room_at = self._made_room_at.pop(name, None)
        if made_room_at is not None and now - made_room_at < BACK_SOON_SECONDS:
            self._occasionally.warning(
                "a lazy model that was unloaded for another is asked for again: those in use do not fit beside each "
                "other, and their requests wait for loads; give models more memory, or raise "
                "lifecycle.most_lazy_models where that is what is short",
                key="too little room",
                model=name,
                unloaded_seconds_ago=round(now - made_room_at, 1),
                loaded=len(self._awake),
            )

    def _put_to_sleep(self, name: str, reason: Reason, now: float, for_what: str = "") -> None:
        del self._awake[name]
        self._table.set_sleep(name, Sleep.ASLEEP)
        self._observer.put_to_sleep(reason)
        if reason != "idle":
            self._made_room_at[name] = now
        facts = {"model": name, "reason": reason, **({"for": for_what} if for_what else {})}
        _log.info("a lazy model is unloaded until it is asked for again", extra=facts)
