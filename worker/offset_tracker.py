"""Which offsets may be committed.

Records are answered in whatever order their batches finish, but Kafka remembers one offset a partition. So what was
read is kept as *runs*: the records of one poll from one partition, with the number of them still without an
acknowledged reply, error or dead letter. A partition may be committed up to the end of its leading finished runs.
Per record nothing is kept.
"""

import itertools
from collections import deque
from collections.abc import Iterable, Mapping

from worker.kafka.records import TopicPartition


class Run:
    """Records of one poll from one partition.

    Attributes:
        partition: where they were read.
        next_offset: the offset after the last of them (what a commit of this run says).
        unsettled: how many of them have no acknowledged outcome yet.
        rows: their rows, for the budget.
        size_bytes: the bytes of their values and keys and of what they claim, for the budget.
        claimed_bytes: those among them that lie elsewhere, or have been fetched.
        ours: whether the partition has been this worker's ever since, and has not stopped; read by the batch threads.
    """

    __slots__ = ("claimed_bytes", "next_offset", "ours", "partition", "rows", "size_bytes", "unsettled")

    def __init__(
        self, partition: TopicPartition, next_offset: int, records: int, rows: int, size_bytes: int
    ) -> None:
        self.partition = partition
        self.next_offset = next_offset
        self.unsettled = records
        self.rows = rows
        self.size_bytes = size_bytes
        self.claimed_bytes = 0
        self.ours = True

    def settle(self, records: int) -> None:
        """Count *records* as answered, refused or dead-lettered, and acknowledged as such by the broker."""
        if records > self.unsettled:
            message = f"{records} records settled in a run of {self.partition} with {self.unsettled} left"
            raise AssertionError(message)
        self.unsettled -= records

    def __repr__(self) -> str:
        return f"<Run {self.partition} to {self.next_offset}, {self.unsettled} unsettled>"


class OffsetTracker:
    """The runs of every assigned partition; owned by the poll thread, holds no lock.

    It does not commit: `committable` says what a commit may say, `committed` is told what one did say.
    """

    def __init__(self) -> None:
        self._runs: dict[TopicPartition, deque[Run]] = {}
        self._committed: dict[TopicPartition, int] = {}
        self.departures = 0
        """How many runs have become another worker's, or were given up."""

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Begin to follow newly assigned partitions, with nothing read from them yet."""
        for partition in partitions:
            self._runs[partition] = deque()

    def forget(self, partitions: Iterable[TopicPartition]) -> list[Run]:
        """Stop following partitions that were revoked or lost; returns their unfinished and uncommitted runs.

        Runs handed out before stay valid objects: settling them later changes nothing here, so a late result of a
        lost partition is never committed. They say from now on that they are another worker's, even when the
        partition comes back: it is then read anew.
        """
        left: list[Run] = []
        for partition in partitions:
            left += self._runs.pop(partition, ())
            self._committed.pop(partition, None)
        self._depart(left)
        return left

    def drop(self, partition: TopicPartition) -> list[Run]:
        """Give up what was read of a partition that stands still, from its first unfinished run on; those runs.

        The partition stays assigned, and what was finished before can still be committed; nothing behind it ever is.
        """
        runs = self._runs.get(partition, deque())
        finished = deque(itertools.takewhile(lambda run: not run.unsettled, runs))
        dropped = list(itertools.islice(runs, len(finished), None))
        if partition in self._runs:
            self._runs[partition] = finished
        self._depart(dropped)
        return dropped

    def _depart(self, runs: Iterable[Run]) -> None:
        for run in runs:
            run.ours = False
            self.departures += 1

    def add(self, run: Run) -> None:
        """Follow a run just read from an assigned partition, after all earlier ones of that partition."""
        self._runs.setdefault(run.partition, deque()).append(run)
        # Nearly the first record's offset: a topic has few gaps, and a commit soon tells exactly.
        self._committed.setdefault(run.partition, run.next_offset - run.unsettled)

    def committable(self) -> dict[TopicPartition, int]:
        """What may be committed now and has not been: the end of each partition's leading finished runs."""
        offsets: dict[TopicPartition, int] = {}
        for partition, runs in self._runs.items():
            last = None
            for run in runs:
                if run.unsettled:
                    break
                last = run.next_offset
            if last is not None:
                offsets[partition] = last
        return offsets

    def committed(self, offsets: Mapping[TopicPartition, int]) -> list[Run]:
        """Forget the runs that a successful commit covered; returns them, so that their budget can be given back."""
        covered: list[Run] = []
        for partition, offset in offsets.items():
            runs = self._runs.get(partition)
            if runs is not None:
                self._committed[partition] = offset
            while runs and not runs[0].unsettled and runs[0].next_offset <= offset:
                covered.append(runs.popleft())
        return covered

    def unsettled(self, partitions: Iterable[TopicPartition] | None = None) -> int:
        """How many records of these partitions (of all, by default) still wait for their outcome."""
        chosen = self._runs if partitions is None else partitions
        return sum(run.unsettled for p in chosen for run in self._runs.get(p, ()))

    def head(self, partition: TopicPartition) -> tuple[int | None, int]:
        """What the next commit of a partition waits for.

        Returns the offset before which everything is settled (None: nothing has been read yet), and how many records
        of the first unfinished run are not (0: there is none).
        """
        settled = self._committed.get(partition)
        for run in self._runs.get(partition, ()):
            if run.unsettled:
                return settled, run.unsettled
            settled = run.next_offset
        return settled, 0

    def uncommitted(self, partition: TopicPartition) -> bool:
        """Whether anything that was read of a partition is not committed yet."""
        return bool(self._runs.get(partition))

    def position(self, partition: TopicPartition) -> int | None:
        """The offset last committed here for an assigned partition, or about that of its first record; else None."""
        return self._committed.get(partition)

    @property
    def partitions(self) -> tuple[TopicPartition, ...]:
        """The assigned partitions."""
        return tuple(self._runs)

    def __repr__(self) -> str:
        return f"<OffsetTracker {len(self._runs)} partitions, {self.unsettled()} unsettled>"
