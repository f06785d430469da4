"""Where the replies to the records of one poll go and what they carry, as columns."""

from collections.abc import Sequence
from typing import NamedTuple

from worker.kafka.records import Headers

ANY_PARTITION = -1

Place = tuple[str, int]
"""A reply topic and a partition of it; -1 leaves the choice to the key."""


class ReplyRoute(NamedTuple):
    """Where one reply goes and what it carries.

    Attributes:
        topic: the reply topic.
        partition: its partition; -1 leaves the choice to the key.
        headers: the reply's headers, or None.
    """

    topic: str
    partition: int
    headers: Headers | None


class ReplyRoutes:
    """The routes of one poll, by position; filled in by the poll thread, then read by the batch threads.

    Attributes:
        places: where each reply goes.
        headers: what each reply carries, or None.
    """

    __slots__ = ("headers", "places")

    def __init__(self, records: int, own: Place) -> None:
        """Every reply goes to the binding's own topic and carries nothing, until something else is put."""
        self.places: list[Place] = [own] * records
        self.headers: list[Headers | None] = [None] * records

    def at(self, position: int) -> ReplyRoute:
        """The route of one reply."""
        return ReplyRoute(*self.places[position], self.headers[position])

    def picked(self, positions: Sequence[int]) -> "ReplyRoutes":
        """The routes of these positions by themselves."""
        routes = ReplyRoutes(0, ("", ANY_PARTITION))
        routes.places = [self.places[position] for position in positions]
        routes.headers = [self.headers[position] for position in positions]
        return routes

    def put(self, positions: Sequence[int], places: list[Place], headers: list[Headers | None]) -> None:
        """Set the routes of these positions, in their order; takes the lists over."""
        if len(positions) == len(self.places):
            self.places, self.headers = places, headers
            return
        for position, place, of_one in zip(positions, places, headers, strict=True):
            self.places[position] = place
            self.headers[position] = of_one
