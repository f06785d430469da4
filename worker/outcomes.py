"""What came of requests whose replies keep an order, as columns.

The replies of one delivery that go to one place are one `Outcomes`. A poll knows for each of its records which of them
it has (`PollOutcomes`). A `Turn` is what may go of one partition of one poll; `together` joins the turns by place.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from worker.delivery import Delivery
from worker.kafka.producer import OnDelivery
from worker.kafka.records import Headers, TopicPartition
from worker.polled_records import PolledRecords
from worker.reply_routes import Place

if TYPE_CHECKING:
    import numpy.typing as npt

    Indices = npt.NDArray[np.intp]

T = TypeVar("T")

LEAST_PIECE_RECORDS = 8
"""Shorter pieces are taken record by record, on the average: one piece costs as much as eight records."""

Columns = tuple[Sequence[bytes | None], Sequence[bytes | None] | None, Sequence[Headers | None] | None]
"""Values, keys and headers; None where none has one."""


@dataclass(slots=True)
class Outcome:
    """What came of one request, for who has to look at it alone.

    Attributes:
        delivery: what it belongs to.
        position: the request's position in its poll.
        place: where it goes.
        value: the reply, or the dead letter, whose value may be None.
        key: its key.
        headers: its headers.
    """

    delivery: Delivery
    position: int
    place: Place
    value: bytes | None = None
    key: bytes | None = None
    headers: Headers | None = None


class Outcomes:
    """What came of requests of one delivery, in any order.

    Attributes:
        delivery: what they belong to.
        positions: the requests' positions in their poll.
        place: where they go; None where nothing is sent in order, because dead letters have gone by themselves.
        columns: their values, keys and headers; no values where nothing is sent.
    """

    __slots__ = ("columns", "delivery", "place", "positions")

    def __init__(
        self,
        delivery: Delivery,
        positions: Sequence[int],
        place: Place | None,
        columns: Columns = ((), None, None),
    ) -> None:
        self.delivery = delivery
        self.positions = positions
        self.place = place
        self.columns = columns

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> "Outcomes":
        """Some of one delivery and to one place."""
        first = outcomes[0]
        return cls(first.delivery, [o.position for o in outcomes], first.place, columns_of(outcomes))


def columns_of(outcomes: Sequence[Outcome]) -> Columns:
    """Values, keys and headers of outcomes that go to one place."""
    keys, headers = [outcome.key for outcome in outcomes], [outcome.headers for outcome in outcomes]
    return [outcome.value for outcome in outcomes], _column(keys), headers if any(headers) else None


class PollOutcomes:
    """Which outcome each record of a poll has; owned by the poll thread.

    Attributes:
        all: every outcome that has come.
        which: for each record the index in *all*; negative while there is none.
        where: for each record its index in that one's columns.
        partitions: each record's partition.
    """

    __slots__ = ("all", "partitions", "where", "which")

    def __init__(self, partitions: Sequence[int]) -> None:
        self.all: list[Outcomes] = []
        self.which = np.full(len(partitions), -1, np.intp)
        self.where = np.zeros(len(partitions), np.intp)
        self.partitions = np.array(partitions, np.intp)

    def put(self, outcomes: Outcomes, positions: "Indices", where: "Indices") -> None:
        """These of *outcomes* belong to the records at these positions."""
        self.which[positions] = len(self.all)
        self.where[positions] = where
        self.all.append(outcomes)

    def members(self) -> "Iterator[tuple[int, Indices]]":
        """Each partition with the positions of its records, in order."""
        for number in self.partitions_at(slice(None)):
            yield number, np.flatnonzero(self.partitions == number)

    def partitions_at(self, positions: "Indices | slice") -> list[int]:
        """The partitions of the records at these positions."""
        return np.flatnonzero(np.bincount(self.partitions[positions])).tolist()


class Turn:
    """Outcomes of one partition of one poll whose turn it is, in the order of the requests.

    Attributes:
        partition: where the requests were read.
        records: the poll.
        positions: the requests' positions in it.
    """

    __slots__ = ("_all", "_where", "_which", "partition", "positions", "records")

    def __init__(self, partition: TopicPartition, records: PolledRecords, positions: "Indices") -> None:
        placed = records.outcomes
        assert placed is not None, "records are followed before anything comes of them"
        self.partition = partition
        self.records = records
        self.positions = positions
        self._all: Sequence[Outcomes] = placed.all
        self._which = placed.which[positions]
        self._where = placed.where[positions]

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def next_offset(self) -> int:
        """The offset behind the last of them."""
        return int(self.records.messages[self.positions[-1]].offset()) + 1

    @property
    def is_ours(self) -> bool:
        """Whether the partition has been this worker's ever since it was read."""
        return self.records.is_ours(self.partition.partition)

    def members(self) -> "Iterator[tuple[Outcomes, Indices]]":
        """The outcomes that these are of, each with the indices here of those that are."""
        first = int(self._which[0])
        if (self._which == first).all():
            yield self._all[first], np.arange(len(self))
            return
        for which in np.unique(self._which):
            yield self._all[which], np.flatnonzero(self._which == which)

    def at(self, index: int) -> Outcome:
        """One of them, by its index; it goes somewhere."""
        outcomes, where = self._all[self._which[index]], self._where[index]
        values, keys, headers = outcomes.columns
        assert outcomes.place is not None, "who asks for one has tried to send it"
        return Outcome(
            outcomes.delivery,
            int(self.positions[index]),
            outcomes.place,
            values[where],
            keys and keys[where],
            headers and headers[where],
        )

    def replace(self, index: int, outcome: Outcome) -> None:
        """Put another outcome in the place of one."""
        self._all = [*self._all, Outcomes.of([outcome])]
        self._which[index], self._where[index] = len(self._all) - 1, 0

    def columns(self, chosen: "Indices") -> Columns:
        """Values, keys and headers of those at these indices; they go to one place."""
        which, where = self._which[chosen], self._where[chosen]
        cuts = (np.flatnonzero(np.diff(which)) + 1).tolist()
        if len(cuts) * LEAST_PIECE_RECORDS > len(which):
            return self._one_by_one(which.tolist(), where.tolist())
        starts, stops = [0, *cuts], [*cuts, len(which)]
        return _joined(
            [
                _part(self._all[which[start]].columns, where[start:stop])
                for start, stop in zip(starts, stops, strict=True)
            ]
        )

    def _one_by_one(self, which: list[int], where: list[int]) -> Columns:
        """The columns of records that alternate between batches."""
        used = [self._all[n].columns for n in which]
        has_keys, has_headers = (any(columns[n] for columns in used) for n in (1, 2))
        return (
            [values[n] for (values, _, _), n in zip(used, where, strict=True)],
            [keys[n] if keys else None for (_, keys, _), n in zip(used, where, strict=True)]
            if has_keys
            else None,
            [found[n] if found else None for (_, _, found), n in zip(used, where, strict=True)]
            if has_headers
            else None,
        )

    def reports(self, chosen: "Indices") -> list[OnDelivery]:
        """Where the client reports those at these indices."""
        deliveries = [self._all[k].delivery for k in self._which[chosen].tolist()]
        if self.records.routes is None:
            return [delivery.report for delivery in deliveries]
        positions = self.positions[chosen].tolist()
        return [partial(d.report_at, position) for d, position in zip(deliveries, positions, strict=True)]


