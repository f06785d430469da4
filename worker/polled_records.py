"""The records of one poll from one topic, as columns.

Python works per block, not per record: what every record has (value, key, headers, timestamp, partition) is taken
out of the client's messages once, by C-speed maps, and found again by position.
"""

from collections import Counter
from collections.abc import Sequence
from operator import add, itemgetter
from typing import TYPE_CHECKING

import numpy as np

from worker.kafka.header_reading import read_headers
from worker.kafka.records import Message, TopicPartition
from worker.offset_tracker import Run

if TYPE_CHECKING:
    import numpy.typing as npt

    from worker.outcomes import PollOutcomes
    from worker.reply_routes import ReplyRoutes

MANY_RECORDS, TIMED_EVERY = 128, 8
"""Of a poll with so many records one in eight is asked for its timestamp, and stands for those about it: a fraction of
a millisecond apart where so many come at once, and only the latency metric reads them. To ask each, and count each by
itself, is more than a tenth of all that is done with a small record outside of Kafka and its model (measured)."""
NO_PRIORITY = -1
_milliseconds = itemgetter(1)


def _timestamps_ms(messages: Sequence[Message], polled_ms: float) -> "npt.NDArray[np.int64]":
    """As whole numbers, which cost a third less to make; what is missing or lies in the future is the poll's time."""
    stamps = map(_milliseconds, map(type(messages[0]).timestamp, messages))
    found = np.fromiter(stamps, np.int64, len(messages))
    found[(found <= 0) | (found > polled_ms)] = int(polled_ms)
    return found


def _lengths(values: "Sequence[bytes | None]") -> list[int] | None:
    try:
        return list(map(len, values))  # type: ignore[arg-type]  # None raises TypeError
    except TypeError:
        return None


def _sizes(values: "Sequence[bytes | None]") -> list[int]:
    return [0 if value is None else len(value) for value in values]


