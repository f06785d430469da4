"""Which partitions a consumer reads, and its answers to the group's rebalances.

The order is what keeps promises: partitions that come are assigned before the listener hears of them;
partitions that go are drained and committed by the listener first, and only then given back; what is lost is
somebody else's already.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import confluent_kafka

from worker.kafka import errors
from worker.kafka.records import TopicPartition
from worker.kafka.repeats import Repeats

if TYPE_CHECKING:
    from worker.kafka.consumer import RebalanceListener


def theirs(offsets: Mapping[TopicPartition, int]) -> list[Any]:
    """The client's partitions with these offsets."""
    return [confluent_kafka.TopicPartition(tp.topic, tp.partition, offset) for tp, offset in offsets.items()]


def bare(partitions: Iterable[TopicPartition]) -> list[Any]:
    """The client's partitions without offsets."""
    return [confluent_kafka.TopicPartition(tp.topic, tp.partition) for tp in partitions]


def ours(partitions: Iterable[Any]) -> list[TopicPartition]:
    """Our names of the client's partitions."""
    return [TopicPartition(tp.topic, tp.partition) for tp in partitions]


def read_up_to(positions: Iterable[Any]) -> dict[TopicPartition, int]:
    """Our names of the client's partitions, each with its offset (negative: not known)."""
    return {TopicPartition(tp.topic, tp.partition): tp.offset for tp in positions}


class Assignment:
    """The partitions of one consumer. Its thread only touches it; the callbacks run inside the client's poll.

    An error must not cross the client: the records that a batch has collected would be gone with it. So each
    is kept in `failure` until the client has returned.

    Attributes:
        listener: told of rebalances; None without a group.
        partitions: what is assigned now.
        gone: what was revoked or lost during the present poll, and has not come back.
        repeats: what the client may return twice of those that stay.
        failure: what is to leave the present poll.
    """

    def __init__(self, incremental: bool, on_gone: Callable[[Iterable[TopicPartition]], None]) -> None:  # noqa: FBT001 - from one configuration
        self.listener: RebalanceListener | None = None
        self.partitions: set[TopicPartition] = set()
        self.gone: set[TopicPartition] = set()
        self.repeats = Repeats()
        self.failure: BaseException | None = None
        self._incremental = incremental
        self._on_gone = on_gone

    def set_by_hand(self, partitions: Iterable[TopicPartition]) -> None:
        """These are read from now on, without a group."""
        self._incremental = True
        self.partitions = set(partitions)

    def begin_poll(self) -> None:
        """Nothing has gone yet."""
        self.gone.clear()

    def on_assign(self, client: Any, partitions: Sequence[Any]) -> None:
        """Take them as they came: librdkafka asks for the committed offsets by itself, and goes on asking."""
        came = ours(partitions)
        self._stay(client, self.partitions.difference(came))
        self.repeats.forget(came)
        self.partitions.update(came)
        self.gone.difference_update(came)
        self.guarded(client.incremental_assign if self._incremental else client.assign, list(partitions))
        self.guarded(client.resume, bare(came))
        if self.listener is not None:
            self.guarded(self.listener.assigned, came)

    def on_revoke(self, client: Any, partitions: Sequence[Any]) -> None:
        """Let the listener finish and commit, then give them back."""
        self._stay(client, self.partitions.difference(ours(partitions)))
        if self.listener is not None:
            self.guarded(self.listener.revoked, ours(partitions))
        self._give_up(client, partitions)

    def on_lost(self, client: Any, partitions: Sequence[Any]) -> None:
        """Tell the listener, and forget them."""
        self._stay(client, self.partitions.difference(ours(partitions)))
        if self.listener is not None:
            self.guarded(self.listener.lost, ours(partitions))
        self._give_up(client, partitions)

    def revoke_all(self) -> None:
        """The consumer is about to leave: the listener finishes and commits, and hears of nothing more."""
        listener, self.listener = self.listener, None
        if listener is not None and self.partitions:
            self.guarded(listener.revoked, sorted(self.partitions))

    def start_anew(self, client: Any, partition: TopicPartition, offset: int) -> None:
        """Assign one partition at an offset, whatever state its fetcher is in; a pause stays.

        Raises:
            confluent_kafka.KafkaException: the client refuses.
        """
        place = theirs({partition: offset})
        if self._incremental:
            client.incremental_unassign(bare([partition]))
            client.incremental_assign(place)
            return
        # An eager group's assignment changes as a whole: the others go on where they are.
        others = client.position(bare(self.partitions - {partition}))
        client.assign([*others, *place])

    def guarded(self, function: Callable[..., None], *args: Any) -> None:
        """Call it, and keep its error until the client has returned."""
        try:
            function(*args)
        except confluent_kafka.KafkaException as error:
            self.fail(errors.translate(error))
        except Exception as error:  # noqa: BLE001 - not handled here, only carried past the client
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Keep the first error for `raise_failure`."""
        self.failure = self.failure or error

    def raise_failure(self) -> None:
        """Raise what has been kept, if anything."""
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure

    def _stay(self, client: Any, partitions: Iterable[TopicPartition]) -> None:
        """Note how far those have been read that a rebalance leaves here."""
        if stay := bare(partitions):
            self.guarded(lambda: self.repeats.stay(read_up_to(client.position(stay))))

    def _give_up(self, client: Any, partitions: Sequence[Any]) -> None:
        gone = ours(partitions)
        self.gone.update(gone)
        self.partitions.difference_update(gone)
        self.repeats.forget(gone)
        self._on_gone(gone)
        if self._incremental:
            self.guarded(client.incremental_unassign, list(partitions))
        else:
            self.guarded(client.unassign)
