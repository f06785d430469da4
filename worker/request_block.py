"""A block: requests of one kind, stacked, with what belongs to each of them beside as columns.

A block is one batch task whose size is its number of rows. It is split between requests, never inside one. It is
pinned to the version that it was routed to: it holds a handle until its replies are encoded, and so does each piece
it is split into.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Self

import numpy as np

from lifecycle.servable_handle import ServableHandle
from schemas.request_columns import RequestColumns
from schemas.request_kind import RequestKind
from worker.polled_records import PolledRecords


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """Requests of one poll with one number of rows each.

    Attributes:
        records: the poll that they come from.
        columns: their tensors and ids; `columns.indices` are their positions in *records*.
    """

    records: PolledRecords
    columns: RequestColumns

    def __len__(self) -> int:
        return len(self.columns.indices)

    @property
    def rows_each(self) -> int:
        """Rows of each request, as far as batching goes: a request without rows still takes one place."""
        return max(1, self.columns.rows_each or 1)

    @property
    def rows(self) -> int:
        """Rows of all of them."""
        return len(self) * self.rows_each

    @property
    def tensor_rows(self) -> int:
        """Rows of their stacked tensors; unlike `rows`, 0 for requests without rows."""
        return len(self) * (self.columns.rows_each or 0)

    @property
    def size_bytes(self) -> int:
        """Bytes of the records' values and keys."""
        return int(self.records.sizes[self.columns.indices].sum())

    def take(self, start: int, stop: int) -> "Part":
        """The requests from *start* to *stop*."""
        return Part(self.records, self.columns.take(start, stop))

    def unexpired(self, now_ms: float) -> "tuple[list[Part], list[Part]]":
        """The parts that may still be answered in time, and those whose deadline has passed."""
        if self.records.deadlines_ms is None:
            return [self], []
        late = self.records.deadlines_ms[self.columns.indices] <= now_ms
        if not late.any():
            return [self], []
        edges = [0, *(np.flatnonzero(late[1:] != late[:-1]) + 1).tolist(), len(self)]
        pieces = [(self.take(a, b), bool(late[a])) for a, b in itertools.pairwise(edges)]
        return [p for p, is_late in pieces if not is_late], [p for p, is_late in pieces if is_late]


class RequestBlock:
    """Requests for one signature of one version, all with one tensor layout; a batch task.

    Made by the poll thread, then owned by the queue and the batch thread that takes it.
    """

    __slots__ = ("handle", "kind", "parts", "rows")

    def __init__(
        self, kind: RequestKind, handle: ServableHandle, parts: Sequence[Part], *, stackable: bool = True
    ) -> None:
        """Without *stackable* it is one request of a signature that takes one at a time, and counts as one row."""
        self.kind = kind
        self.handle = handle
        self.parts = tuple(parts)
        self.rows = sum(part.rows for part in self.parts) if stackable else 1

    def split(self, rows: int) -> tuple[Self, Self] | None:
        """A block of at most *rows* rows and the rest; None where the first request alone is larger."""
        head: list[Part] = []
        rest = list(self.parts)
        while rest:
            requests = min(len(rest[0]), rows // rest[0].rows_each)
            if requests == 0:
                break
            part = rest.pop(0)
            rows -= requests * part.rows_each
            if requests == len(part):
                head.append(part)
                continue
            head.append(part.take(0, requests))
            rest.insert(0, part.take(requests, len(part)))
            break
        if not head or not rest:
            return None
        first = type(self)(self.kind, self.handle.another(), head)
        return first, type(self)(self.kind, self.handle, rest)

    def requests(self) -> int:
        """How many requests it holds."""
        return sum(len(part) for part in self.parts)

    def __iter__(self) -> Iterator[Part]:
        return iter(self.parts)

    def __repr__(self) -> str:
        return f"<RequestBlock {self.handle.id} {self.kind.signature} {self.requests()} requests {self.rows} rows>"
