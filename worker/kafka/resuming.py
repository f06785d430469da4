"""Going on with paused partitions at once.

librdkafka by itself takes long over it, each measured on a broker from `resume` to the first record:

* A resumed partition first asks its leader whether the epoch of its position still holds. When partitions are
  paused and resumed many times a second the answer is at times taken for outdated, and nothing is fetched before
  the next refresh of the metadata: up to 10 s. A position without an epoch is not asked about, and a `seek` gives
  that.
* Nobody wakes the thread that fetches: with every partition paused it sleeps for up to a second (740 ms). Any
  request wakes it.

With both it is 9 ms at most.
"""

from collections.abc import Sequence
from typing import Any

import confluent_kafka


def resume(client: Any, partitions: Sequence[Any]) -> list[Any]:
    """Fetch from these partitions again, from where the last poll stopped.

    Returns:
        Those whose position has been set, each with it: the client does not tell it before the next record.

    Raises:
        KafkaException: the client knows no such partition.
    """
    moved = []
    for known in client.position(partitions):
        if known.offset >= 0:
            place = confluent_kafka.TopicPartition(known.topic, known.partition, known.offset)
            try:
                client.seek(place)
            except confluent_kafka.KafkaException:
                continue  # it is not being fetched (no leader, say): going on takes the longer way
            moved.append(place)
    client.resume(partitions)
    for partition in partitions:
        try:
            client.get_watermark_offsets(partition, timeout=0.0)
        except confluent_kafka.KafkaException:
            continue  # it has had no time to be answered, as wanted
    return moved
