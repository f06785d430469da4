"""What is known of the cluster's topics: which exist, how many partitions they have, how large a record they take.

Asking the broker takes time, so the poll thread never asks: it reads a snapshot that a background step refreshes
every half minute, and at once when somebody met a topic that the snapshot does not know.
"""

import dataclasses
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol

from worker.kafka.errors import KafkaProblem

DEFAULT_MAX_MESSAGE_BYTES = 1_048_588  # Kafka's own default of max.message.bytes


@dataclasses.dataclass(frozen=True, slots=True)
class KnownTopic:
    """One topic.

    Attributes:
        partitions: how many it has.
        max_message_bytes: the largest record batch that it takes.
    """

    partitions: int
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES


class TopicLister(Protocol):
    """Asks the broker; see `worker.kafka.admin`."""

    def partition_counts(self) -> Mapping[str, int]:
        """Every topic's number of partitions."""
        ...

    def max_message_bytes(self, topics: Iterable[str]) -> Mapping[str, int]:
        """The largest record batch that each of these topics takes."""
        ...


class TopicDirectory:
    """The snapshot. Read from any thread; refreshed by one background step.

    With `assume_existing` (an embedded test broker that creates topics on first use and cannot list what it will
    create) every topic counts as there.
    """

    def __init__(
        self,
        lister: TopicLister,
        *,
        clock: Callable[[], float] = time.monotonic,
        refresh_seconds: float = 30.0,
        assume_existing: bool = False,
    ) -> None:
        self._lister = lister
        self._clock = clock
        self._refresh_seconds = refresh_seconds
        self._assume_existing = assume_existing
        self._topics: Mapping[str, KnownTopic] = {}
        self._watched: frozenset[str] = frozenset()
        self._wanted = threading.Event()
        self._refreshed_at: float | None = None
        self.problem: str | None = None
        """Why the broker could not be asked at the last look; None when it could. Read from any thread."""

    def find(self, topic: str) -> KnownTopic | None:
        """What is known of a topic; None: it did not exist at the last look, and a new look has been asked for."""
        found = self._topics.get(topic)
        if found is not None:
            return found
        if self._assume_existing:
            return KnownTopic(partitions=0)
        self.look_again()
        return None

    def max_message_bytes(self, topic: str) -> int:
        """The largest record batch that a topic takes; Kafka's default where it is not known."""
        found = self._topics.get(topic)
        return DEFAULT_MAX_MESSAGE_BYTES if found is None else found.max_message_bytes

    def look_again(self) -> None:
        """Ask for a new look: somebody met what the last one did not show. Any thread."""
        self._wanted.set()

    def missing(self, topics: Iterable[str]) -> tuple[str, ...]:
        """Those of the topics that did not exist at the last look."""
        return () if self._assume_existing else tuple(t for t in topics if t not in self._topics)

    def watch(self, topics: Collection[str]) -> None:
        """Topics whose size limits must be known: those that replies and dead letters go to.

        Called by the main thread, which is the poll thread later; a topic that is new here has the next look made
        soon.
        """
        if not self._watched.issuperset(topics):
            self._watched |= frozenset(topics)
            self.look_again()

    def step(self) -> bool:
        """Refresh when it is time or asked for, and whether it was; called by the background thread only.

        Raises:
            KafkaProblem: the broker could not be asked; the last snapshot stays.
        """
        now = self._clock()
        due = self._refreshed_at is None or now - self._refreshed_at >= self._refresh_seconds
        if not (due or self._wanted.is_set()):
            return False
        self._wanted.clear()
        self.refresh()
        return True

    def refresh(self) -> None:
        """Ask the broker now.

        Raises:
            KafkaProblem: as `step`; the next step is another try.
        """
        try:
            counts = self._lister.partition_counts()
            watched = [topic for topic in self._watched if topic in counts]
            limits = dict(self._lister.max_message_bytes(watched)) if watched else {}
        except KafkaProblem as problem:
            self.problem = str(problem)
            self.look_again()
            raise
        self.problem = None
        self._topics = {
            topic: KnownTopic(partitions, limits.get(topic, DEFAULT_MAX_MESSAGE_BYTES))
            for topic, partitions in counts.items()
        }
        self._refreshed_at = self._clock()
