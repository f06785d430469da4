"""A block: requests of one kind, stacked, with what belongs to each of them beside as columns.

A block is one batch task whose size is its number of rows. It is split between requests, never inside one. It is
pinned to the version that it was routed to: it holds a handle until its replies are encoded, and so does each piece
it is split into.
"""

import bisect
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import repeat
from typing import Self

import numpy as np
import numpy.typing as npt

from lifecycle.servable_handle import ServableHandle
from schemas.request_columns import RequestColumns
from schemas.request_kind import RequestKind
from worker.polled_records import NO_PRIORITY, PolledRecords

MOST_SLICES = 9
"""Requests that lie in more pieces are copied together, as each piece costs more in the batch than its copy does."""


class Part:
    """Requests of one kind from one poll; nothing of it changes.

    Attributes:
        records: the poll that they come from.
        columns: their tensors and ids; `columns.indices` are their positions in *records*.
        rows: rows of all of them, as far as batching goes: a request without rows still takes one place.
        tensor_rows: rows of their stacked tensors; unlike `rows`, 0 for requests without rows.
        size_bytes: bytes of the records' values and keys.
    """

    __slots__ = ("columns", "records", "rows", "size_bytes", "tensor_rows")

    def __init__(self, records: PolledRecords, columns: RequestColumns) -> None:
        self.records = records
        self.columns = columns
        indices, counts = columns.indices, columns.row_counts
        if counts is not None:
            self.rows = self.tensor_rows = sum(counts)
        else:
            rows_each = columns.rows_each or 0
            self.tensor_rows = len(indices) * rows_each
            self.rows = self.tensor_rows if rows_each else len(indices)
        self.size_bytes = records.bytes_at(indices)

    def __len__(self) -> int:
        return len(self.columns.indices)

    @property
    def largest_rows(self) -> int:
        """Rows of the largest request, as far as batching goes."""
        counts = self.columns.row_counts
        return max(1, self.columns.rows_each or 1) if counts is None else max(counts)

    def leading(self, rows: int) -> int:
        """How many requests, from the first, have at most so many rows together, as far as batching goes."""
        counts = self.columns.row_counts
        if counts is None:
            return min(len(self), rows // max(1, self.columns.rows_each or 1))
        return bisect.bisect_right(list(itertools.accumulate(counts)), rows)

    def alike(self) -> "list[Part]":
        """The same requests in parts of which each has one number of rows."""
        counts = self.columns.row_counts
        return [self] if counts is None else [self.take(n, n + 1) for n in range(len(counts))]

    def take(self, start: int, stop: int) -> "Part":
        """The requests from *start* to *stop*."""
        return Part(self.records, self.columns.take(start, stop))

    def pick(self, positions: list[int]) -> "Part":
        """The requests at these positions among them, ascending."""
        return Part(self.records, self.columns.pick(positions))

    def apart(self, positions: list[int]) -> "Part":
        """The requests at these positions, ascending, at least one, whose poll keeps none of the others in memory."""
        columns = self.columns if len(positions) == len(self) else self.columns.pick(positions)
        records = self.records.picked(columns.indices)
        return Part(records, replace(columns, indices=range(len(positions))))

    def sticky_keys(self) -> list[bytes]:
        """What each request is known by, so that those that belong together can be kept together.

        The key of its record, its id where there is none, and its place where it has no id either.
        """
        records, columns = self.records, self.columns
        keys = repeat(None) if records.keys is None else map(records.keys.__getitem__, columns.indices)
        return [
            key or request_id or records.place(position)
            for key, request_id, position in zip(keys, columns.ids, columns.indices, strict=False)
        ]

    def by_priority(self) -> "list[tuple[int, Part]]":
        """The requests apart by the priority that they ask for, `NO_PRIORITY` for none."""
        if self.records.priorities is None:
            return [(NO_PRIORITY, self)]
        asked = self.records.priorities[self.columns.indices]
        found = np.unique(asked).tolist()
        if len(found) == 1:
            return [(found[0], self)]
        return [(priority, self.pick(np.flatnonzero(asked == priority).tolist())) for priority in found]

    def deadlines_ms(self) -> npt.NDArray[np.float64] | None:
        """Each request's deadline (wall clock, ms), infinity for none; None where no record of the poll has one."""
        deadlines_ms = self.records.deadlines_ms
        return None if deadlines_ms is None else deadlines_ms[self.columns.indices]

    def unexpired(self, now_ms: float) -> "tuple[list[Part], list[Part]]":
        """The parts that may still be answered in time, and those whose deadline has passed."""
        deadlines_ms = self.deadlines_ms()
        return ([self], []) if deadlines_ms is None else self.parted(deadlines_ms <= now_ms)

    def ours(self) -> "tuple[list[Part], list[Part]]":
        """The parts that are this worker's to answer, and those whose partition has gone to another meanwhile."""
        if self.records.all_ours:
            return [self], []
        return self.parted(~self.records.ours_at(self.columns.indices))

    def parted(self, apart: npt.NDArray[np.bool_]) -> "tuple[list[Part], list[Part]]":
        """The parts without those requests, and the parts of them: slices, or copies where those would be very many."""
        if not apart.any():
            return [self], []
        edges = [0, *(np.flatnonzero(apart[1:] != apart[:-1]) + 1).tolist(), len(self)]
        if len(edges) > MOST_SLICES:
            return [self.pick(np.flatnonzero(~apart).tolist())], [self.pick(np.flatnonzero(apart).tolist())]
        pieces = [(self.take(a, b), bool(apart[a])) for a, b in itertools.pairwise(edges)]
        return [p for p, is_apart in pieces if not is_apart], [p for p, is_apart in pieces if is_apart]


class RequestBlock:
    """Requests for one signature of one version, all with one tensor layout; a batch task.

    Made by the poll thread, then owned by the queue and the batch thread that takes it.

    Attributes:
        deadline: the earliest of its requests', in seconds of the clock that it has been given; infinite for none.
        queued_at: when it was to be queued, where that is kept; also of what had to wait for room first.
    """

    __slots__ = ("_epoch_ms", "deadline", "handle", "kind", "parts", "queued_at", "rows")

    def __init__(
        self, kind: RequestKind, handle: ServableHandle, parts: Sequence[Part], *, stackable: bool = True
    ) -> None:
        """Without *stackable* it is one request of a signature that takes one at a time, and counts as one row."""
        self.kind = kind
        self.handle = handle
        self.parts = tuple(parts)
        self.rows = sum(part.rows for part in self.parts) if stackable else 1
        self.deadline = math.inf
        self.queued_at: float | None = None
        self._epoch_ms: float | None = None

    def keep_time(self, epoch_ms: float) -> None:
        """Keep its requests' deadlines by a clock whose second 0 was at that moment (wall clock, ms).

        A jump of the wall clock then moves no deadline of a request that waits.
        """
        self._epoch_ms = epoch_ms
        self.deadline = min(
            (float(at.min()) for part in self.parts if (at := self._deadlines(part)) is not None),
            default=math.inf,
        )

    def expire(self, now: float) -> tuple[Self | None, Self | None]:
        """The block of those requests that are out of time, by the clock that it was given, and that of the rest."""
        late: list[Part] = []
        rest: list[Part] = []
        for part in self.parts:
            deadlines = self._deadlines(part)
            in_time, out_of_time = ([part], []) if deadlines is None else part.parted(deadlines <= now)
            rest += in_time
            late += out_of_time
        if not late:
            return None, self
        if not rest:
            return self, None
        return self._of(self.handle.another(), late), self._of(self.handle, rest)

    def split(self, rows: int) -> tuple[Self, Self] | None:
        """A block of at most *rows* rows and the rest; None where the first request alone is larger."""
        head: list[Part] = []
        rest = list(self.parts)
        while rest:
            requests = rest[0].leading(rows)
            if requests == 0:
                break
            part = rest.pop(0)
            if requests == len(part):
                head.append(part)
                rows -= part.rows
                continue
            head.append(part.take(0, requests))
            rest.insert(0, part.take(requests, len(part)))
            break
        if not head or not rest:
            return None
        return self._of(self.handle.another(), head), self._of(self.handle, rest)

    def largest_rows(self) -> int:
        """Rows of its largest request."""
        return max(part.largest_rows for part in self.parts)

    def requests(self) -> int:
        """How many requests it holds."""
        return sum(len(part) for part in self.parts)

    def __iter__(self) -> Iterator[Part]:
        return iter(self.parts)

    def _of(self, handle: ServableHandle, parts: Sequence[Part]) -> Self:
        """A block of some of its requests, by the same clock."""
        block = type(self)(self.kind, handle, parts)
        block.queued_at = self.queued_at
        if self.deadline < math.inf and self._epoch_ms is not None:
            block.keep_time(self._epoch_ms)
        return block

    def _deadlines(self, part: Part) -> npt.NDArray[np.float64] | None:
        """By the clock that it has been given; whoever compares them with a time has to get them from here."""
        deadlines_ms = part.deadlines_ms()
        if deadlines_ms is None or self._epoch_ms is None:
            return None
        seconds: npt.NDArray[np.float64] = (deadlines_ms - self._epoch_ms) / 1000
        return seconds

    def __repr__(self) -> str:
        return f"<RequestBlock {self.handle.id} {self.kind.signature} {self.requests()} requests {self.rows} rows>"


def halves(parts: Sequence[Part], requests: int) -> tuple[list[Part], list[Part]]:
    """The first *requests* requests and the rest."""
    first: list[Part] = []
    rest = list(parts)
    while requests:
        part = rest.pop(0)
        if len(part) <= requests:
            first.append(part)
            requests -= len(part)
            continue
        first.append(part.take(0, requests))
        rest.insert(0, part.take(requests, len(part)))
        break
    return first, rest


def within(parts: Sequence[Part], most_rows: int) -> list[list[Part]]:
    """Requests in groups of at most so many rows; one that is larger by itself is a group, as none is ever cut."""
    groups: list[list[Part]] = [[]]
    room = most_rows
    for part in parts:
        start = 0
        while start < len(part):
            rest = part.take(start, len(part)) if start else part
            count = rest.leading(room)
            if not count and groups[-1]:
                groups.append([])
                room = most_rows
                continue
            head = rest if count == len(rest) else rest.take(0, max(1, count))
            groups[-1].append(head)
            room = max(0, room - head.rows)
            start += len(head)
    return groups
