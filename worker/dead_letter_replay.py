"""Sends dead letters to the topics that they came from: key, value and own headers, and a count of how often."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from schemas import dead_letter
from worker.dead_letter_entries import Entry
from worker.kafka import errors
from worker.kafka.producer import Producer
from worker.kafka.records import Message, TopicPartition
from worker.kafka.rights import on_topic

Place = tuple[str, int, int]
"""Topic, partition and offset of a dead letter."""
FLUSH_SECONDS = 330.0
"""Longer than the client tries (`message.timeout.ms`, five minutes): by then each record has its report."""
_WAIT_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Rules:
    """What may be sent again.

    Attributes:
        sources: by dead-letter topic, the request topics whose dead letters go there.
        most_replays: a record that has been sent again so often is left where it is.
    """

    sources: Mapping[str, frozenset[str]]
    most_replays: int

    def obstacle(self, entry: Entry) -> str | None:
        """Why a dead letter is not sent; None: it is.

        Who may write to a dead-letter topic says in its headers where a record is to go: so only to request topics.
        """
        if entry.told is None:
            return entry.problem
        source = entry.told.origin.topic
        if source not in self.sources.get(entry.partition.topic, frozenset()):
            return (
                f"it says that it came from the topic {source!r}, which is none of the request topics that have "
                f"{entry.partition.topic!r} for their dead letters"
            )
        if entry.replays >= self.most_replays:
            times = "once" if entry.replays == 1 else f"{entry.replays} times"
            return f"it has been sent again {times} already; --max-attempts allows {self.most_replays}"
        return None


@dataclass(frozen=True, slots=True)
class NotSent:
    """A dead letter that was chosen and not sent.

    Attributes:
        place: where it lies.
        reason: why.
    """

    place: Place
    reason: str


class Replayer:
    """Sends them, one after the other; for one thread.

    Attributes:
        sent: how many the broker has acknowledged, by the topic that they went to.
        failed: those that it has not, with the reason.
        handed: all that were handed over.

    Args:
        producer: idempotent, and with all acknowledgements; closed by the caller.
        same_partition: to the partition that they came from, instead of the one that their key leads to.
    """

    def __init__(
        self, producer: Producer, *, same_partition: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.sent: Counter[str] = Counter()
        self.failed: list[NotSent] = []
        self._producer = producer
        self._same_partition = same_partition
        self._clock = clock
        self.handed: set[Place] = set()
        self._outstanding: set[Place] = set()

    def send(self, message: Message) -> None:
        """Hand a dead letter over that no rule keeps back; waits for room.

        Raises:
            Fatal: the producer is of no use any more.
        """
        own, added = dead_letter.split(message.headers() or ())
        source = dead_letter.read(added).origin
        place = (message.topic(), message.partition(), message.offset())
        self.handed.add(place)
        self._outstanding.add(place)
        columns = ([message.value()], [message.key()], [dead_letter.headers_to_replay(own)])
        number = source.partition if self._same_partition else -1
        report = partial(self._report, place, source.topic)
        while not self._producer.send(source.topic, *columns, number, [report]):
            self._producer.poll(_WAIT_SECONDS)
        self._producer.poll(0.0)

    def finish(self, timeout_seconds: float = FLUSH_SECONDS) -> None:
        """Wait until each has its report; those without one by then count as not sent."""
        end = self._clock() + timeout_seconds
        while self._outstanding and (left := end - self._clock()) > 0:
            self._producer.flush(left)
        unknown = "the broker has not acknowledged it in time; it may have been written all the same"
        self.failed += [NotSent(place, unknown) for place in sorted(self._outstanding)]
        self._outstanding.clear()

    def _report(self, place: Place, topic: str, error: Any, _message: Message) -> None:
        self._outstanding.discard(place)
        if error is None:
            self.sent[topic] += 1
        else:
            problem = errors.translate(error, topic=topic, wants=[on_topic("WRITE", topic)])
            self.failed.append(NotSent(place, str(problem)))


def ranges_of(places: Iterable[Place]) -> dict[TopicPartition, tuple[int, int]]:
    """What has to be read to find these records again; the others on the way are passed over."""
    ranges: dict[TopicPartition, tuple[int, int]] = {}
    for topic, number, offset in places:
        partition = TopicPartition(topic, number)
        first, end = ranges.get(partition, (offset, offset + 1))
        ranges[partition] = min(first, offset), max(end, offset + 1)
    return ranges
