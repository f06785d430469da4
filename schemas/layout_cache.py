"""The layouts that were learnt, and which of the records of a poll have which of them.

Records of many layouts are told apart by dictionaries on their heads, one dictionary per length of a head:
a few operations at the speed of C per record, however many layouts there are. What is kept is bounded in
number and bytes; the layout not used for longest goes first, so that a flood of new layouts costs speed and
no memory.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

from schemas.layout import Layout
from schemas.ragged_match import FewOfEach, RaggedMatch
from schemas.request_ids import all_start_with

if TYPE_CHECKING:
    import numpy.typing as npt

MOST_BYTES = 16 * 1024 * 1024
MOST_VARIANTS = 16
"""Layouts with one head: they differ behind the first tensor's data, and are tried one after the other."""
MOST_LENGTHS = 32
"""Lengths of heads that are tried on a record before it goes to the general decoder."""
MATRIX_RECORDS, MATRIX_BYTES = 16, 4096
"""So many records of one length, of so many bytes at most, are joined and compared as a matrix.

For fewer, calls cost more than what they save; for larger ones, the copy does.
"""
FEW = 16
"""Fewer records of one layout in a poll are taken together with those of other layouts of their kind."""


@dataclass(slots=True)
class Match:
    """Records of one layout. It is not changed once made, and not frozen: that would treble what making it costs.

    Attributes:
        layout: the layout.
        positions: which records, in their order.
        values: the records.
        ids: their ids.
        matrix: their bytes, a row each, where they are of one length and were joined.
    """

    layout: Layout
    positions: Sequence[int]
    values: Sequence[bytes]
    ids: Sequence[bytes]
    matrix: "npt.NDArray[np.uint8] | None" = None


@dataclass(slots=True, eq=False)
class _Variants:
    """The layouts with one head, the latest learnt first."""

    head: bytes
    layouts: list[Layout] = field(default_factory=list)

    @property
    def may_be_few(self) -> bool:
        """Whether records with this head may go together with those of other layouts.

        Not where it has to be found out which layout they have, and not without rows: they count otherwise.
        """
        return len(self.layouts) == 1 and self.layouts[0].rows_each > 0


