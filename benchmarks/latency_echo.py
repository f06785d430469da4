"""Consume and produce with nothing between, one record at a time: what transport alone takes.

`echo` is made for throughput: polls of thousands, and every half second it stands still until all is acknowledged. This
one produces each record as it comes and commits without waiting. `python -m benchmarks.latency_echo JOB`.
"""

import json
import sys
import time

import confluent_kafka

from benchmarks.contender import COMMIT_SECONDS, Clients, Job, on_delivery, stop_event


def run(job: Job) -> None:
    """Answer each request with itself until told to end."""
    clients, stop = Clients(job), stop_event()
    poll, produce, serve = clients.consumer.poll, clients.producer.produce, clients.producer.poll
    topic, read = job.replies, {}
    committed = time.monotonic()
    while not stop.is_set():
        message = poll(0.05)
        if message is not None:
            if message.error() is not None:
                raise confluent_kafka.KafkaException(message.error())
            produce(topic, message.value(), on_delivery=on_delivery)
            read[message.partition()] = message.offset() + 1
        serve(0)
        # Nothing on its way: all that was read has been answered and acknowledged.
        if read and not len(clients.producer) and time.monotonic() - committed >= COMMIT_SECONDS:
            offsets = [confluent_kafka.TopicPartition(job.requests, p, o) for p, o in read.items()]
            clients.consumer.commit(offsets=offsets, asynchronous=True)
            committed = time.monotonic()
            read.clear()
    clients.producer.flush(10.0)
    clients.consumer.close()


if __name__ == "__main__":
    run(Job(**json.loads(sys.argv[1])))
