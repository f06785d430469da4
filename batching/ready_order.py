"""Which queue is served next: rounds of those that are due, a heap of those that will be.

TensorFlow's scheduler walks over every queue under its lock to find one that is due, and queues take turns whatever a
batch of theirs costs. Here a queue enters the round of its priority when a batch of it becomes due, at a cost that does
not grow with the number of idle queues, and the owner that has used least time is next. The round of the highest
priority is served first; a batch that has aged goes before all rounds.
"""

import bisect
import heapq
import itertools
import math
from collections.abc import Hashable, Iterator
from typing import Any

from batching import merged
from batching.batch import Batch
from batching.lane import Lane
from batching.options import Filling, PaddingPolicy
from batching.turns import Turns

URGENT_SECONDS = 1.0
"""For so long after a batch of a higher priority nothing lower is taken out of turn: the next one may come any moment,
and would find a device with two batches before it instead of one."""
Entry = tuple[float, int, Lane[Any]]


class Round:
    """Lanes of one priority that are due, in turns by the time that their owners have used."""

    __slots__ = ("lanes", "priority", "served_at")

    def __init__(self, priority: int) -> None:
        self.priority = priority
        self.lanes: Turns[Lane[Any]] = Turns()
        self.served_at = -math.inf
        """When a batch of it was taken last, as far as anybody may ask."""


