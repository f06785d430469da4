"""An open-loop load, as a process of its own: requests go out on schedule, whatever becomes of the replies.

A closed loop sends the next request when the reply to the last one is there, so a contender that stands still for
100 ms delays one request; here it delays all that were due meanwhile, as it would delay its users. Latency counts from
the moment a request was due, not from the moment it was sent, so what this process itself is late by is in it too.

`python -m benchmarks.open_loop LOAD`, LOAD being a JSON object (`Load`). One clock, this process's, has both times. It
waits for each request's time without spinning, because the broker shares its core.
"""

import gc
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

import confluent_kafka
import numpy as np

from benchmarks import load
from benchmarks.contender import Job
from benchmarks.measuring import cpu_seconds
from benchmarks.processes import Started, finish
from benchmarks.reply_times import ReplyTimes, latencies
from benchmarks.schedule import Seconds, due_times, send_on_schedule, waiter
from worker.kafka import client_config

READY_SECONDS = 90.0
PROBE_SECONDS = 0.1
LAST_REPLIES_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Load:
    """What to send, and where to write what was measured.

    Attributes:
        bootstrap_servers: the broker.
        requests: the topic to write, request n to partition n modulo their number.
        replies: the topic that is read from its end on; replies are told apart by their ids.
        rate: requests a second.
        warmup: requests that are sent on the same schedule before those that count.
        measured: requests that count.
        process: the contender's process id; its CPU time is taken while the requests that count are sent.
        out: the file to write, an npz of `Measured`'s arrays.
        input_name: what the model calls its 64 floats.
    """

    bootstrap_servers: str
    requests: str
    replies: str
    rate: float
    warmup: int
    measured: int
    process: int
    out: str
    input_name: str = "x"

    def command(self) -> list[str]:
        """The command line of the process."""
        return [sys.executable, "-m", "benchmarks.open_loop", json.dumps(asdict(self))]


@dataclass(frozen=True, slots=True)
class Measured:
    """Of the requests that count.

    Attributes:
        latency: for each, seconds from the moment it was due to its (first) reply; NaN where none came.
        late: for each, seconds from the moment it was due to the moment it was handed to the client.
        core_share: CPU seconds of the contender by seconds of sending.
    """

    latency: Seconds
    late: Seconds
    core_share: float

    @classmethod
    def read(cls, path: Path) -> "Measured":
        """What the process has written."""
        with np.load(path) as arrays:
            return cls(arrays["latency"], arrays["late"], float(arrays["core_share"]))

    def write(self, path: Path) -> None:
        """Keep it for another process."""
        with path.open("wb") as file:
            np.savez(file, latency=self.latency, late=self.late, core_share=self.core_share)


def measure(
    job: Job, process: Started, rate: float, warmup_seconds: float, seconds: float, input_name: str = "x"
) -> Measured:
    """Send to a contender that runs, from a process of its own; what came of the requests after the warm-up.

    Raises:
        ChildProcessError: the sender failed, or the contender has ended.
    """
    warmup, measured = int(rate * warmup_seconds), int(rate * seconds)
    with tempfile.NamedTemporaryFile(prefix="headrace-bench-", suffix=".npz") as out:
        address = job.bootstrap_servers
        to = address, job.requests, job.replies
        sending = Load(*to, rate, warmup, measured, process.pid, out.name, input_name)
        finish(sending.command())
        process.check()
        return Measured.read(Path(out.name))


class Sender:
    """Produces requests to their partitions at once."""

    def __init__(self, where: client_config.Connection, topic: str) -> None:
        config = client_config.producer_config(where, prompt=True)
        del config["delivery.report.only.error"]  # the client wants no text here, and no report is asked for
        self._client: Any = confluent_kafka.Producer(config)
        self._topic = topic
        self._partitions = len(self._client.list_topics(topic, 10.0).topics[topic].partitions)

    def send(self, number: int, payload: bytes) -> None:
        """One request, on its way when this returns."""
        self._client.produce(self._topic, payload, partition=number % self._partitions)
        self._client.poll(0)

    def close(self) -> None:
        """Wait until the broker has all of them."""
        self._client.flush(LAST_REPLIES_SECONDS)


def run(job: Load) -> Measured:
    """Wait until the contender answers, send, wait for the last replies.

    Raises:
        TimeoutError: the contender answers nothing.
    """
    where = client_config.connection(job.bootstrap_servers)
    payloads = list(chain.from_iterable(load.values(job.warmup + job.measured, job.input_name)))
    replies = ReplyTimes(client_config.reader_config(where), job.replies)
    sender = Sender(where, job.requests)
    try:
        _wait_for_an_answer(replies, lambda number: sender.send(number, payloads[0]))
        gc.collect()
        gc.disable()
        wait, warmup = waiter(), job.warmup
        due = due_times(time.monotonic() + PROBE_SECONDS, job.rate, len(payloads))
        sent = send_on_schedule(due[:warmup], payloads[:warmup], sender.send, wait)
        cpu_before = cpu_seconds(job.process)
        sent += send_on_schedule(due[warmup:], payloads[warmup:], sender.send, wait)
        core_share = (cpu_seconds(job.process) - cpu_before) * job.rate / job.measured
        latency = _latencies(due, replies, job.warmup)
    finally:
        replies.close()
        sender.close()
    return Measured(latency, (np.asarray(sent) - due)[warmup:], core_share)


def _wait_for_an_answer(replies: ReplyTimes, probe: Callable[[int], None]) -> None:
    pause, end = threading.Event(), time.monotonic() + READY_SECONDS
    for number in count():
        if replies:
            return
        if time.monotonic() > end:
            raise TimeoutError(f"no reply within {READY_SECONDS:g} s")
        probe(number)
        pause.wait(PROBE_SECONDS)


def _latencies(due: Seconds, replies: ReplyTimes, warmup: int) -> Seconds:
    """Of the requests after the warm-up, once all are answered or have had their time."""
    pause, end = threading.Event(), time.monotonic() + LAST_REPLIES_SECONDS
    while True:
        latency = latencies(due, replies.since(float(due[0])))[warmup:]
        if not np.isnan(latency).any() or time.monotonic() > end:
            return latency
        pause.wait(PROBE_SECONDS)


if __name__ == "__main__":
    sending = Load(**json.loads(sys.argv[1]))
    run(sending).write(Path(sending.out))
