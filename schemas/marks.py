"""What a walk through a record has used up of its limits, and what it saw on its way."""

from collections.abc import Callable

from schemas.wire_limits import WireLimits


class Marks:
    """The state of one walk.

    Attributes:
        items_left: array and map entries that may still come.
        depth_left: recursive records that may still be entered.
        data: (start, end) of each tensor's plain bytes, in order.
        id_at: where the length of the request's id begins.
    """

    __slots__ = ("data", "depth_left", "id_at", "items_left")

    def __init__(self, limits: WireLimits) -> None:
        self.items_left = limits.record_items
        self.depth_left = limits.depth
        self.data: list[tuple[int, int]] = []
        self.id_at: int | None = None


Walker = Callable[[bytes, int, Marks], int]
"""Takes the value, the position of a datum and the marks; gives the position behind the datum."""
