"""What a dead-letter topic holds, record by record and without the payloads: what is shown, chosen and counted."""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from schemas import dead_letter
from schemas.dead_letter import Told
from schemas.errors import InvalidHeader
from schemas.request_peek import model_of
from worker.kafka.records import Message, TopicPartition
from worker.topic_scan import Range, TopicScan

KEY_BYTES = 256
"""Where a key is cut: it is only shown."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One dead letter.

    Attributes:
        partition: where it lies.
        offset: where it lies there.
        time_ms: when it was written.
        told: what its headers tell; None where they cannot be read.
        problem: why they cannot; empty where they can.
        replays: how often it had been sent again before it came here.
        model: the model that it names; None where that cannot be told.
        key: its key, or the beginning of it.
        size_bytes: bytes of its value.
    """

    partition: TopicPartition
    offset: int
    time_ms: int
    told: Told | None
    problem: str
    replays: int
    model: str | None
    key: bytes | None
    size_bytes: int

    @property
    def place(self) -> tuple[str, int, int]:
        """Topic, partition, offset."""
        return (*self.partition, self.offset)


def entry_of(message: Message) -> Entry:
    """What is known of a record of a dead-letter topic."""
    own, added = dead_letter.split(message.headers() or ())
    told, problem = None, ""
    try:
        told = dead_letter.read(added)
    except InvalidHeader as error:
        problem = str(error)
    key, value = message.key(), message.value()
    return Entry(
        TopicPartition(message.topic(), message.partition()),
        message.offset(),
        message.timestamp()[1],
        told,
        problem,
        dead_letter.replays(own),
        model_of(value),
        None if key is None else key[:KEY_BYTES],
        len(value or b""),
    )


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are meant; what is None does not matter.

    Attributes:
        reason: a part of the error's name or message, in whatever case.
        model: a shell pattern of the model's name.
        since_ms: written then or later.
        until_ms: written before that.
        places: partition and offset of each; empty: all.
        starts: by partition, the offset to begin at; others are read from their beginning.
    """

    reason: str | None = None
    model: str | None = None
    since_ms: float | None = None
    until_ms: float | None = None
    places: frozenset[tuple[int, int]] = frozenset()
    starts: Mapping[int, int] = field(default_factory=dict)

    def takes(self, entry: Entry) -> bool:
        """Whether a dead letter is meant."""
        if self.places and (entry.partition.partition, entry.offset) not in self.places:
            return False
        if self.since_ms is not None and entry.time_ms < self.since_ms:
            return False
        if self.until_ms is not None and entry.time_ms >= self.until_ms:
            return False
        if self.model is not None and (entry.model is None or not fnmatchcase(entry.model, self.model)):
            return False
        return self.reason is None or _has(entry, self.reason)

    def range_of(self, partition: TopicPartition, bounds: Range) -> Range:
        """What has to be read of a partition that holds this."""
        low, high = bounds
        low = max(low, self.starts.get(partition.partition, low))
        if self.places:
            offsets = [offset for number, offset in self.places if number == partition.partition]
            if not offsets:
                return high, high
            low, high = max(low, min(offsets)), min(high, max(offsets) + 1)
        return low, high


def _has(entry: Entry, reason: str) -> bool:
    told, wanted = entry.told, reason.casefold()
    words = (entry.problem,) if told is None else (told.error, told.message)
    return any(wanted in each.casefold() for each in words)


class Reading:
    """Goes through what a scan reads, once.

    Attributes:
        read: how many records there were.
        matched: how many of them were meant.
    """

    def __init__(self, scan: TopicScan, selection: Selection) -> None:
        self._scan = scan
        self._selection = selection
        self.ranges = {p: selection.range_of(p, bounds) for p, bounds in scan.bounds.items()}
        self.read = 0
        self.matched = 0

    def entries(self) -> Iterator[Entry]:
        """Each dead letter that is meant. Raises as `TopicScan.read`."""
        for message in self._scan.read(self.ranges):
            self.read += 1
            entry = entry_of(message)
            if self._selection.takes(entry):
                self.matched += 1
                yield entry

    @property
    def next_offsets(self) -> Mapping[str, Mapping[int, int]]:
        """By topic and partition, where a later reading goes on."""
        found: dict[str, dict[int, int]] = {}
        for (topic, number), (_, high) in self._scan.bounds.items():
            found.setdefault(topic, {})[number] = high
        return found


def latest(entries: Iterable[Entry], count: int) -> list[Entry]:
    """The latest so many, all for 0; the oldest of them first. No more than those are kept meanwhile."""
    kept = heapq.nlargest(count, entries, key=_by_time) if count else entries
    return sorted(kept, key=_by_time)


def _by_time(entry: Entry) -> tuple[int, str, int, int]:
    return entry.time_ms, *entry.place


@dataclass(slots=True)
class Group:
    """Dead letters for one reason, from one topic, by one worker.

    Attributes:
        records: how many.
        first_ms: when the first was written.
        last: the last.
    """

    records: int
    first_ms: int
    last: Entry


GroupKey = tuple[str, str, str]
"""Reason, source topic, worker."""


def summary(entries: Iterable[Entry]) -> list[tuple[GroupKey, Group]]:
    """Dead letters counted by reason, source topic and worker; the most frequent first."""
    groups: dict[GroupKey, Group] = {}
    for entry in entries:
        told = entry.told
        key = ("", "", "") if told is None else (told.reason, told.origin.topic, told.worker)
        group = groups.get(key)
        if group is None:
            groups[key] = Group(1, entry.time_ms, entry)
            continue
        group.records += 1
        group.first_ms = min(group.first_ms, entry.time_ms)
        if _by_time(entry) > _by_time(group.last):
            group.last = entry
    return sorted(groups.items(), key=lambda item: (-item[1].records, item[0]))
