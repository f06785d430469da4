"""Records that the client returns a second time after an incremental rebalance.

librdkafka notes how far `consume` has got only when that returns. A rebalance in another of its threads pauses every
partition and remembers that note for going on; where it comes between the last record of a `consume` and the note, the
partitions that stay go on too far back. Seen on a broker (librdkafka 2.16, a loaded machine, one of several hundred
rebalances): one record, answered twice in exactly once, without an error anywhere.
"""

import logging
from collections.abc import Iterable, Mapping

from worker.kafka.records import Message, TopicPartition

log = logging.getLogger(__name__)


class Repeats:
    """Knows the next record of partitions that have stayed through a rebalance, and leaves out those before it.

    For its consumer's thread only. Nothing is done per record unless a partition has stayed and not been read since.
    """

    def __init__(self) -> None:
        self._next: dict[TopicPartition, int] = {}
        # Since `begin`: what is being returned may have been read before.
        self._stayed: dict[TopicPartition, int] = {}
        self._numbers: set[int] = set()  # of both, for a quick look

    def stay(self, positions: Mapping[TopicPartition, int]) -> None:
        """A rebalance has come; these partitions stay, and have been read up to there (negative: not known)."""
        for partition, position in positions.items():
            self._stayed[partition] = max(position, 0, self._stayed.get(partition, 0))
        self._count()

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """They are gone, or are read from somewhere else on purpose."""
        for partition in partitions:
            self._next.pop(partition, None)
            self._stayed.pop(partition, None)
        self._count()

    def begin(self) -> None:
        """What is returned from now on has been read after all rebalances of which `stay` has been told."""
        for partition, position in self._stayed.items():
            self._next[partition] = max(position, self._next.get(partition, 0))
        self._stayed.clear()

    def without(self, messages: list[Message]) -> list[Message]:
        """What one call of the client has returned, but for records that have been returned before."""
        if not self._numbers or not messages:
            return messages
        if self._numbers.isdisjoint(map(type(messages[0]).partition, messages)):
            return messages
        read: set[TopicPartition] = set()
        kept = [message for message in messages if self._is_new(message, read)]
        # Repeats lie next to each other, and before what is new: nothing of these comes again.
        for partition in read - self._stayed.keys():
            self._next.pop(partition, None)
        self._count()
        if len(kept) < len(messages):
            log.info("the client has returned records twice", extra={"left_out": len(messages) - len(kept)})
        return kept

    def _is_new(self, message: Message, read: set[TopicPartition]) -> bool:
        if message.partition() not in self._numbers or message.error() is not None:
            return True
        partition, offset = TopicPartition(message.topic(), message.partition()), message.offset()
        if partition not in self._next and partition not in self._stayed:
            return True
        if offset < self._next.get(partition, 0):
            return False
        self._next[partition] = offset + 1
        read.add(partition)
        return True

    def _count(self) -> None:
        self._numbers = {partition.partition for partition in (*self._next, *self._stayed)}
