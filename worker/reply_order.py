"""Replies in the order of their requests, for each request partition (`delivery.reply_order`).

Batches end in whatever order they do. So each reply waits here until every request before it, in the same poll and
partition and in those before, has had its own.
"""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from worker.kafka.producer import OnDelivery
from worker.kafka.records import TopicPartition
from worker.outcomes import Columns, Outcomes, PollOutcomes, Turn, together
from worker.polled_records import PolledRecords
from worker.reply_routes import Place

if TYPE_CHECKING:
    from worker.outcomes import Indices


class _Line:
    """The records of one poll from one partition, in their order.

    Attributes:
        partition: the partition.
        records: the poll.
        positions: theirs in the poll.
        at: how many of *positions* have gone.
    """

    __slots__ = ("at", "partition", "positions", "records")

    def __init__(self, partition: TopicPartition, records: PolledRecords, positions: "Indices") -> None:
        self.partition = partition
        self.records = records
        self.positions = positions
        self.at = 0

    def ready(self, most: int) -> Turn | None:
        """Those whose turn it is, at most so many; they go."""
        waits = self._waits(self.positions[self.at : self.at + most])
        count = int(waits.argmax()) if waits.any() else len(waits)
        if not count:
            return None
        chosen = self.positions[self.at : self.at + count]
        self.at += count
        return Turn(self.partition, self.records, chosen)

    def waiting(self) -> Turn | None:
        """The outcomes that wait for others."""
        left = self.positions[self.at :]
        there = left[~self._waits(left)]
        return Turn(self.partition, self.records, there) if len(there) else None

    def is_done(self) -> bool:
        """Whether all have gone."""
        return self.at == len(self.positions)

    def _waits(self, positions: "Indices") -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        """Which of the requests at these positions have no outcome yet."""
        assert self.records.outcomes is not None
        return self.records.outcomes.which[positions] < 0


class ReplyOrder:
    """Outcomes come by `put`, from any thread, and go by `release`. Everything else is called by the poll thread.

    Args:
        on_left: told of outcomes that came too late, because their partition has gone to another worker, by topic.
        wall: wall clock in seconds; replies are handed over when it is their turn.
    """

    def __init__(self, on_left: Callable[[str, int], None], wall: Callable[[], float] = time.time) -> None:
        self.waiting = 0
        """Outcomes that have been sorted in and have not gone."""
        self._on_left = on_left
        self._wall = wall
        self._arrived: deque[Outcomes] = deque()
        self._lines: dict[TopicPartition, deque[_Line]] = {}
        self._touched: dict[TopicPartition, None] = {}  # where something may be ready

    def follow(self, records: PolledRecords) -> None:
        """Records have been read, after all others of their partitions."""
        records.outcomes = PollOutcomes(records.partitions)
        for number, positions in records.outcomes.members():
            place = TopicPartition(records.topic, number)
            self._lines.setdefault(place, deque()).append(_Line(place, records, positions))

    def put(self, outcomes: Outcomes) -> None:
        """Outcomes of requests of one delivery."""
        self._arrived.append(outcomes)

    def release(self) -> list[tuple[Place, Columns, list[OnDelivery]]]:
        """The replies whose turn it is, in order, with where the client reports each; those to one place together."""
        ready, _ = self.take()
        return [(each.place, each.columns(), each.reports()) for each in together(ready)]

    def take(self, most: int = sys.maxsize) -> tuple[list[Turn], dict[TopicPartition, int]]:
        """The outcomes whose turn it is, at most so many, partition by partition; and the offset behind each's last."""
        self.sort_in()
        ready: list[Turn] = []
        offsets: dict[TopicPartition, int] = {}
        for partition in list(self._touched):
            lines = self._lines.get(partition, deque())
            while lines and most > 0:
                line = lines[0]
                turn = line.ready(most)
                if turn is not None:
                    ready.append(turn)
                    most -= len(turn)
                    self.waiting -= len(turn)
                    offsets[partition] = turn.next_offset
                if not line.is_done():
                    break
                lines.popleft()
            if most <= 0:
                break
            del self._touched[partition]
        handed_ms = self._wall() * 1000
        for turn in ready:
            for outcomes, _ in turn.members():
                outcomes.delivery.handed_ms = handed_ms
        return ready, offsets

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """Partitions are another worker's, or stand still: what waits is never sent."""
        for partition in partitions:
            self._touched.pop(partition, None)
            for line in self._lines.pop(partition, ()):
                turn = line.waiting()
                if turn is not None:
                    self.waiting -= len(turn)
                    self.leave(turn)

    def sort_in(self) -> None:
        """Put what has come into its place."""
        while self._arrived:
            self._take(self._arrived.popleft())

    def leave(self, turn: Turn) -> None:
        """Outcomes that are never sent, because their partition is another worker's."""
        for outcomes, chosen in turn.members():
            self._leave(outcomes, turn.positions[chosen])

    def _leave(self, outcomes: Outcomes, positions: "Indices") -> None:
        if outcomes.place is None:
            return  # their dead letters have gone, and count by themselves
        delivery = outcomes.delivery
        self._on_left(delivery.origin.records.topic, len(positions))
        for position in positions.tolist():
            delivery.origin.forget(position)
        delivery.acknowledged(len(positions))

    def _take(self, outcomes: Outcomes) -> None:
        """Put outcomes into their places, and note the partitions that may go on."""
        records = outcomes.delivery.origin.records
        placed = records.outcomes
        assert placed is not None, "records are followed before anything comes of them"
        positions = _indices(outcomes.positions)
        where = np.arange(len(positions))
        if not records.all_ours:
            ours = records.ours_at(outcomes.positions)
            if not ours.all():
                self._leave(outcomes, positions[~ours])
                positions, where = positions[ours], where[ours]
        placed.put(outcomes, positions, where)
        self.waiting += len(positions)
        for number in placed.partitions_at(positions):
            self._touched[TopicPartition(records.topic, number)] = None


def _indices(positions: Sequence[int]) -> "Indices":
    if isinstance(positions, range):  # an array of a range is made number by number
        return np.arange(positions.start, positions.stop, positions.step)
    return np.array(positions, np.intp)
