"""Consume and produce, with nothing between: what transport alone costs in Python."""

import time
from operator import methodcaller

from benchmarks.contender import COMMIT_SECONDS, Clients, Job, stop_event
from worker import process_tuning

BATCH = 2048

_value = methodcaller("value")


def run(job: Job) -> None:
    """Answer each request with itself until told to end."""
    clients, stop = Clients(job), stop_event()
    process_tuning.keep_collections_small()
    committed = time.monotonic()
    while not stop.is_set():
        messages = clients.consume(BATCH)
        clients.send(messages, map(_value, messages))
        if time.monotonic() - committed >= COMMIT_SECONDS:
            clients.commit()
            committed = time.monotonic()
    clients.commit()
    clients.consumer.close()
