"""Consume and produce, with nothing between: what transport alone costs in Python."""

import time

import confluent_kafka

from benchmarks.contender import COMMIT_SECONDS, Clients, Job, stop_event, tune_process

BATCH = 2048

_value = confluent_kafka.Message.value


def run(job: Job) -> None:
    """Answer each request with itself until told to end."""
    clients, stop = Clients(job), stop_event()
    tune_process()
    committed = time.monotonic()
    while not stop.is_set():
        messages = clients.consume(BATCH)
        clients.send(messages, map(_value, messages))
        if time.monotonic() - committed >= COMMIT_SECONDS:
            clients.commit()
            committed = time.monotonic()
    clients.commit()
    clients.consumer.close()
