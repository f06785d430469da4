"""Requests that wait for something expected to come: a model that is loading, a reply topic that is being created.

They wait beside the flow, not in it: others of their binding go on, within the share of the budget that one model
may hold. There may be tens of thousands of them, so a look costs what they wait for, not how many they are: those that
wait for the same go on together, and their ends and deadlines are kept in order.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Hashable
from typing import cast

import numpy as np

from worker.kafka.records import TopicPartition
from worker.request_block import Part


class _Waiting:
    """Requests that wait; `part` is None when they do no more, so that nothing keeps them."""

    __slots__ = ("give_up", "key", "part", "until")

    def __init__(self, key: Hashable, part: Part, until: float, give_up: Callable[[Part], None]) -> None:
        self.key = key
        self.part: Part | None = part
        self.until = until
        self.give_up = give_up


class HeldRequests:
    """What is held; owned by the poll thread.

    Args:
        retry: tries to let requests go on; False: they go on waiting.
        expire: answers requests whose own deadline has passed.
        leave: lets go of requests that are another worker's to answer by now.
        hold_seconds: how long requests wait.
        clock: monotonic.
        wall: seconds since 1970.
        retry_seconds: the pause between two looks.
    """

    def __init__(  # noqa: PLR0913 - what may become of requests, each by its name
        self,
        retry: Callable[[Part], bool],
        expire: Callable[[Part], None],
        leave: Callable[[Part], None],
        *,
        hold_seconds: float,
        clock: Callable[[], float],
        wall: Callable[[], float],
        retry_seconds: float = 0.05,
    ) -> None:
        self._retry = retry
        self._expire = expire
        self._leave = leave
        self._hold_seconds = hold_seconds
        self._clock = clock
        self._wall = wall
        self._retry_seconds = retry_seconds
        self._by_key: dict[Hashable, deque[_Waiting]] = {}
        self._ends: list[tuple[float, int, _Waiting]] = []  # a heap
        self._deadlines: list[
            tuple[float, int, _Waiting]
        ] = []  # a heap; of those before their ends, wall clock, ms
        self._numbers = itertools.count()
        self._next = 0.0
        self._departures = 0
        self._parts = 0
        self.rows = 0
        """Rows that wait."""

    def hold(self, key: Hashable, part: Part, give_up: Callable[[Part], None]) -> None:
        """Begin to wait; those with one *key* wait for the same. *give_up* answers them when the wait has ended."""
        self._add(_Waiting(key, part, self._clock() + self._hold_seconds, give_up))

    def step(self, departures: int) -> None:
        """Let go on what can, answer what has waited too long or is past its own deadline.

        *departures* counts the runs that became another worker's: while it is the same, no request has.
        """
        now = self._clock()
        if not self._parts or now < self._next:
            return
        self._next = now + self._retry_seconds
        now_ms = self._wall() * 1000
        if departures != self._departures:
            self._departures = departures
            self._let_go()
        self._expire_late(now_ms)
        for key in list(self._by_key):
            self._try(key)
        self._end(now, now_ms)
        if not self._parts:
            self._by_key.clear()
            self._ends.clear()
            self._deadlines.clear()

    def models_in(self, partition: TopicPartition) -> set[str]:
        """The models that requests of a partition wait for, or would go to; rarely asked."""
        found: set[str] = set()
        for part in self._all_parts():
            read_from = part.records.partitions
            if part.records.topic == partition.topic and any(
                read_from[position] == partition.partition for position in part.columns.indices
            ):
                found.add(part.columns.kind.model)
        return found

    def __len__(self) -> int:
        return self._parts

    def _all_parts(self) -> list[Part]:
        return [w.part for waiting in self._by_key.values() for w in waiting if w.part is not None]

    def _add(self, waiting: _Waiting) -> None:
        part = cast("Part", waiting.part)
        self._by_key.setdefault(waiting.key, deque()).append(waiting)
        heapq.heappush(self._ends, (waiting.until, next(self._numbers), waiting))
        deadline_ms = _deadline_ms(part)
        # One that comes after the end of the wait is looked at then.
        if deadline_ms < self._wall() * 1000 + (waiting.until - self._clock()) * 1000:
            heapq.heappush(self._deadlines, (deadline_ms, next(self._numbers), waiting))
        self._parts += 1
        self.rows += part.rows

    def _take(self, waiting: _Waiting) -> Part:
        """Requests that wait no longer."""
        part = cast("Part", waiting.part)
        waiting.part = None
        self._parts -= 1
        self.rows -= part.rows
        return part

    def _let_go(self) -> None:
        """Leave those whose partitions have gone."""
        for waiting in [w for each in self._by_key.values() for w in each if w.part is not None]:
            if not cast("Part", waiting.part).records.all_ours:
                self._split(waiting, self._leave, Part.ours)

    def _expire_late(self, now_ms: float) -> None:
        while self._deadlines and self._deadlines[0][0] <= now_ms:
            _, _, waiting = heapq.heappop(self._deadlines)
            if waiting.part is not None:
                self._split(waiting, self._expire, lambda part: part.unexpired(now_ms))

    def _split(
        self,
        waiting: _Waiting,
        let_go: Callable[[Part], None],
        parted: Callable[[Part], tuple[list[Part], list[Part]]],
    ) -> None:
        """Let some of them go, and the others wait on."""
        stay, go = parted(self._take(waiting))
        for part in go:
            let_go(part)
        for part in stay:
            self._add(_Waiting(waiting.key, part, waiting.until, waiting.give_up))

    def _try(self, key: Hashable) -> None:
        """Let them go on, as long as the first of them can."""
        waiting = self._by_key[key]
        while waiting:
            part = waiting[0].part
            if part is not None:
                if not self._retry(part):
                    return
                self._take(waiting[0])
            waiting.popleft()
        del self._by_key[key]

    def _end(self, now: float, now_ms: float) -> None:
        while self._ends and self._ends[0][0] <= now:
            _, _, waiting = heapq.heappop(self._ends)
            if waiting.part is None:
                continue
            live, late = self._take(waiting).unexpired(now_ms)
            for part in late:
                self._expire(part)
            for part in live:
                waiting.give_up(part)


def _deadline_ms(part: Part) -> float:
    """The earliest deadline of requests; infinite where they have none."""
    deadlines_ms = part.records.deadlines_ms
    return np.inf if deadlines_ms is None else float(deadlines_ms[part.columns.indices].min())
