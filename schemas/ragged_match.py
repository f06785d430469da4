"""Records of many layouts, a few of each, recognised together.

Layouts differ by the rows of their requests, so that records of one kind with 1 to 64 rows have 64 layouts. One layout
by itself costs more than its few records; here what belongs to one kind is checked, and goes on, together.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from schemas.layout import Layout
from schemas.request_ids import read_ids
from schemas.request_kind import RequestKind


@dataclass(frozen=True, slots=True)
class RaggedMatch:
    """Records of one kind, each with a layout that may be another than its neighbour's.

    Attributes:
        kind: what they have in common.
        positions: which records, in their order.
        values: the records.
        layouts: each record's layout.
        ids: their ids.
    """

    kind: RequestKind
    positions: list[int]
    values: Sequence[bytes]
    layouts: Sequence[Layout]
    ids: list[bytes]


class FewOfEach:
    """Records that begin like a layout that few others of the poll have; `settle` says which of them are like it."""

    def __init__(self, values: Sequence[bytes]) -> None:
        self._values = values
        self._positions: list[int] = []
        self._layouts: list[Layout] = []

    def add(self, layout: Layout, positions: Sequence[int]) -> None:
        """Records that begin with the head of this layout."""
        self._positions += positions
        self._layouts += [layout] * len(positions)

    def settle(self) -> tuple[list[RaggedMatch], list[int]]:
        """What has its layout to its end, by kind; and the positions of what has not."""
        if not self._positions:
            return [], []
        ids, missed = self._ids()
        by_kind: dict[RequestKind, list[tuple[int, Layout, bytes]]] = defaultdict(list)
        for position, layout, found in zip(self._positions, self._layouts, ids, strict=True):
            if found is not None:
                by_kind[layout.kind].append((position, layout, found))
        return [self._match(kind, members) for kind, members in by_kind.items()], missed

    def _ids(self) -> tuple[Sequence[bytes | None], list[int]]:
        """Each record's id, None where it does not have its layout; and the positions of those that have none."""
        values = list(map(self._values.__getitem__, self._positions))
        at_once = self._ids_at_once(values)
        if at_once is not None:
            return at_once, []
        ids = [layout.id_of(value) for layout, value in zip(self._layouts, values, strict=True)]
        return ids, [p for p, found in zip(self._positions, ids, strict=True) if found is None]

    def _ids_at_once(self, values: Sequence[bytes]) -> list[bytes] | None:
        """The ids; None when a record does not have its layout, or the ids have to be looked at one by one."""
        for value, layout in zip(values, self._layouts, strict=True):
            for at, constant in layout.constants:
                if not value.startswith(constant, at):
                    return None
        tails = [value[layout.id_at :] for value, layout in zip(values, self._layouts, strict=True)]
        return read_ids(tails, 0, self._layouts[0].longest_id)

    def _match(self, kind: RequestKind, members: list[tuple[int, Layout, bytes]]) -> RaggedMatch:
        members.sort(key=_first)
        positions = [position for position, _, _ in members]
        return RaggedMatch(
            kind,
            positions,
            list(map(self._values.__getitem__, positions)),
            [layout for _, layout, _ in members],
            [found for _, _, found in members],
        )


def _first(member: tuple[int, Layout, bytes]) -> int:
    return member[0]
