"""Which records of a poll have which of the layouts that are known.

Records of many layouts are told apart by their heads: many of one length all at once by hashes of the heads, others by
dictionaries, one for each length of a head, in a few operations at the speed of C per record, however many layouts
there are. What is taken for a record of a layout has been compared with it, byte by byte.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from operator import itemgetter

import numpy as np

from schemas import alike_lengths
from schemas.layout_cache import LayoutCache, Variants
from schemas.layout_match import Match, Recognised
from schemas.ragged_match import RaggedMatch
from schemas.request_ids import all_start_with

MATRIX_RECORDS, MATRIX_BYTES = 16, alike_lengths.MOST_BYTES
"""So many records of one length, of so many bytes at most, are joined and compared as a matrix.

For fewer, calls cost more than what they save; for larger ones, the copy does.
"""


class LayoutMatcher:
    """Recognises records by the layouts of a cache; the thread that polls owns it.

    Args:
        cache: the layouts.
        many: so many records of one length are sorted by their heads all at once.
    """

    def __init__(self, cache: LayoutCache, many: int = alike_lengths.MANY) -> None:
        self._cache = cache
        self._many = many

    def match(
        self,
        values: Sequence[bytes],
        positions: Sequence[int],
        lengths: Sequence[int] | None = None,
        *,
        one_length: bool = False,
    ) -> tuple[list[Match | RaggedMatch], Sequence[int]]:
        """Sort the values at these positions by layout.

        Args:
            values: of a poll.
            positions: of the values to look at, in order.
            lengths: of all values, where the caller has them.
            one_length: whether all are known to be as long.

        Returns:
            What was recognised, and the positions that were not, in order.
        """
        found = Recognised(values, self._cache)
        recognised: dict[int, int] = {}
        if len(positions) >= self._many and not self._look_alike(values, positions):
            if lengths is None or len(lengths) != len(positions):
                lengths = list(map(len, found.chosen(positions)))
            positions = alike_lengths.recognise(self._cache, found, positions, lengths, self._many)
        for length in self._cache.lengths:
            if not positions:
                break
            missed = self._match_length(length, positions, found, one_length=one_length)
            if len(missed) < len(positions):
                recognised[length] = len(positions) - len(missed)
            missed.sort()
            positions = missed
        self._cache.recognised(recognised)
        missed = found.settle()
        return found.matches, sorted([*positions, *missed]) if missed else positions

    def _look_alike(self, values: Sequence[bytes], positions: Sequence[int]) -> bool:
        """Whether all values seem to begin with one head, or none with a known one: then there is nothing to sort."""
        lengths = self._cache.lengths
        some = (positions[0], positions[len(positions) // 2], positions[-1])
        return not lengths or len({values[position][: lengths[0]] for position in some}) == 1

    def _match_length(
        self,
        length: int,
        positions: Sequence[int],
        found: Recognised,
        *,
        one_length: bool,
    ) -> list[int]:
        """Take what has a head of this length; the positions of the others."""
        chosen = found.chosen(positions)
        first = self._cache.of_length(length).get(chosen[0][:length])
        if (
            first is not None
            and chosen[-1].startswith(first.head)
            # Mostly all are alike. One comparison then tells heads and ends.
            and self._at_once(first, chosen, positions, found, same_head=False, one_length=one_length)
        ):
            return []
        missed: list[int] = []
        for variants, members in self._by_head(length, chosen, positions).items():
            if variants is None:
                missed += members
            elif not found.are_few(variants, members):
                missed += self._confirm(variants, members, found)
        return missed

    def _by_head(
        self, length: int, chosen: Sequence[bytes], positions: Sequence[int]
    ) -> Mapping[Variants | None, Sequence[int]]:
        """The positions by what their values' heads of this length tell; None for those of no known head."""
        table = self._cache.of_length(length)
        first = table.get(chosen[0][:length])
        if first is not None and all_start_with(chosen, first.head, 0):
            return {first: positions}
        groups: dict[Variants | None, list[int]] = defaultdict(list)
        known = map(table.get, map(itemgetter(slice(length)), chosen))
        for position, variants in zip(positions, known, strict=True):
            groups[variants].append(position)
        return groups

    def _confirm(self, variants: Variants, positions: Sequence[int], found: Recognised) -> Sequence[int]:
        """Take what has one of these layouts to its end; the positions that have none."""
        chosen = found.chosen(positions)
        if self._at_once(variants, chosen, positions, found, same_head=True):
            return ()
        for layout in tuple(variants.layouts):
            ids: Sequence[bytes] | None
            ids, missed = layout.ids_of(chosen), []
            if ids is None:
                one_by_one = [(p, layout.id_of(v)) for p, v in zip(positions, chosen, strict=True)]
                missed = [p for p, own in one_by_one if own is None]
                positions = [p for p, own in one_by_one if own is not None]
                ids = [own for _, own in one_by_one if own is not None]
                chosen = found.chosen(positions)
            if ids:
                found.add(layout, positions, ids, chosen)
            if not missed:
                return ()
            positions = missed
            chosen = found.chosen(positions)
        return positions

    def _at_once(
        self,
        variants: Variants,
        values: Sequence[bytes],
        positions: Sequence[int],
        found: Recognised,
        *,
        same_head: bool,
        one_length: bool = False,
    ) -> bool:
        """Take all of them, if they are of one length and all have one of these layouts; whether they have."""
        if len(values) < MATRIX_RECORDS:
            return False
        width = len(values[0])
        if width > MATRIX_BYTES or not (one_length or list(map(len, values)).count(width) == len(values)):
            return False
        matrix = np.frombuffer(b"".join(values), np.uint8).reshape(len(values), width)
        return found.take_rows(variants, matrix, positions, same_head=same_head)
