"""What is asked of the client library so that paused partitions go on at once."""

from collections.abc import Sequence
from typing import Any

import confluent_kafka

from worker.kafka import resuming


class Client:
    """Keeps what it is asked; partitions begin at *positions*, and seeking in *unseekable* ones fails."""

    def __init__(self, positions: Sequence[int], unseekable: Sequence[int] = ()) -> None:
        self.positions = positions
        self.unseekable = unseekable
        self.calls: list[tuple[Any, ...]] = []

    def position(self, partitions: Sequence[Any]) -> list[Any]:
        """Where the application is."""
        return [
            confluent_kafka.TopicPartition(p.topic, p.partition, self.positions[p.partition])
            for p in partitions
        ]

    def seek(self, place: Any) -> None:
        """Go there."""
        self.calls.append(("seek", place.partition, place.offset, place.leader_epoch))
        if place.partition in self.unseekable:
            raise confluent_kafka.KafkaException(
                confluent_kafka.KafkaError(confluent_kafka.KafkaError._STATE)
            )

    def resume(self, partitions: Sequence[Any]) -> None:
        """Go on."""
        self.calls.append(("resume", *[p.partition for p in partitions]))

    def get_watermark_offsets(self, partition: Any, timeout: float) -> tuple[int, int]:
        """Never answers in time."""
        self.calls.append(("ask", partition.partition, timeout))
        raise confluent_kafka.KafkaException(
            confluent_kafka.KafkaError(confluent_kafka.KafkaError._TIMED_OUT)
        )


def partitions(count: int) -> list[Any]:
    """Partitions of one topic."""
    return [confluent_kafka.TopicPartition("requests", number) for number in range(count)]


def test_the_position_loses_its_epoch_before_and_the_fetching_thread_wakes_after() -> None:
    """Without the first a partition may stand still for seconds, without the second for one."""
    client = Client([5, 7])

    resuming.resume(client, partitions(2))

    assert client.calls == [
        ("seek", 0, 5, None),
        ("seek", 1, 7, None),
        ("resume", 0, 1),
        ("ask", 0, 0.0),
        ("ask", 1, 0.0),
    ]


def test_a_partition_that_was_never_read_keeps_the_start_that_the_group_has_for_it() -> None:
    """It has no position yet, and is not given one."""
    client = Client([confluent_kafka.OFFSET_INVALID])

    resuming.resume(client, partitions(1))

    assert client.calls == [("resume", 0), ("ask", 0, 0.0)]


def test_a_partition_that_cannot_be_sought_is_resumed_all_the_same() -> None:
    """Going on slowly is better than not going on."""
    client = Client([5], unseekable=[0])

    resuming.resume(client, partitions(1))

    assert client.calls == [("seek", 0, 5, None), ("resume", 0), ("ask", 0, 0.0)]
