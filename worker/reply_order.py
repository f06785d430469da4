"""Replies in the order of their requests, for each request partition (`delivery.reply_order`).

Batches end in whatever order they do. So each reply waits here until every request before it, in the same poll and
partition and in those before, has had its own.
"""

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


@dataclass(slots=True)
class Outcome:
    """What came of one request.

    Attributes:
        delivery: what it belongs to.
        position: the request's position in its poll.
        place: where the reply goes; None where nothing is sent in order, because the request is a dead letter.
        value: the reply.
        key: its key.
        headers: its headers.
    """

    delivery: Delivery
    position: int
    place: Place | None
    value: bytes
    key: bytes | None
    headers: Headers | None

    @property
    def report(self) -> OnDelivery:
        """Where the client reports it."""
        if self.delivery.origin.records.routes is None:
            return self.delivery.report
        return partial(self.delivery.report_at, self.position)


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
        positions: theirs in the poll.
        outcomes: of all records of the poll, by position; None where there is none yet.
        at: how many of *positions* have gone.
    """

    __slots__ = ("at", "outcomes", "positions")

    def __init__(self, positions: Sequence[int], outcomes: list[Outcome | None]) -> None:
        self.positions = positions
        self.outcomes = outcomes
        self.at = 0

    def ready(self) -> Iterator[Outcome]:
        """The outcomes whose turn it is; each goes."""
        while self.at < len(self.positions):
            outcome = self.outcomes[self.positions[self.at]]
            if outcome is None:
                return
            self.at += 1
            yield outcome

    def waiting(self) -> Iterator[Outcome]:
        """The outcomes that wait for others."""
        return filter(None, (self.outcomes[position] for position in self.positions[self.at :]))


class ReplyOrder:
    """Outcomes come by `put`, from any thread, and go by `release`. Everything else is called by the poll thread.

    Args:
        on_left: told of outcomes that came too late, because their partition has gone to another worker, by topic.
    """

    def __init__(self, on_left: Callable[[str, int], None]) -> None:
        self._on_left = on_left
        self._arrived: deque[Sequence[Outcome]] = deque()
        self._lines: dict[TopicPartition, deque[_Line]] = {}

    def follow(self, records: PolledRecords) -> None:
        """Records have been read, after all others of their partitions."""
        outcomes: list[Outcome | None] = [None] * len(records)
        positions: dict[int, list[int]] = defaultdict(list)
        for position, partition in enumerate(records.partitions):
            positions[partition].append(position)
        for partition, members in positions.items():
            place = TopicPartition(records.topic, partition)
            self._lines.setdefault(place, deque()).append(_Line(members, outcomes))
        records.outcomes = outcomes

    def put(self, outcomes: Sequence[Outcome]) -> None:
        """Outcomes of requests of one delivery."""
        self._arrived.append(outcomes)

    def release(self) -> list[tuple[Place, ReplyColumns, list[OnDelivery]]]:
        """The replies whose turn it is, in order, with where the client reports each; those to one place together."""
        touched: dict[TopicPartition, None] = {}
        while self._arrived:
            self._take(self._arrived.popleft(), touched)
        ready = [outcome for partition in touched for outcome in self._ready(partition)]
        by_place: dict[Place, list[Outcome]] = defaultdict(list)
        for outcome in ready:
            if outcome.place is not None:
                by_place[outcome.place].append(outcome)
        return [
            (place, _columns(outcomes), [o.report for o in outcomes]) for place, outcomes in by_place.items()
        ]

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """Partitions are another worker's: what waits is never sent."""
        for partition in partitions:
            for line in self._lines.pop(partition, ()):
                for outcome in line.waiting():
                    self._leave(outcome)

    def _take(self, outcomes: Sequence[Outcome], touched: dict[TopicPartition, None]) -> None:
        """Put outcomes into their places, and note the partitions that may go on."""
        records = outcomes[0].delivery.origin.records
        assert records.outcomes is not None, "records are followed before anything comes of them"
        positions = [outcome.position for outcome in outcomes]
        not_ours = repeat(0) if records.all_ours else ~records.ours_at(positions)
        for outcome, position, is_left in zip(outcomes, positions, not_ours, strict=False):
            if not is_left:
                records.outcomes[position] = outcome
                touched[TopicPartition(records.topic, records.partitions[position])] = None
            else:
                self._leave(outcome)

    def _ready(self, partition: TopicPartition) -> Iterator[Outcome]:
        lines = self._lines.get(partition, ())
        while lines:
            line = lines[0]
            yield from line.ready()
            if line.at < len(line.positions):
                return
            lines.popleft()

    def _leave(self, outcome: Outcome) -> None:
        delivery = outcome.delivery
        if outcome.place is None:
            return  # its dead letter has gone, and counts by itself
        self._on_left(delivery.origin.records.topic, 1)
        delivery.origin.forget(outcome.position)
        delivery.acknowledged()


def _columns(outcomes: Sequence[Outcome]) -> ReplyColumns:
    keys = [outcome.key for outcome in outcomes]
    headers = [outcome.headers for outcome in outcomes]
    return (
        [outcome.value for outcome in outcomes],
        keys if any(key is not None for key in keys) else None,
        headers if any(headers) else None,
    )
