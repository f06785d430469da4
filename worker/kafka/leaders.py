"""Asking the brokers that lead partitions.

A partition that brokers show already may be without a leader for some milliseconds, above all one of a new topic, and
another broker may not know it yet; a question about it is refused, and not asked again by the client.
"""

import time
from threading import Event
from typing import Any

import confluent_kafka

from worker.kafka import errors
from worker.kafka.rights import SOMEBODY, on_topic

_ASK_AGAIN_SECONDS = 0.05
_NOT_KNOWN_YET = confluent_kafka.KafkaError._UNKNOWN_PARTITION  # noqa: SLF001 - the client's name for it


def watermarks(client: Any, partition: Any, timeout_seconds: float, user: str = SOMEBODY) -> tuple[int, int]:
    """Offsets of the first record and of the next one to be written; waits for a leader, at most that long.

    Raises:
        KafkaProblem: the partition's leader did not say.
    """
    end = time.monotonic() + timeout_seconds
    while True:
        left_seconds = max(0.0, end - time.monotonic())
        try:
            low, high = client.get_watermark_offsets(partition, timeout=left_seconds)
        except confluent_kafka.KafkaException as error:
            wants = [on_topic("READ", partition.topic)]
            problem = errors.translate(error, topic=partition.topic, wants=wants, user=user)
            # Again only what was answered at once: a time-out has used up the time already.
            spreads = error.args[0].code() == _NOT_KNOWN_YET
            again = spreads or type(problem) is errors.Retriable
            if not again or left_seconds <= _ASK_AGAIN_SECONDS:
                raise problem from error
        else:
            return low, high
        Event().wait(_ASK_AGAIN_SECONDS)
