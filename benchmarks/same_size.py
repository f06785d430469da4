"""Consume, and answer each request with so many bytes, always the same: nothing is copied that need not be."""

import time
from itertools import repeat

from benchmarks.contender import COMMIT_SECONDS, Clients, Job, stop_event, tune_process

BATCH = 2048


def run(job: Job) -> None:
    """Answer each request with the job's bytes until told to end."""
    clients, stop = Clients(job), stop_event()
    reply = bytes(job.reply_bytes)
    tune_process()
    committed = time.monotonic()
    while not stop.is_set():
        messages = clients.consume(BATCH)
        clients.send(messages, repeat(reply, len(messages)))
        if time.monotonic() - committed >= COMMIT_SECONDS:
            clients.commit()
            committed = time.monotonic()
    clients.commit()
    clients.consumer.close()
