"""Recognises records of lengths that many records of a poll have, all of one length at once.

They are joined, sorted by a hash of their heads, and compared with the layout of the first of each group.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from schemas.head_order import LONGEST_HEAD, by_head
from schemas.layout_cache import LayoutCache
from schemas.layout_match import Recognised

if TYPE_CHECKING:
    import numpy.typing as npt

MANY = 512
"""So many records of one length are worth it; for fewer, what a group costs is more than what is saved."""
MOST_BYTES = 4096
"""For larger records, the copy costs more than what it saves."""
MOST_HEADS, PROBES = 4, 3
"""Of records of one length, so many lengths of heads are tried, each found by one of so many records."""


def recognise(
    cache: LayoutCache, found: Recognised, positions: Sequence[int], lengths: Sequence[int], many: int = MANY
) -> Sequence[int]:
    """Take what is recognised; the positions of the others, in order.

    Args:
        cache: the layouts.
        found: takes it.
        positions: of the values to look at, in order.
        lengths: of those values.
        many: so many of one length are looked at.
    """
    different = set(lengths)
    if len(different) * many > len(lengths):
        return positions
    of_each = np.fromiter(lengths, np.intp, len(lengths))
    if isinstance(positions, range):
        where = np.arange(positions.start, positions.stop, positions.step)
    else:
        where = np.fromiter(positions, np.intp, len(positions))
    left: list[int] = []
    for length in different:
        alike = where[of_each == length]
        if length <= MOST_BYTES:
            alike = _of_one_length(cache, found, alike, many)
        left += alike.tolist()
    left.sort()
    return left


def _of_one_length(
    cache: LayoutCache, found: Recognised, positions: "npt.NDArray[np.intp]", many: int
) -> "npt.NDArray[np.intp]":
    """Take what is recognised of values of one length; the positions of the others."""
    for _ in range(MOST_HEADS):
        head_length = _some_head_length(cache, found, positions) if len(positions) >= many else None
        if head_length is None:
            break
        left = _with_heads(cache, found, positions, head_length)
        if len(left) == len(positions):
            break
        positions = left
    return positions


def _some_head_length(cache: LayoutCache, found: Recognised, positions: "npt.NDArray[np.intp]") -> int | None:
    """The length of a known head that one of some values begins with; None for no known one."""
    for value in found.chosen(positions[:: max(1, len(positions) // PROBES)].tolist()):
        for length in cache.lengths:
            if length <= LONGEST_HEAD and value[:length] in cache.of_length(length):
                return length
    return None


def _with_heads(
    cache: LayoutCache, found: Recognised, positions: "npt.NDArray[np.intp]", head_length: int
) -> "npt.NDArray[np.intp]":
    """Take values of one length that have a head of this length; the positions of the others, in order."""
    values = found.chosen(positions.tolist())
    matrix = np.frombuffer(b"".join(values), np.uint8).reshape(len(values), len(values[0]))
    order, groups = by_head(matrix, head_length)
    matrix, positions = matrix[order], positions[order]
    of_head = cache.of_length(head_length)
    left = []
    for start, end in groups:
        rows, members = matrix[start:end], positions[start:end]
        variants = of_head.get(rows[0, :head_length].tobytes())
        if variants is None or not found.take_rows(variants, rows, members.tolist(), same_head=False):
            left.append(members)
    return np.sort(np.concatenate(left)) if left else positions[:0]
