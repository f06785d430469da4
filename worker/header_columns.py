"""Record headers as columns: one for each name, where records have the same names in the same order.

One client writes the same headers into each of its requests, so that nearly every poll is a few columns; what
headers ask for is then decided once for each value, not once for each record.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

from worker.kafka.records import Headers

_first, _second = itemgetter(0), itemgetter(1)


class HeaderColumn(NamedTuple):
    """One header of several records.

    Attributes:
        name: its name.
        pairs: name and value in each record.
        values: the value in each record.
    """

    name: str
    pairs: Sequence[tuple[str, bytes | None]]
    values: Sequence[bytes | None]


def alike(headers: Sequence[Headers | None]) -> Iterator[tuple[Sequence[int], list[HeaderColumn]]]:
    """The positions of records that have the same names in the same order, and their columns.

    Records without headers are left out.
    """
    columns = _columns(headers)
    if columns is not None:
        yield range(len(headers)), columns
        return
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for position, of_one in enumerate(headers):
        if of_one:
            groups[tuple(map(_first, of_one))].append(position)
    for names, positions in groups.items():
        chosen = zip(*(headers[position] or () for position in positions), strict=True)
        yield positions, [_column(name, pairs) for name, pairs in zip(names, chosen, strict=True)]


def _columns(headers: Sequence[Headers | None]) -> list[HeaderColumn] | None:
    """The columns, if all records have the same names; None otherwise."""
    try:
        columns = list(zip(*headers, strict=True))  # TypeError: some have none
    except (TypeError, ValueError):
        return None
    names = [set(map(_first, pairs)) for pairs in columns]
    if any(len(of_column) != 1 for of_column in names):
        return None
    return [_column(of_column.pop(), pairs) for of_column, pairs in zip(names, columns, strict=True)]


def _column(name: str, pairs: Sequence[tuple[str, bytes | None]]) -> HeaderColumn:
    return HeaderColumn(name, pairs, list(map(_second, pairs)))
