"""Runs of MLServer: started, found to be reading, given its requests, and measured as every contender is."""

import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks import measuring, mlserver
from benchmarks.contender import Job, new_group
from benchmarks.processes import Started, started
from benchmarks.topics import Topics
from tests.kit.waiting import wait_until
from worker.kafka import clients
from worker.kafka.errors import KafkaProblem

READY_SECONDS = 120.0
SETTLED_SECONDS = 1.0
"""So long no reply comes after the last probe before requests are counted."""


class MLServerRuns:
    """One broker and one model; topics of their own for each run, because MLServer begins at the end of its topic."""

    def __init__(self, topics: Topics, model: Path, tuning: mlserver.Tuning) -> None:
        self._topics = topics
        self._model = model
        self._tuning = tuning

    def run(self, records: int, in_flight: int) -> measuring.Result:
        """Answer so many requests, of which at most *in_flight* wait for their replies at any time."""
        job = Job(
            self._topics.where.bootstrap_servers,
            new_group(),
            self._topics.fresh("requests"),
            self._topics.fresh_replies(),
            str(self._model),
        )
        requests = mlserver.requests(records)
        with (
            tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder,
            started(*mlserver.command(job, self._tuning, Path(folder))) as process,
            Feed(self._topics, job, requests, in_flight) as feed,
        ):
            feed.probe(process)
            samples = measuring.watch(process, feed.replies, records)
        self._topics.delete(job.requests, job.replies)
        return measuring.result(samples, records)


class Feed:
    """Sends requests as replies come."""

    def __init__(self, topics: Topics, job: Job, requests: list[bytes], in_flight: int) -> None:
        self._topics = topics
        self._job = job
        self._requests = requests
        self._in_flight = in_flight
        self._sent = 0
        self._before = 0
        self._producer = clients.producer(topics.where, _raise)

    def probe(self, process: Started) -> None:
        """Send a request now and then until one is answered and no more replies come: what was sent before is lost.

        Raises:
            ChildProcessError: the server has ended.
            AssertionError: nothing was answered in time.
        """
        seen, since = 0, time.monotonic()

        def settled() -> bool:
            nonlocal seen, since
            process.check()
            count = self._topics.end(self._job.replies)
            if count != seen:
                seen, since = count, time.monotonic()
            if not seen:
                self._send(self._requests[:1])
            return bool(seen) and time.monotonic() - since >= SETTLED_SECONDS

        wait_until(settled, "a reply of MLServer's", within_seconds=READY_SECONDS, every_seconds=0.5)
        self._before = seen

    def replies(self) -> int:
        """The replies so far, probes not counted; what may be sent now is sent."""
        replies = self._topics.end(self._job.replies) - self._before
        upto = due(replies, self._in_flight, len(self._requests))
        if upto > self._sent:
            self._send(self._requests[self._sent : upto])
            self._sent = upto
        return replies

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._producer.close()

    def _send(self, values: list[bytes]) -> None:
        sent = 0
        while sent < len(values):
            rest = values[sent:]
            sent += self._producer.send(self._job.requests, rest, None, [mlserver.HEADERS] * len(rest))
            self._producer.poll(0.0 if sent == len(values) else 0.05)


def due(replies: int, in_flight: int, records: int) -> int:
    """How many requests may have been sent by now."""
    return min(replies + in_flight, records)


def _raise(problem: KafkaProblem) -> None:
    raise problem