@dataclass(slots=True)
class Shipment:
    """Outcomes of some turns that go to one place, in their order.

    Attributes:
        place: where.
        members: turn by turn, the indices in it of those that go there.
    """

    place: Place
    members: "list[tuple[Turn, Indices]]"

    def columns(self) -> Columns:
        """Values, keys and headers of all."""
        return _joined([turn.columns(chosen) for turn, chosen in self.members])

    def reports(self) -> list[OnDelivery]:
        """Where the client reports each."""
        return [report for turn, chosen in self.members for report in turn.reports(chosen)]


def together(turns: Iterable[Turn]) -> list[Shipment]:
    """What is sent, by the places that it goes to."""
    shipments: dict[Place, Shipment] = {}
    for turn in turns:
        of_turn: dict[Place, list[Indices]] = defaultdict(list)
        for outcomes, chosen in turn.members():
            if outcomes.place is not None:
                of_turn[outcomes.place].append(chosen)
        for place, parts in of_turn.items():
            chosen = parts[0] if len(parts) == 1 else np.sort(np.concatenate(parts))
            shipments.setdefault(place, Shipment(place, [])).members.append((turn, chosen))
    return list(shipments.values())


def _part(columns: Columns, where: "Indices") -> Columns:
    """Columns at these indices."""
    values, keys, headers = columns
    return _taken(values, where), keys and _taken(keys, where), headers and _taken(headers, where)


def _joined(parts: Sequence[Columns]) -> Columns:
    """Columns one behind the other."""
    if len(parts) == 1:
        return parts[0]
    values = list(chain.from_iterable(part[0] for part in parts))
    keys = headers = None
    if any(part[1] for part in parts):
        keys = list(chain.from_iterable(part[1] or repeat(None, len(part[0])) for part in parts))
    if any(part[2] for part in parts):
        headers = list(chain.from_iterable(part[2] or repeat(None, len(part[0])) for part in parts))
    return values, keys, headers


def _taken(column: Sequence[T], where: "Indices") -> Sequence[T]:
    """A column at these indices; without a look at each where they are neighbours."""
    first, last = int(where[0]), int(where[-1])
    if last - first == len(where) - 1 and (len(where) < 3 or (np.diff(where) == 1).all()):
        return column if len(where) == len(column) else column[first : last + 1]
    return [column[n] for n in where.tolist()]


def _column(keys: list[bytes | None]) -> list[bytes | None] | None:
    return keys if any(key is not None for key in keys) else None
