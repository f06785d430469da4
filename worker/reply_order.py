"""Replies in the order of their requests, for each request partition (`delivery.reply_order`).

Batches end in whatever order they do. So each reply waits here until every request before it, in the same poll and
partition and in those before, has had its own.
"""

import itertools
import operator
import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat

from worker.delivery import Delivery
from worker.kafka.producer import OnDelivery
from worker.kafka.records import Headers, TopicPartition
from worker.polled_records import PolledRecords
from worker.reply_routes import Place
from worker.reply_sizes import ReplyColumns

OutcomeColumns = tuple[list[bytes | None], list[bytes | None] | None, list[Headers | None] | None]
"""Values, keys and headers of outcomes; None where none has one."""


@dataclass(slots=True)
class Outcome:
    """What came of one request.

    Attributes:
        delivery: what it belongs to.
        position: the request's position in its poll.
        place: where the reply goes; None where nothing is sent in order, because the request is a dead letter.
        value: the reply, or the dead letter, whose value may be None.
        key: its key.
        headers: its headers.
    """

    delivery: Delivery
    position: int
    place: Place | None
    value: bytes | None = None
    key: bytes | None = None
    headers: Headers | None = None

    @property
    def partition(self) -> TopicPartition:
        """Where its request was read."""
        records = self.delivery.origin.records
        return TopicPartition(records.topic, records.partitions[self.position])

    @property
    def report(self) -> OnDelivery:
        """Where the client reports it."""
        if self.delivery.origin.records.routes is None:
            return self.delivery.report
        return partial(self.delivery.report_at, self.position)


_is_there = partial(operator.is_not, None)


def outcomes(
    delivery: Delivery, place: Place, columns: ReplyColumns, positions: Sequence[int]
) -> list[Outcome]:
    """Those of requests at these positions, whose replies go to one place."""
    payloads, keys, headers = columns
    each = zip(positions, payloads, keys or repeat(None), headers or repeat(None), strict=False)
    return [
        Outcome(delivery, position, place, payload, key, carried) for position, payload, key, carried in each
    ]


class _Line:
    """The records of one poll from one partition, in their order.

    Attributes:
        records: the poll.
        positions: theirs in the poll.
        at: how many of *positions* have gone.
    """

    __slots__ = ("at", "positions", "records")

    def __init__(self, records: PolledRecords, positions: Sequence[int]) -> None:
        self.records = records
        self.positions = positions
        self.at = 0

    def ready(self, most: int) -> list[Outcome]:
        """The outcomes whose turn it is, at most so many; they go."""
        outcomes = self.records.outcomes or ()
        chosen = self.positions[self.at : self.at + most]
        found = list(itertools.takewhile(_is_there, map(outcomes.__getitem__, chosen)))
        self.at += len(found)
        return found  # type: ignore[return-value]  # what is there is not None

    def waiting(self) -> Iterator[Outcome]:
        """The outcomes that wait for others."""
        outcomes = self.records.outcomes or ()
        return filter(None, (outcomes[position] for position in self.positions[self.at :]))

    @property
    def next_offset(self) -> int:
        """The offset behind the last that has gone; one has."""
        return self.records.messages[self.positions[self.at - 1]].offset() + 1


class ReplyOrder:
    """Outcomes come by `put`, from any thread, and go by `release`. Everything else is called by the poll thread.

    Args:
        on_left: told of outcomes that came too late, because their partition has gone to another worker, by topic.
        wall: wall clock in seconds; replies are handed over when it is their turn.
    """

    def __init__(self, on_left: Callable[[str, int], None], wall: Callable[[], float] = time.time) -> None:
        self._on_left = on_left
        self._wall = wall
        self._arrived: deque[Sequence[Outcome]] = deque()
        self._lines: dict[TopicPartition, deque[_Line]] = {}
        self._touched: dict[TopicPartition, None] = {}  # where something may be ready

    def follow(self, records: PolledRecords) -> None:
        """Records have been read, after all others of their partitions."""
        positions: dict[int, list[int]] = defaultdict(list)
        for position, partition in enumerate(records.partitions):
            positions[partition].append(position)
        for partition, members in positions.items():
            place = TopicPartition(records.topic, partition)
            self._lines.setdefault(place, deque()).append(_Line(records, members))
        records.outcomes = [None] * len(records)

    def put(self, outcomes: Sequence[Outcome]) -> None:
        """Outcomes of requests of one delivery."""
        self._arrived.append(outcomes)

    def release(self) -> list[tuple[Place, OutcomeColumns, list[OnDelivery]]]:
        """The replies whose turn it is, in order, with where the client reports each; those to one place together."""
        ready, _ = self.take()
        by_place: dict[Place, list[Outcome]] = defaultdict(list)
        for outcome in ready:
            if outcome.place is not None:
                by_place[outcome.place].append(outcome)
        return [
            (place, columns_of(outcomes), [o.report for o in outcomes])
            for place, outcomes in by_place.items()
        ]

    def take(self, most: int = sys.maxsize) -> tuple[list[Outcome], dict[TopicPartition, int]]:
        """The outcomes whose turn it is, at most so many, partition by partition; and the offset behind each's last."""
        while self._arrived:
            self._take(self._arrived.popleft())
        ready: list[Outcome] = []
        offsets: dict[TopicPartition, int] = {}
        for partition in list(self._touched):
            lines = self._lines.get(partition, deque())
            while lines and len(ready) < most:
                line = lines[0]
                found = line.ready(most - len(ready))
                ready += found
                if found:
                    offsets[partition] = line.next_offset
                if line.at < len(line.positions):
                    break
                lines.popleft()
            if len(ready) >= most:
                break
            del self._touched[partition]
        handed_ms = self._wall() * 1000
        for outcome in ready:
            outcome.delivery.handed_ms = handed_ms
        return ready, offsets

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """Partitions are another worker's, or stand still: what waits is never sent."""
        for partition in partitions:
            self._touched.pop(partition, None)
            for line in self._lines.pop(partition, ()):
                for outcome in line.waiting():
                    self.leave(outcome)

    def leave(self, outcome: Outcome) -> None:
        """An outcome that is never sent, because its partition is another worker's."""
        delivery = outcome.delivery
        if outcome.place is None:
            return  # its dead letter has gone, and counts by itself
        self._on_left(delivery.origin.records.topic, 1)
        delivery.origin.forget(outcome.position)
        delivery.acknowledged()

    def _take(self, outcomes: Sequence[Outcome]) -> None:
        """Put outcomes into their places, and note the partitions that may go on."""
        records = outcomes[0].delivery.origin.records
        assert records.outcomes is not None, "records are followed before anything comes of them"
        positions = [outcome.position for outcome in outcomes]
        not_ours = repeat(0) if records.all_ours else ~records.ours_at(positions)
        touched = set()
        for outcome, position, is_left in zip(outcomes, positions, not_ours, strict=False):
            if is_left:
                self.leave(outcome)
            else:
                records.outcomes[position] = outcome
                touched.add(records.partitions[position])
        for partition in touched:
            self._touched[TopicPartition(records.topic, partition)] = None


def columns_of(outcomes: Sequence[Outcome]) -> OutcomeColumns:
    """Values, keys and headers of outcomes that go to one place."""
    keys = [outcome.key for outcome in outcomes]
    headers = [outcome.headers for outcome in outcomes]
    return (
        [outcome.value for outcome in outcomes],
        keys if any(key is not None for key in keys) else None,
        headers if any(headers) else None,
    )
