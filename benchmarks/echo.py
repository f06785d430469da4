"""Consume and produce, with nothing between: what transport alone costs in Python."""

import time

from benchmarks.contender import COMMIT_SECONDS, Clients, Job, on_delivery, stop_event


def run(job: Job) -> None:
    """Answer each request with itself until told to end."""
    clients, stop = Clients(job), stop_event()
    produce, topic = clients.producer.produce, job.replies
    committed = time.monotonic()
    while not stop.is_set():
        for message in clients.consume(2048):
            while True:
                try:
                    if job.headers:
                        produce(topic, message.value(), on_delivery=on_delivery, headers=message.headers())
                    else:
                        produce(topic, message.value(), on_delivery=on_delivery)
                    break
                except BufferError:
                    clients.producer.poll(0.05)
        clients.producer.poll(0)
        if time.monotonic() - committed >= COMMIT_SECONDS:
            clients.commit()
            committed = time.monotonic()
    clients.commit()
    clients.consumer.close()
