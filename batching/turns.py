"""Whose turn it is among those that are due: who has used the device least.

Start-time fair queueing, with the time that was used in place of the time that will be: each owner has a mark that what
it uses moves on, and the one with the lowest mark is next. Who comes after a while starts at the mark of whoever was
served last, so that nobody saves turns up. Owners that use the same, or nothing, take turns.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

M = TypeVar("M")

MOST_AHEAD_SECONDS = 1.0
"""So far at most is an owner's mark before that of whoever is served: one batch that took very long, as the first of a
model may, is not made up for by a long wait."""
LEAST_KEPT = 64
"""Marks of so many owners that wait for nothing are kept before anybody looks which of them still mean something."""


class Place(Generic[M]):
    """One owner's."""

    __slots__ = ("mark", "members", "queued")

    def __init__(self, mark: float) -> None:
        self.mark = mark
        self.members: deque[M] = deque()
        self.queued = False  # whether the heap has an entry of it, perhaps with an earlier mark


class Turns(Generic[M]):
    """Members in turns, fairly by what their owners have used; those of one owner one after the other.

    Pure; its owner guards it. Each call costs little, however many members there are.
    """

    def __init__(self) -> None:
        self._places: dict[Hashable, Place[M]] = {}
        self._heap: list[tuple[float, int, Place[M]]] = []
        self._entries = itertools.count()  # who came first among equal marks
        self._served = 0.0  # the mark of whoever was served last
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[M]:
        for place in self._places.values():
            yield from place.members

    def add(self, member: M, owner: Hashable) -> None:
        """Put a member at the end of its owner's."""
        place = self._places.get(owner)
        if place is None:
            place = self._places[owner] = Place(self._served)
        place.members.append(member)
        self._count += 1
        if not place.queued:
            place.mark = max(place.mark, self._served)
            self._queue(place)

    def pop(self) -> M | None:
        """Remove and return the next member; None when there is none."""
        while self._heap:
            mark, _, place = self._heap[0]
            if not place.members:
                heapq.heappop(self._heap)
                place.queued = False
            elif mark != place.mark:
                heapq.heapreplace(self._heap, (place.mark, next(self._entries), place))
            else:
                heapq.heappop(self._heap)
                place.queued = False
                self._served = mark
                self._count -= 1
                member = place.members.popleft()
                if place.members:
                    self._queue(place)
                elif len(self._places) > 2 * len(self._heap) + LEAST_KEPT:
                    self._forget()
                return member
        return None

    def remove(self, member: M, owner: Hashable) -> None:
        """Remove a member out of turn."""
        self._places[owner].members.remove(member)
        self._count -= 1

    def charge(self, owner: Hashable, seconds: float) -> None:
        """Say that an owner has used the device for so long."""
        place = self._places.get(owner)
        if place is not None:
            place.mark = min(place.mark + seconds, self._served + MOST_AHEAD_SECONDS)

    def forget(self, owner: Hashable) -> None:
        """Keep nothing of an owner that will not come again. Requires: none of its members wait."""
        self._places.pop(owner, None)

    def _queue(self, place: Place[M]) -> None:
        place.queued = True
        heapq.heappush(self._heap, (place.mark, next(self._entries), place))

    def _forget(self) -> None:
        """Keep no mark that says no more than a new one would."""
        self._places = {
            owner: place for owner, place in self._places.items() if place.queued or place.mark > self._served
        }
