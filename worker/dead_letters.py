"""Records that cannot be answered, as they go to their dead-letter topic."""

import logging
from collections.abc import Mapping

from schemas import dead_letter
from schemas import headers as names
from worker.delivery import Delivery
from worker.kafka.errors import KafkaProblem
from worker.kafka.records import Headers
from worker.outcomes import Outcome
from worker.polled_records import PolledRecords
from worker.reply_routes import ANY_PARTITION
from worker.reply_sizes import header_bytes, key_bytes

log = logging.getLogger(__name__)

REFUSED = "the broker refuses a dead letter, even without the headers that it can do without"
"""Why a partition stands still behind a record whose dead letter cannot be written."""


class DeadLetters:
    """Knows where they go and what is added to them.

    Args:
        topics: the dead-letter topic of each request topic.
        group: the consumer group, which they name.
        worker: the member of the group, which they name too.
    """

    def __init__(self, topics: Mapping[str, str], group: str, worker: str) -> None:
        self._topics = topics
        self._group = group
        self._worker = worker

    def outcome(self, delivery: Delivery, position: int, error: Exception) -> Outcome:
        """The dead letter of one record: its own value, key and headers, where it was read, and why it comes here."""
        records = delivery.origin.records
        original = records.messages[position]
        kind, timestamp_ms = original.timestamp()
        coordinates = names.Coordinates(records.topic, original.partition(), original.offset())
        source = dead_letter.Origin(coordinates, timestamp_ms, kind, self._group, self._worker)
        headers = [*(original.headers() or ()), *dead_letter.dead_letter_headers(source, error)]
        place = (self._topics[records.topic], ANY_PARTITION)
        return Outcome(delivery, position, place, records.values[position], original.key(), headers)


def shorter(headers: Headers | None) -> Headers | None:
    """The headers of a refused dead letter for another try; None: they are as short as they may be."""
    found = dead_letter.essential(headers or ())
    return found if len(found) < len(headers or ()) else None


def log_refused(
    records: PolledRecords, position: int, topic: str, headers: Headers | None, problem: KafkaProblem
) -> None:
    """Say which partition of a request topic stops, at which record and why, and what to do."""
    message = records.messages[position]
    size_bytes = len(message.value() or b"") + key_bytes(message.key()) + header_bytes(headers)
    log.error(
        "the broker refuses a dead letter, even without the headers that it can do without, so the partition stops: "
        "nothing from this record on is answered or committed until the dead-letter topic takes it; raise that topic's "
        "max.message.bytes (or mend what the problem says), then start the worker again",
        extra={
            "partition": f"{records.topic}[{message.partition()}]",
            "offset": message.offset(),
            "dead_letter_topic": topic,
            "size_bytes": size_bytes,
            "problem": str(problem),
        },
    )
