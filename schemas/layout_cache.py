"""The layouts that were learnt, by what their records begin with.

What is kept is bounded in number and bytes; the layout not used for longest goes first, so that a flood of new layouts
costs speed and no memory.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from schemas.layout import Layout

MOST_BYTES = 16 * 1024 * 1024
MOST_VARIANTS = 16
"""Layouts with one head: they differ behind the first tensor's data, and are tried one after the other."""
MOST_LENGTHS = 32
"""Lengths of heads that are tried on a record before it goes to the general decoder."""


@dataclass(slots=True, eq=False)
class Variants:
    """The layouts with one head.

    Attributes:
        head: what their records begin with.
        layouts: the latest learnt first.
    """

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
        self._by_length: dict[int, dict[bytes, Variants]] = {}
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
        variants = self._by_length[length].setdefault(layout.head, Variants(layout.head))
        if any(known.constants == layout.constants for known in variants.layouts):
            return
        variants.layouts.insert(0, layout)
        self._by_use[layout] = None
        self._bytes += layout.constant_bytes
        if len(variants.layouts) > MOST_VARIANTS:
            self._forget(variants.layouts[-1])
        while len(self._by_use) > self._max_layouts or self._bytes > self._max_bytes:
            self._forget(next(iter(self._by_use)))

    @property
    def lengths(self) -> Sequence[int]:
        """The lengths of heads that are tried, in that order."""
        return self._lengths[:MOST_LENGTHS]

    def of_length(self, length: int) -> Mapping[bytes, Variants]:
        """The layouts whose heads have one of the `lengths`, by head."""
        return self._by_length[length]

    def use(self, layout: Layout) -> None:
        """Records have this layout: it is the last to go."""
        self._by_use.move_to_end(layout)

    def recognised(self, records: Mapping[int, int]) -> None:
        """So many records had heads of these lengths: what recognised most comes first next time.

        Then fewest records are looked at twice.
        """
        for length in sorted(records, key=records.__getitem__):
            self._lengths.remove(length)
            self._lengths.insert(0, length)

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
