"""The producers of a worker: one for nearly everything, others where a topic takes less, or replies are few or many.

A broker refuses a whole record batch when it is larger than its topic takes, so no producer's batches may exceed the
smallest limit that it serves. Topics below the main producer's batch size get a producer of their own class
(a power of two), and what was refused all the same is sent by a producer whose batches hold one record. Each binding's
reply topic has a quiet lane besides.

A producer that waits for more records before it sends costs every reply of an idle worker that wait (measured: 0.5 ms
asked for, 0.9 ms of 1.7 got), and one that does not costs a busy worker a tenth of its CPU. So few replies go by a
producer that sends at once, as long as few are on their way by it; more of them go by one that waits.
"""

import dataclasses
import threading
import time
from collections.abc import Callable, Iterable

from worker.kafka.producer import Producer
from worker.quiet_lane import QuietLane
from worker.topic_directory import TopicDirectory

MAX_BATCH_BYTES = 1_000_000  # librdkafka's default batch.size
SMALLEST_CLASS_BYTES = 1024
PROMPT_RECORDS = 16
"""So many records at most are on their way by the producer that sends at once."""


@dataclasses.dataclass(frozen=True, slots=True)
class ProducerKind:
    """What a producer is to be like.

    Attributes:
        batch_bytes: the largest batch in bytes.
        batch_records: the largest number of records in a batch; 0: no bound.
        only_failures: whether records that arrived get no report of their own.
        prompt: whether records are sent at once, alone if need be, instead of waiting a little for more.
    """

    batch_bytes: int
    batch_records: int = 0
    only_failures: bool = False
    prompt: bool = False


MakeProducer = Callable[[ProducerKind], Producer]


class ProducerPool:
    """Finds the producer for a topic; thread-safe. Every producer is polled by the poll thread only.

    Args:
        make: makes a producer.
        directory: what topics take.
        batch_bytes: the main producer's batch size; the smallest limit of the topics that it mainly serves.
        quiet_topics: the topics with a quiet lane.
        quiet_records: how many unsettled records close a lane.
    """

    def __init__(
        self,
        make: MakeProducer,
        directory: TopicDirectory,
        *,
        batch_bytes: int,
        quiet_topics: Iterable[str] = (),
        quiet_records: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make = make
        self._directory = directory
        self.batch_bytes = min(batch_bytes, MAX_BATCH_BYTES)
        self._lock = threading.Lock()
        self._made: dict[ProducerKind, Producer] = {}  # written under the lock
        self._reporting: tuple[Producer, ...] = ()  # the same, the main one first; written under the lock
        self._main = self._of(ProducerKind(self.batch_bytes))
        quiet = ProducerKind(self.batch_bytes, only_failures=True)
        self._lanes = {
            topic: QuietLane(make(quiet), most_records=quiet_records, clock=clock)
            for topic in dict.fromkeys(quiet_topics)
        }
        self._prompt = self._of(ProducerKind(self.batch_bytes, prompt=True))

    def for_topic(self, topic: str) -> Producer:
        """The producer whose batches that topic takes."""
        if self._takes_batches(topic):
            return self._main
        limit = self._directory.max_message_bytes(topic)
        return self._of(ProducerKind(max(SMALLEST_CLASS_BYTES, 1 << (limit.bit_length() - 1))))

    def for_replies(self, topic: str, records: int) -> Producer:
        """The producer for so many replies: the one that sends at once where few are on their way, or the topic's."""
        if records + len(self._prompt) <= PROMPT_RECORDS and self._takes_batches(topic):
            return self._prompt
        return self.for_topic(topic)

    def lane(self, topic: str) -> QuietLane | None:
        """The quiet lane to a topic, if it has one that is open and whose batches the topic takes."""
        lane = self._lanes.get(topic)
        return lane if lane is not None and lane.open and self._takes_batches(topic) else None

    def alone(self) -> Producer:
        """The producer that sends each record in a batch of its own."""
        return self._of(ProducerKind(self.batch_bytes, batch_records=1))

    def serve(self, timeout_seconds: float) -> int:
        """Take the reports of all producers, waiting so long for the main one's first; poll thread only.

        Raises:
            Fatal: a producer is of no use any more.
        """
        served = sum(lane.serve() for lane in self._lanes.values())
        for n, producer in enumerate(self._reporting):
            served += producer.poll(timeout_seconds if n == 0 else 0.0)
        return served

    def settle_soon(self) -> None:
        """Let the lanes become empty, because somebody waits to know what is safe; poll thread only."""
        for lane in self._lanes.values():
            lane.close_if_used()

    def close(self) -> None:
        """Let go of the clients; what they still hold is given up."""
        for lane in self._lanes.values():
            lane.producer.close()
        for producer in self._reporting:
            producer.close()

    def __len__(self) -> int:
        """Records handed over and not yet known to be safe, in all producers."""
        return sum(map(len, self._reporting)) + sum(map(len, self._lanes.values()))

    def _takes_batches(self, topic: str) -> bool:
        """Whether a topic takes the batches of the main producer, and of those that are like it."""
        return self._directory.max_message_bytes(topic) >= self.batch_bytes

    def _of(self, kind: ProducerKind) -> Producer:
        """The producer of a kind; made at the first call."""
        with self._lock:
            if kind not in self._made:
                self._made[kind] = self._make(kind)
                self._reporting = tuple(self._made.values())
            return self._made[kind]
