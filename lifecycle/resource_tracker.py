"""Who has how much of each device's memory set aside: so that no two loads take the same room.

Source: TensorFlow Serving's `resources/resource_tracker.h`. What differs: what is set aside is kept for each life of a
version, so that nothing has to be estimated anew when one ends.
"""

import threading
from collections.abc import Callable, Collection, Mapping

from lifecycle.resources import HOST, NOTHING, Device, ResourceAllocation, bytes_text
from lifecycle.servable_id import ServableId

LimitOf = Callable[[Device], int | None]
"""The bytes of a device's memory that models may take; None is without limit. The same answer each time."""

_MOST_NAMED = 5


class Reservation:
    """What is set aside for one life of a version. Changed by its tracker alone.

    Attributes:
        id: the version.
        needs: what is set aside.
        moving: whether its load or its unload is under way, the end of which may leave room.
    """

    __slots__ = ("id", "moving", "needs")

    def __init__(self, servable_id: ServableId, needs: ResourceAllocation) -> None:
        self.id = servable_id
        self.needs = needs
        self.moving = True


class ResourceTracker:
    """Sets memory aside, never more of a device than its limit. Thread-safe; several managers may share one.

    Its lock is taken under a manager's, and no other one under it.
    """

    def __init__(self, limit_of: LimitOf, how_to_raise: str = "raise the limit") -> None:
        """Nothing is set aside yet.

        Args:
            limit_of: the limit of each device; `{HOST: 4 << 30}.get` limits the host alone.
            how_to_raise: what whoever reads a refusal may do, in the imperative.
        """
        self._limit_of = limit_of
        self._how_to_raise = how_to_raise
        self._lock = threading.Lock()  # guards the two below and every reservation
        self._reservations: dict[Reservation, None] = {}  # a dictionary for its order
        self._total = {HOST: 0}  # of all of them, by each device of which something was ever asked for

    def devices(self) -> tuple[Device, ...]:
        """The host, and each device of which something was ever asked for."""
        with self._lock:
            return tuple(sorted(self._total))

    def limits(self) -> Mapping[Device, int]:
        """The limit of each of these devices that has one."""
        return self._limits(self.devices())

    def used(self) -> ResourceAllocation:
        """All that is set aside."""
        with self._lock:
            return ResourceAllocation(self._total)

    def reserve(self, servable_id: ServableId, needs: ResourceAllocation) -> Reservation | None:
        """Set that aside for a load that is about to begin, where there is room for it; else None."""
        limits = self._limits(needs.memory)
        with self._lock:
            for device in needs.memory:
                self._total.setdefault(device, 0)
            if not self._fits(needs, limits):
                return None
            made = Reservation(servable_id, NOTHING)
            self._change(made, needs)
            self._reservations[made] = None
            return made

    def has_room(self, needs: ResourceAllocation) -> bool:
        """Whether that could be set aside now."""
        limits = self._limits(needs.memory)
        with self._lock:
            return self._fits(needs, limits)

    def may_have_room(self, needs: ResourceAllocation) -> bool:
        """Whether room for that may come by itself: who has what is short is on its way, and the limits allow it."""
        limits = self._limits(needs.memory)
        with self._lock:
            short = [
                each for each, limit in limits.items() if self._total.get(each, 0) + needs.of(each) > limit
            ]
            coming = any(each.moving and any(map(each.needs.of, short)) for each in self._reservations)
        return coming and self.could_ever_have_room(needs)

    def could_ever_have_room(self, needs: ResourceAllocation) -> bool:
        """Whether that would fit if nothing else were there."""
        return all(needs.of(device) <= limit for device, limit in self._limits(needs.memory).items())

    def settle(self, reservation: Reservation, needs: ResourceAllocation | None = None) -> None:
        """Its load is over, or will not end by itself. With *needs*, it keeps no more than that of what it had."""
        with self._lock:
            reservation.moving = False
            if needs is not None:
                self._change(reservation, reservation.needs.at_most(needs))

    def unsettle(self, reservation: Reservation) -> None:
        """Its unload has been decided."""
        with self._lock:
            reservation.moving = True

    def release(self, reservation: Reservation) -> None:
        """Nothing of it is in memory any more."""
        with self._lock:
            if reservation in self._reservations:
                del self._reservations[reservation]
                self._change(reservation, NOTHING)

    def refusal(self, servable_id: ServableId, needs: ResourceAllocation) -> str:
        """Why a load cannot have that, for an operator: what it needs, what there is, who has the rest, what to do."""
        limits = self._limits(needs.memory)
        with self._lock:
            used, reserved = ResourceAllocation(self._total), list(self._reservations)
        too_big = [
            f"it needs {bytes_text(needs.of(device))} of {device.owner} memory, and models may have "
            f"{bytes_text(limit)} of that in all"
            for device, limit in limits.items()
            if needs.of(device) > limit
        ]
        if too_big:
            return f"{servable_id} is too big: {'; '.join(too_big)}: {self._how_to_raise}, or make it smaller"
        short = [
            f"it needs {bytes_text(needs.of(device))} of {device.owner} memory; "
            f"{bytes_text(max(0, limit - used.of(device)))} of {bytes_text(limit)} is free"
            f"{_shown([(each.needs.of(device), each.id) for each in reserved])}"
            for device, limit in limits.items()
            if used.of(device) + needs.of(device) > limit
        ]
        instead = ""
        if any(each.id.name == servable_id.name for each in reserved):
            instead = ", let the old version go first (the policy resource_preserving)"
        return (
            f"there is no room for {servable_id}: {'; '.join(short) or f'it needs {needs}'}: "
            f"unload another version{instead}, or {self._how_to_raise}"
        )

    def _limits(self, devices: Collection[Device]) -> dict[Device, int]:
        """Called without the lock: to find out a limit may take its time."""
        found = {each: self._limit_of(each) for each in devices}
        return {device: limit for device, limit in found.items() if limit is not None}

    def _fits(self, needs: ResourceAllocation, limits: Mapping[Device, int]) -> bool:
        return all(self._total.get(device, 0) + needs.of(device) <= limit for device, limit in limits.items())

    def _change(self, reservation: Reservation, needs: ResourceAllocation) -> None:
        for device in reservation.needs.memory.keys() | needs.memory.keys():
            self._total[device] += needs.of(device) - reservation.needs.of(device)
        reservation.needs = needs


def _shown(sizes: list[tuple[int, ServableId]]) -> str:
    others = sorted((each for each in sizes if each[0]), reverse=True)
    if not others:
        return ""
    named = [f"{servable_id} {bytes_text(size)}" for size, servable_id in others[:_MOST_NAMED]]
    more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
    return f" (set aside: {', '.join(named)}{more})"
