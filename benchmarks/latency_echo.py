"""Consume and produce with nothing between, one record at a time: what transport alone takes.

`echo` is made for throughput: polls of thousands, and every half second it stands still until all is acknowledged. This
one sends each record at once, as headrace does with few, and commits without waiting.
`python -m benchmarks.latency_echo JOB`.
"""

import json
import sys
import time
from typing import Any

import confluent_kafka

from benchmarks.contender import COMMIT_SECONDS, Job, on_delivery, stop_event
from worker.kafka import client_config

POLL_SECONDS = 0.05


def run(job: Job) -> None:
    """Answer each request with itself until told to end."""
    where, stop = client_config.connection(job.bootstrap_servers), stop_event()
    reading = client_config.group_consumer_config(where, job.group)
    consumer: Any = confluent_kafka.Consumer({**reading, "auto.offset.reset": "earliest"})
    consumer.subscribe([job.requests])
    writing = client_config.producer_config(where, only_failures=True, prompt=True)
    # The Python client does this one itself, and takes no text for it.
    producer: Any = confluent_kafka.Producer({**writing, "delivery.report.only.error": True})
    read: dict[int, int] = {}
    committed = time.monotonic()
    while not stop.is_set():
        message = consumer.poll(POLL_SECONDS)
        # Nothing on its way: all that was read before has been answered and acknowledged.
        if read and not len(producer) and time.monotonic() - committed >= COMMIT_SECONDS:
            offsets = [confluent_kafka.TopicPartition(job.requests, p, o) for p, o in read.items()]
            consumer.commit(offsets=offsets, asynchronous=True)
            committed = time.monotonic()
            read.clear()
        if message is not None:
            if message.error() is not None:
                raise confluent_kafka.KafkaException(message.error())
            producer.produce(job.replies, message.value(), on_delivery=on_delivery)
            read[message.partition()] = message.offset() + 1
        producer.poll(0)
    producer.flush(10.0)
    consumer.close()


if __name__ == "__main__":
    run(Job(**json.loads(sys.argv[1])))