class LayoutCache:
    """Layouts by head. The thread that polls owns it."""

    def __init__(self, max_layouts: int, max_bytes: int = MOST_BYTES) -> None:
        self._max_layouts = max_layouts
        self._max_bytes = max_bytes
        self._bytes = 0
        self._by_length: dict[int, dict[bytes, _Variants]] = {}
        self._lengths: list[int] = []
        self._by_use: OrderedDict[Layout, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_use)

    def add(self, layout: Layout) -> None:
        """Keep a layout, unless it is known, at the cost of the one that was not used for longest."""
        length = len(layout.head)
        if length in self._by_length:
            # Known or not: it was not tried, or not for long, behind `MOST_LENGTHS` others. It comes next.
            self._lengths.remove(length)
        else:
            self._by_length[length] = {}
        self._lengths.insert(0, length)
        variants = self._by_length[length].setdefault(layout.head, _Variants(layout.head))
        if any(known.constants == layout.constants for known in variants.layouts):
            return
        variants.layouts.insert(0, layout)
        self._by_use[layout] = None
        self._bytes += layout.constant_bytes
        if len(variants.layouts) > MOST_VARIANTS:
            self._forget(variants.layouts[-1])
        while len(self._by_use) > self._max_layouts or self._bytes > self._max_bytes:
            self._forget(next(iter(self._by_use)))

    def match(
        self, values: Sequence[bytes], positions: Sequence[int], *, one_length: bool = False
    ) -> tuple[list[Match | RaggedMatch], Sequence[int]]:
        """Sort the values at these positions by layout; with *one_length* all are known to be as long.

        Returns:
            What was recognised, and the positions that were not, in order.
        """
        matches: list[Match | RaggedMatch] = []
        few = FewOfEach(values)
        recognised: dict[int, int] = {}
        for length in self._lengths[:MOST_LENGTHS]:
            if not positions:
                break
            missed = self._match_length(length, values, positions, matches, few, one_length=one_length)
            if len(missed) < len(positions):
                recognised[length] = len(positions) - len(missed)
            missed.sort()
            positions = missed
        # What recognised most comes first next time: then fewest records are looked at twice.
        for length in sorted(recognised, key=recognised.__getitem__):
            self._lengths.remove(length)
            self._lengths.insert(0, length)
        ragged, missed = few.settle()
        for match in ragged:
            for layout in match.layouts:
                self._by_use.move_to_end(layout)
        matches += ragged
        return matches, sorted([*positions, *missed]) if missed else positions

    def _match_length(
        self,
        length: int,
        values: Sequence[bytes],
        positions: Sequence[int],
        matches: list[Match | RaggedMatch],
        few: FewOfEach,
        *,
        one_length: bool,
    ) -> list[int]:
        """Add to the matches what has a layout with a head of this length; the positions of the others."""
        chosen = _chosen(values, positions)
        first = self._by_length[length].get(chosen[0][:length])
        if first is not None and chosen[-1].startswith(first.head):
            # Mostly all are alike. One comparison then tells heads and ends.
            match = self._at_once(first, chosen, positions, same_head=False, one_length=one_length)
            if match is not None:
                matches.append(match)
                return []
        missed: list[int] = []
        for variants, members in self._by_head(length, values, positions).items():
            if variants is None:
                missed += members
            elif len(members) < FEW and variants.may_be_few:
                few.add(variants.layouts[0], members)
            else:
                missed += self._confirm(variants, values, members, matches)
        return missed

    def _by_head(
        self, length: int, values: Sequence[bytes], positions: Sequence[int]
    ) -> Mapping[_Variants | None, Sequence[int]]:
        """The positions by what their values' heads of this length tell; None for those of no known head."""
        table = self._by_length[length]
        chosen = _chosen(values, positions)
        first = table.get(chosen[0][:length])
        if first is not None and all_start_with(chosen, first.head, 0):
            return {first: positions}
        groups: dict[_Variants | None, list[int]] = defaultdict(list)
        found = map(table.get, map(itemgetter(slice(length)), chosen))
        for position, variants in zip(positions, found, strict=True):
            groups[variants].append(position)
        return groups

    def _confirm(
        self,
        variants: _Variants,
        values: Sequence[bytes],
        positions: Sequence[int],
        matches: list[Match | RaggedMatch],
    ) -> Sequence[int]:
        """Add to the matches what has one of these layouts to its end; the positions that have none."""
        chosen = _chosen(values, positions)
        match = self._at_once(variants, chosen, positions, same_head=True)
        if match is not None:
            matches.append(match)
            return ()
        for layout in tuple(variants.layouts):
            ids: Sequence[bytes] | None
            ids, missed = layout.ids_of(chosen), []
            if ids is None:
                one_by_one = [(p, layout.id_of(v)) for p, v in zip(positions, chosen, strict=True)]
                missed = [p for p, found in one_by_one if found is None]
                positions = [p for p, found in one_by_one if found is not None]
                ids = [found for _, found in one_by_one if found is not None]
                chosen = _chosen(values, positions)
            if ids:
                matches.append(Match(layout, positions, chosen, ids))
                self._by_use.move_to_end(layout)
            if not missed:
                return ()
            positions = missed
            chosen = _chosen(values, positions)
        return positions

    def _at_once(
        self,
        variants: _Variants,
        values: Sequence[bytes],
        positions: Sequence[int],
        *,
        same_head: bool,
        one_length: bool = False,
    ) -> Match | None:
        """The match of all of them, when they are of one length and all have one of these layouts."""
        if len(values) < MATRIX_RECORDS:
            return None
        width = len(values[0])
        if width > MATRIX_BYTES or not (one_length or list(map(len, values)).count(width) == len(values)):
            return None
        matrix = np.frombuffer(b"".join(values), np.uint8).reshape(len(values), width)
        for layout in variants.layouts:
            ids = layout.ids_in(matrix, same_head=same_head)
            if ids is not None:
                self._by_use.move_to_end(layout)
                return Match(layout, positions, values, ids, matrix)
        return None

    def _forget(self, layout: Layout) -> None:
        del self._by_use[layout]
        self._bytes -= layout.constant_bytes
        length = len(layout.head)
        table = self._by_length[length]
        variants = table[layout.head]
        variants.layouts.remove(layout)
        if not variants.layouts:
            del table[layout.head]
        if not table:
            del self._by_length[length]
            self._lengths.remove(length)


def _chosen(values: Sequence[bytes], positions: Sequence[int]) -> Sequence[bytes]:
    """The values at the positions; all of them without a copy."""
    return values if len(positions) == len(values) else list(map(values.__getitem__, positions))