class PolledRecords:
    """Records read together from one request topic; made and read by the poll thread, read by the batch threads.

    Attributes:
        topic: the request topic.
        binding: the name of the binding that the topic belongs to.
        messages: the client's messages, which own the bytes.
        values: each record's value; None is a tombstone.
        keys: each record's key, or None where no record has one.
        headers: each record's headers, or None where no record has any.
        unreadable: positions of records whose headers cannot be read, and that have none here.
        partitions: each record's partition number.
        routes: the replies' routes, or None where all take the binding's own without headers.
        deadlines_ms: each record's deadline (wall clock, ms), infinity for none; None where no record has one.
        priorities: the priority that each record asks for, `NO_PRIORITY` for none; None where no record does.
        polled_ms: wall clock of the poll, ms.
        header_bytes: at least what the headers of any one record take up.
        lengths: bytes of each record's value; None where one has none.
        one_length: whether all values are as long.
        outcomes: what came of each record, where replies keep the order of their requests; else None.
        refusal: why none of them is given to a model; None where they are.
        settled: which of them are done, where somebody asked to have that noted; else None.
        claimed: bytes that records claim which lie elsewhere, by position; None where no record has a claim.
        sizes: bytes of each record's value and key, and of what it claims.
        size_bytes: bytes of all of them.
    """

    __slots__ = (
        "_runs",
        "_stamps_ms",
        "_timed_every",
        "binding",
        "claimed",
        "deadlines_ms",
        "header_bytes",
        "headers",
        "keys",
        "lengths",
        "messages",
        "one_length",
        "outcomes",
        "partitions",
        "polled_ms",
        "priorities",
        "refusal",
        "routes",
        "settled",
        "size_bytes",
        "sizes",
        "topic",
        "unreadable",
        "values",
    )

    def __init__(self, topic: str, binding: str, messages: Sequence[Message], polled_ms: float) -> None:
        self.topic = topic
        self.binding = binding
        self.messages = messages
        # Straight from the class: a fifth of what `methodcaller` costs in CPython 3.11. A poll's messages have one.
        client = type(messages[0])
        self.values: list[bytes | None] = list(map(client.value, messages))
        keys: list[bytes | None] = list(map(client.key, messages))
        self.keys = None if keys.count(None) == len(keys) else keys
        headers, self.unreadable = read_headers(messages)
        none = headers.count(None) == len(headers) or not any(headers)
        self.headers = None if none else headers
        self.partitions: list[int] = list(map(client.partition, messages))
        self.routes: ReplyRoutes | None = None
        self.deadlines_ms: npt.NDArray[np.float64] | None = None
        self.priorities: npt.NDArray[np.int8] | None = None
        self.polled_ms = polled_ms
        self.header_bytes = 0
        self.outcomes: PollOutcomes | None = None
        self.refusal: Exception | None = None
        self.settled: bytearray | None = None
        self.claimed: dict[int, int] | None = None
        self._timed_every = 1 if len(messages) < MANY_RECORDS else TIMED_EVERY
        # Now, while the messages are in the processor's caches.
        self._stamps_ms = _timestamps_ms(messages[:: self._timed_every], polled_ms)
        self._runs: dict[int, Run] = {}
        self.lengths = _lengths(self.values)
        self.one_length = self.lengths is not None and self.lengths.count(self.lengths[0]) == len(messages)
        self.sizes = _sizes(self.values) if self.lengths is None else self.lengths
        if self.keys is not None:
            self.sizes = list(map(add, self.sizes, _sizes(self.keys)))
        alike = self.one_length and self.keys is None
        self.size_bytes = self.sizes[0] * len(messages) if alike else sum(self.sizes)

    def __len__(self) -> int:
        return len(self.messages)

    def place(self, position: int) -> bytes:
        """Where a record stands in its topic."""
        return b"%d %d" % (self.partitions[position], self.messages[position].offset())

    def picked(self, positions: Sequence[int]) -> "PolledRecords":
        """The records at these positions, ascending, by themselves: whoever keeps them keeps none of the others.

        They are settled with all of them, never here.
        """
        if len(positions) == len(self):
            return self
        found = PolledRecords(
            self.topic, self.binding, [self.messages[position] for position in positions], self.polled_ms
        )
        found._runs = self._runs
        found.header_bytes = self.header_bytes
        if self.deadlines_ms is not None:
            found.deadlines_ms = self.deadlines_ms[np.array(positions, np.intp)]
        if self.priorities is not None:
            found.priorities = self.priorities[np.array(positions, np.intp)]
        if self.routes is not None:
            found.routes = self.routes.picked(positions)
        return found

    def claim(self, position: int, size_bytes: int) -> None:
        """A record claims so many bytes that lie elsewhere; they count like its own. Before `make_runs`."""
        if self.claimed is None:
            self.claimed, self.sizes = {}, list(self.sizes)
        self.claimed[position] = size_bytes
        self.sizes[position] += size_bytes
        self.size_bytes += size_bytes

    def about_ms_at(self, positions: Sequence[int]) -> "tuple[npt.NDArray[np.int64], int]":
        """When the records at these positions, ascending, were written, nearly: see `MANY_RECORDS`.

        Returns:
            Timestamps, and how many records each of them stands for, but for the last, which stands for what is left.
        """
        every = self._timed_every
        some = positions[::every]
        if isinstance(some, range) and some.step == every:
            first = some.start // every
            return self._stamps_ms[first : first + len(some)], every
        places = np.array(some, np.intp)
        places //= every
        return self._stamps_ms[places], every

    def timestamps_ms_at(self, positions: Sequence[int]) -> "npt.NDArray[np.int64]":
        """The timestamps of the records at these positions; one missing or in the future is the poll's time."""
        return _timestamps_ms([self.messages[position] for position in positions], self.polled_ms)

    def bytes_at(self, positions: Sequence[int]) -> int:
        """Bytes of the values and keys of the records at these positions."""
        if len(positions) == len(self):
            return self.size_bytes
        if isinstance(positions, range) and positions.step == 1:
            return sum(self.sizes[positions.start : positions.stop])
        return sum(map(self.sizes.__getitem__, positions))

    def make_runs(self, rows: "npt.NDArray[np.int64] | None") -> list[Run]:
        """One run for each partition that the records come from; *rows* of each record, None for one each."""
        first = self.partitions[0]
        if self.partitions.count(first) == len(self.partitions):
            end = self.messages[-1].offset() + 1
            total = len(self) if rows is None else int(rows.sum())
            run = Run(TopicPartition(self.topic, first), end, len(self), total, self.size_bytes)
            self._runs = {first: run}
            self._count_claimed()
            return [run]
        partitions = np.array(self.partitions, np.int64)
        rows_by = np.bincount(partitions, weights=rows)
        bytes_by = np.bincount(partitions, weights=self.sizes)
        counts = np.bincount(partitions)
        last_offsets = dict(
            zip(self.partitions, map(type(self.messages[0]).offset, self.messages), strict=True)
        )
        self._runs = {
            p: Run(
                TopicPartition(self.topic, p), offset + 1, int(counts[p]), int(rows_by[p]), int(bytes_by[p])
            )
            for p, offset in last_offsets.items()
        }
        self._count_claimed()
        return list(self._runs.values())

    def _count_claimed(self) -> None:
        for position, size_bytes in (self.claimed or {}).items():
            self._runs[self.partitions[position]].claimed_bytes += size_bytes

    @property
    def all_ours(self) -> bool:
        """Whether every partition of these records has been this worker's ever since they were read."""
        return all(run.ours for run in self._runs.values())

    def ours_at(self, positions: Sequence[int]) -> "npt.NDArray[np.bool_]":
        """Of which of the records at these positions the partition has been this worker's ever since."""
        ours = {partition: run.ours for partition, run in self._runs.items()}
        return np.array([ours[self.partitions[position]] for position in positions], np.bool_)

    def is_ours(self, partition: int) -> bool:
        """Whether a partition that some of these records come from has been this worker's ever since."""
        return self._runs[partition].ours

    def settle_in(self, partition: int, positions: "npt.NDArray[np.intp]") -> None:
        """Count the records at these positions, all of one partition, as acknowledged; poll thread only."""
        if self.settled is not None:
            for position in positions.tolist():
                self.settled[position] = True
        self._runs[partition].settle(len(positions))

    def settle(self, positions: Sequence[int]) -> None:
        """Count the records at these positions as acknowledged; poll thread only."""
        if self.settled is not None:
            for position in positions:
                self.settled[position] = True
        if len(self._runs) == 1:
            next(iter(self._runs.values())).settle(len(positions))
            return
        if len(positions) == len(self):
            for run in self._runs.values():
                run.settle(run.unsettled)
            return
        for partition, records in Counter(map(self.partitions.__getitem__, positions)).items():
            self._runs[partition].settle(records)

    def __repr__(self) -> str:
        return f"<PolledRecords {len(self)} of {self.topic}>"
