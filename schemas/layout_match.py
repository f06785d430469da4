"""What is recognised of a poll: records of one layout, and records of several layouts of one kind."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.layout import Layout
from schemas.layout_cache import LayoutCache, Variants
from schemas.ragged_match import FewOfEach, RaggedMatch
from schemas.stacking import span

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

FEW = 16
"""Fewer records of one layout in a poll are taken together with those of other layouts of their kind."""


@dataclass(slots=True)
class Match:
    """Records of one layout. It is not changed once made, and not frozen: that would treble what making it costs.

    Attributes:
        layout: the layout.
        positions: which records, in their order.
        values: the records; none where there is a matrix.
        ids: their ids.
        matrix: the records' bytes, a row each, where they are of one length and were joined.
    """

    layout: Layout
    positions: Sequence[int]
    values: Sequence[bytes]
    ids: Sequence[bytes]
    matrix: "npt.NDArray[np.uint8] | None" = None


class Recognised:
    """What is recognised of one poll, as it grows.

    Args:
        values: of the poll.
        cache: the layouts; told of each that is seen.
    """

    __slots__ = ("_cache", "_few", "_values", "matches")

    def __init__(self, values: Sequence[bytes], cache: LayoutCache) -> None:
        self._values = values
        self._cache = cache
        self._few = FewOfEach(values)
        self.matches: list[Match | RaggedMatch] = []
        """So far."""

    def chosen(self, positions: Sequence[int]) -> Sequence[bytes]:
        """The values at these positions; all of them without a copy."""
        values = self._values
        return values if len(positions) == len(values) else list(map(values.__getitem__, positions))

    def add(
        self,
        layout: Layout,
        positions: Sequence[int],
        ids: Sequence[bytes],
        values: Sequence[bytes] = (),
        matrix: "npt.NDArray[np.uint8] | None" = None,
    ) -> None:
        """Records that have this layout; either their values or their matrix."""
        self.matches.append(Match(layout, positions, values, ids, matrix))
        self._cache.use(layout)

    def are_few(self, variants: Variants, positions: Sequence[int]) -> bool:
        """Whether records with this head are better looked at with those of other layouts; they are then, at last."""
        if len(positions) >= FEW or not variants.may_be_few:
            return False
        self._few.add(variants.layouts[0], positions)
        return True

    def take_rows(
        self,
        variants: Variants,
        matrix: "npt.NDArray[np.uint8]",
        positions: Sequence[int],
        *,
        same_head: bool,
    ) -> bool:
        """Take records of one length, a row each, if all have one of the layouts with this head; whether they have.

        With *same_head* they are known to begin with it.
        """
        if not same_head and len(positions) < FEW and variants.may_be_few:
            head = variants.head
            alike = span(matrix, 0, len(head)).tobytes() == head * len(matrix)
            return alike and self.are_few(variants, positions)
        for layout in variants.layouts:
            ids = layout.ids_in(matrix, same_head=same_head)
            if ids is not None:
                self.add(layout, positions, ids, matrix=matrix)
                return True
        return False

    def settle(self) -> list[int]:
        """Look at the few of each; the positions of those that only began like a layout."""
        ragged, missed = self._few.settle()
        for match in ragged:
            for layout in match.layouts:
                self._cache.use(layout)
        self.matches += ragged
        return missed