class ReadyOrder:
    """The rounds and the heap. Pure: takes `now`, holds no lock, calls nobody.

    A lane is at most once in a round. Heap entries are corrected when they come to the top, not when their
    batch leaves early, so that the common case, a batch that fills up before its time, costs nothing. Lanes age
    only where there are several priorities. The highest ages too: where even that is late, all go by their age.
    """

    def __init__(self) -> None:
        self.available_batches = 0
        """Batches that threads could take now."""
        self._rounds: list[Round] = []  # from the highest priority to the lowest
        self._round_of: dict[int, Round] = {}
        self._families: dict[Hashable, list[Lane[Any]]] = {}  # each from the highest priority to the lowest
        self._heap: list[Entry] = []
        self._ageing: list[Entry] = []
        self._entries = itertools.count()  # decides between equal times, as lanes have no order

    def add(self, lane: Lane[Any]) -> None:
        """Take a lane in; only one with a family need be."""
        if lane.family is not None:
            lane.relatives = self._families.setdefault(lane.family, [])
            merged.share_costs(lane)
            bisect.insort(lane.relatives, lane, key=lambda each: -each.priority)

    def forget(self, lane: Lane[Any]) -> None:
        """Fill no batch from it any more, and keep no mark of it."""
        if lane.owner is lane and lane.priority in self._round_of:
            self._round_of[lane.priority].lanes.forget(lane)
        if lane in lane.relatives:
            lane.relatives.remove(lane)
            if not lane.relatives:
                del self._families[lane.family]

    def update(self, lane: Lane[Any], now: float) -> None:
        """Put a lane where it belongs. Called whenever its queue has changed, and when its time has come.

        What changes one of those that leave together concerns them all.
        """
        if not lane.merges:
            self._place(lane, now)
            return
        for each in lane.relatives:
            if each.merges:
                self._place(each, now)
                if each.ages_at is None and merged.merges(each):
                    self._let_age(each)  # whether it leads or not: those before it might fill every batch

    def _place(self, lane: Lane[Any], now: float) -> None:
        available = _available_batches(lane, now)
        self.available_batches += available - lane.available_batches
        lane.available_batches = available
        if lane.in_round and lane.ages_at is None and len(self._rounds) > 1:
            self._let_age(lane)  # all that it had when it joined has gone elsewhere, and this has come
        if lane.in_round or lane.held:
            return
        if available:
            lane.in_round = True
            self._join_round(lane)
            return
        due_at = _due_at(lane)
        if due_at is not None and (lane.timed_at is None or due_at < lane.timed_at):
            lane.timed_at = due_at
            heapq.heappush(self._heap, (due_at, next(self._entries), lane))

    def charge(self, lane: Lane[Any], seconds: float) -> None:
        """Count the time that a batch of a lane has taken against its owner."""
        own = self._round_of.get(lane.priority)
        if own is not None:
            own.lanes.charge(lane.owner, seconds)

    def hold(self, lane: Lane[Any], held: bool, now: float) -> None:  # noqa: FBT001 - a state, not a way
        """Let the batches of a lane wait, or go on."""
        if held != lane.held:
            lane.held = held
            self.update(lane, now)

    def promote(self, now: float) -> None:
        """Move each lane that has become due into the round."""
        while self._heap and self._heap[0][0] <= now:
            due_at, _, lane = heapq.heappop(self._heap)
            if due_at == lane.timed_at:
                lane.timed_at = None
                self.update(lane, now)

    def take(self, now: float) -> tuple[Lane[Any], Batch[Any]] | None:
        """Remove and return the next batch of the round; None when no lane is due. Promote first."""
        while (lane := (aged := self._pop_aged(now)) or self._pop()) is not None:
            lane.in_round = False
            batch = self._batch_of(lane, now, leads=aged is not None)
            if batch is not None and len(lane.relatives) > 1:
                self._fill(lane, batch, now)
            self.update(lane, now)
            if batch is not None:
                if len(self._rounds) > 1 and lane.priority in self._round_of:
                    self._round_of[lane.priority].served_at = now
                return lane, batch
        return None

    def _batch_of(self, lane: Lane[Any], now: float, *, leads: bool) -> Batch[Any] | None:
        """The next batch of a lane, without what fills it; of those that leave together only where it *leads*."""
        if lane.held:
            return None
        if not merged.merges(lane):
            return lane.queue.take(now, self._lower_rows(lane))
        members = merged.members(lane)
        if not leads and (lane not in members[:1] or now < merged.due_at(lane, members)):
            return None
        return lane.queue.take_due(now, self._lower_rows(lane), merged.why_now(lane, members, now))

    def _fill(self, lane: Lane[Any], batch: Batch[Any], now: float) -> None:
        """Let a batch that has just been taken from a lane have tasks of lower priorities, as its options say."""
        for lower in self._givers(lane):
            lane.queue.fill(batch, lower.queue, now)
            self.update(lower, now)

    def _lower_rows(self, lane: Lane[Any]) -> int:
        """How many rows wait to fill the next batch of a lane; counted where its padding policy asks."""
        if len(lane.relatives) < 2 or lane.queue.options.padding_policy is PaddingPolicy.PAD_UP:
            return 0
        return sum(lower.queue.enqueued_rows for lower in self._givers(lane))

    @staticmethod
    def _givers(lane: Lane[Any]) -> Iterator[Lane[Any]]:
        """The lanes that a batch of this one may be filled from, from the highest priority to the lowest."""
        if merged.merges(lane):
            yield from (each for each in merged.members(lane) if each is not lane)
        elif lane.queue.options.filling is not Filling.NONE:
            for lower in lane.relatives:
                # A closed queue empties itself: somebody may be waiting for the end of its last batch.
                if lower.priority < lane.priority and lower.queue.enqueued_rows and not lower.queue.closed:
                    yield lower

    def may_go_ahead(self, lane: Lane[Any], now: float) -> bool:
        """Whether a batch may be taken out of turn: nothing of a higher priority is due, or was of late."""
        if merged.merges(lane) and lane not in merged.members(lane)[:1]:
            return False
        for each in self._rounds:
            if each.priority <= lane.priority:
                return True
            if each.lanes or now - each.served_at < URGENT_SECONDS:
                return False
        return True

    def next_due_at(self) -> float | None:
        """When the first lane outside the round becomes due; None when none will."""
        while self._heap:
            entry_at, _, lane = self._heap[0]
            due_at = None if lane.in_round else _due_at(lane)
            if entry_at != lane.timed_at:
                heapq.heappop(self._heap)
            elif due_at is None:
                lane.timed_at = None
                heapq.heappop(self._heap)
            elif due_at != entry_at:
                lane.timed_at = due_at
                heapq.heapreplace(self._heap, (due_at, next(self._entries), lane))
            else:
                return due_at
        return None

    def seconds_until_due(self, now: float) -> float | None:
        """How long until a lane is due: 0 when one is in the round, None when none will be."""
        if any(each.lanes for each in self._rounds):
            return 0.0
        due_at = self.next_due_at()
        return None if due_at is None else max(0.0, due_at - now)

    def _join_round(self, lane: Lane[Any]) -> None:
        """Put a lane at the end of its round, and let it age where there are several."""
        own = self._round_of.get(lane.priority)
        if own is None:
            own = self._add_round(lane.priority)
        own.lanes.add(lane, lane.owner)
        if len(self._rounds) > 1:
            self._let_age(lane)

    def _add_round(self, priority: int) -> Round:
        own = self._round_of[priority] = Round(priority)
        bisect.insort(self._rounds, own, key=lambda each: -each.priority)
        if len(self._rounds) == 2:
            for each in self._rounds:
                for lane in each.lanes:
                    self._let_age(lane)
        return own

    def _let_age(self, lane: Lane[Any]) -> None:
        ages_at = lane.queue.ages_at
        if ages_at is not None and (lane.ages_at is None or ages_at < lane.ages_at):
            lane.ages_at = ages_at
            heapq.heappush(self._ageing, (ages_at, next(self._entries), lane))

    def _pop_aged(self, now: float) -> Lane[Any] | None:
        """The lane in a round whose batch has aged for the longest, out of its round; None when none has."""
        while self._ageing and self._ageing[0][0] <= now:
            entry_at, _, lane = heapq.heappop(self._ageing)
            if entry_at != lane.ages_at:
                continue
            lane.ages_at = None
            if not (lane.in_round or merged.merges(lane)):  # it joins again, and ages anew, when it is due
                continue
            if lane.queue.ages_at == entry_at:  # else that batch has left: what follows is younger
                if lane.in_round:
                    self._round_of[lane.priority].lanes.remove(lane, lane.owner)
                return lane
            self._let_age(lane)
        return None

    def _pop(self) -> Lane[Any] | None:
        """The first lane of the first round that has one."""
        for each in self._rounds:
            if each.lanes:
                return each.lanes.pop()
        return None


def _available_batches(lane: Lane[Any], now: float) -> int:
    """How many threads could each take a batch of a lane now; for those that leave together, of the one that leads."""
    if lane.held:
        return 0
    if not merged.merges(lane):
        return lane.queue.available_batches(now)
    members = merged.members(lane)
    return merged.available_batches(lane, members, now) if lane in members[:1] else 0


def _due_at(lane: Lane[Any]) -> float | None:
    """When a batch of a lane may be taken; likewise. None: there is none."""
    if lane.held:
        return None
    if not merged.merges(lane):
        return lane.queue.due_at
    members = merged.members(lane)
    return merged.due_at(lane, members) if lane in members[:1] else None
