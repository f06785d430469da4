"""Records that cannot be answered, as they go to their dead-letter topic."""

from collections.abc import Mapping

from schemas import dead_letter
from schemas import headers as names
from worker.kafka.records import Headers
from worker.polled_records import PolledRecords


class DeadLetters:
    """Knows where they go and what is added to them.

    Args:
        topics: the dead-letter topic of each request topic.
        group: the consumer group, which they name.
    """

    def __init__(self, topics: Mapping[str, str], group: str) -> None:
        self._topics = topics
        self._group = group

    def topic_of(self, records: PolledRecords) -> str:
        """Where the records of a poll go."""
        return self._topics[records.topic]

    def headers_of(self, records: PolledRecords, position: int, error: Exception) -> Headers:
        """A record's own headers, and where it was read and why it could not be answered."""
        original = records.messages[position]
        kind, timestamp_ms = original.timestamp()
        coordinates = names.Coordinates(records.topic, original.partition(), original.offset())
        source = dead_letter.Origin(coordinates, timestamp_ms, kind, self._group)
        return [*(original.headers() or ()), *dead_letter.dead_letter_headers(source, error)]
