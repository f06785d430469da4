"""Workers that each have a device of their own (`device_loader`) and share the partitions of one topic, under load.

A run is measured once the group has given every replica as many partitions as the others, and for some seconds of a
backlog that does not end before: what is seen is the device's limit and what is lost to it, not the load's.
"""

import re
import statistics
import threading
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import device_journal, device_loader, load, measuring
from benchmarks.contender import Job, headrace_command, new_group
from benchmarks.device_journal import Run
from benchmarks.processes import Started, started
from benchmarks.scenario import Column, Line
from benchmarks.topics import Topics
from benchmarks.turns import listed
from schemas.model_config import BatchingOptions, ModelConfig
from tests.kit.broker import free_port
from worker.kafka import clients

BATCH_SECONDS = 0.010
BATCH_ROWS = 32
PARTITIONS = 8
MEASURED_SECONDS = 8.0
SETTLE_SECONDS = 2.0
START_SECONDS = 90.0
_SLACK_SECONDS = 30.0  # what replicas may have answered while others were starting and partitions moved
_LOOK_SECONDS = 0.1

COLUMNS = (
    Column("records_per_second", "records/s", ",.0f"),
    Column("busy", "device busy", ".1%"),
    Column("least_busy", "least busy device", ".1%"),
    Column("gap_p50_ms", "idle between batches, p50, ms", ",.3f"),
    Column("gap_p99_ms", "p99, ms", ",.2f"),
    Column("rows_a_batch", "rows a batch", ",.1f"),
    Column("cpu_us_per_record", "CPU µs a record", ",.1f"),
)


@dataclass(frozen=True, slots=True)
class Figures:
    """One run of some replicas.

    Attributes:
        busy: the part of the time that the devices worked, on average.
        least_busy: the same of the one that worked least.
        gap_p50_ms: the time that a device had nothing to do between two batches; all devices together.
        gap_p99_ms: likewise.
        cpu_us_per_record: of all replicas together.
        left: requests of each partition that were not committed at the end: the load had not run dry.
    """

    records_per_second: float
    busy: float
    least_busy: float
    gap_p50_ms: float
    gap_p99_ms: float
    rows_a_batch: float
    cpu_us_per_record: float
    left: Sequence[int]


class DeviceReplicas:
    """Topics, a model on a device, and a backlog of requests; each run is a new group of workers."""

    def __init__(self, topics: Topics, folder: Path, most_replicas: int, seconds: float) -> None:
        """Make the topics, set the model, and write as many requests as so many replicas answer in *seconds*.

        Raises:
            KafkaProblem: the broker refuses something.
            TimeoutError: the broker did not take it all.
        """
        self._topics = topics
        self._seconds = seconds
        self._site, self._journals = folder / "site", folder / "journals"
        self._journals.mkdir()
        device_loader.offer(self._site)
        version = folder / load.MODEL / "1"
        device_loader.write(version, batch_seconds=BATCH_SECONDS, journal=self._journals)
        batching = BatchingOptions(max_batch_rows=BATCH_ROWS)
        topics.set_models(
            {load.MODEL: ModelConfig(str(version.parent), device_loader.NAME, batching=batching)}
        )
        self._requests = topics.fresh_requests(PARTITIONS)
        self._replies = topics.fresh_replies(PARTITIONS)
        whole = most_replicas * BATCH_ROWS / BATCH_SECONDS * (seconds + SETTLE_SECONDS + _SLACK_SECONDS)
        self._each = int(whole / PARTITIONS)
        for number in range(PARTITIONS):
            load.fill(topics.where.bootstrap_servers, self._requests, self._each, partition=number)

    def run(self, replicas: int, settings: Mapping[str, object] | None = None) -> Figures:
        """Start so many workers, wait until they share the work, measure, and end them.

        Raises:
            ChildProcessError: a worker has ended.
            TimeoutError: the partitions were not shared out in time.
            RuntimeError: the requests have run out, so that nothing can be said.
        """
        job = Job(self._topics.where.bootstrap_servers, new_group(), self._requests, self._replies, model="")
        with ExitStack() as stack:
            workers = []
            for port in [free_port() for _ in range(replicas)]:
                own = {"http.port": port, **(settings or {})}
                command, environment = headrace_command(job, self._topics, own)
                process = stack.enter_context(
                    started(command, environment | device_loader.environment(self._site))
                )
                workers.append((process, port))
            self._wait_until_shared(workers)
            return self._measure([process for process, _ in workers], job.group)

    def _wait_until_shared(self, workers: Sequence[tuple[Started, int]]) -> None:
        share, end, never = PARTITIONS // len(workers), time.monotonic() + START_SECONDS, threading.Event()
        while (held := [assigned_partitions(port) for _, port in workers]) != [share] * len(workers):
            for process, _ in workers:
                process.check()
            if time.monotonic() > end:
                raise TimeoutError(
                    f"the workers have {held} partitions after {START_SECONDS:g} s, not {share} each"
                )
            never.wait(_LOOK_SECONDS)
        never.wait(SETTLE_SECONDS)

    def _measure(self, workers: Sequence[Started], group: str) -> Figures:
        def look() -> tuple[float, int, float]:
            cpu = sum(measuring.cpu_seconds(worker.pid) for worker in workers)
            return time.monotonic(), self._topics.end(self._replies), cpu

        before = look()
        threading.Event().wait(self._seconds)
        after = look()
        threading.Event().wait(10 * BATCH_SECONDS)  # a run that began in time has ended by then
        committed = {at.partition: n for at, n in clients.admin(self._topics.where).committed(group).items()}
        left = [self._each - committed.get(number, 0) for number in range(PARTITIONS)]
        journals = [device_journal.read(self._journals, worker.pid) for worker in workers]
        for worker in workers:
            worker.check()
        return figures(journals, before, after, left)


def figures(
    journals: Sequence[Sequence[Run]],
    before: tuple[float, int, float],
    after: tuple[float, int, float],
    left: Sequence[int],
) -> Figures:
    """What the devices' journals, and two looks at (time, replies, CPU seconds), say.

    Raises:
        RuntimeError: a device did nothing at the end of the time: its requests had run out.
    """
    (start, replies_before, cpu_before), (end, replies_after, cpu_after) = before, after
    if any(not runs or runs[-1].end <= end for runs in journals):
        raise RuntimeError(f"the requests ran out before the time was over; left by partition: {list(left)}")
    shares = [device_journal.busy_share(runs, start, end) for runs in journals]
    inside = [device_journal.ended_within(runs, start, end) for runs in journals]
    idle = sorted(gap for runs in inside for gap in device_journal.gaps(runs))
    rows = [run.rows for runs in inside for run in runs]
    replies = replies_after - replies_before
    return Figures(
        replies / (end - start),
        statistics.mean(shares),
        min(shares),
        idle[len(idle) // 2] * 1000,
        idle[int(len(idle) * 0.99)] * 1000,
        statistics.mean(rows),
        (cpu_after - cpu_before) / replies * 1e6,
        tuple(left),
    )


def assigned_partitions(port: int) -> int:
    """How many partitions the worker whose pages are at that port holds; 0 while it does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5.0) as answer:
            page = answer.read().decode()
    except OSError:
        return 0
    found = re.search(r"^headrace_assigned_partitions (\S+)$", page, re.MULTILINE)
    return int(float(found[1])) if found else 0


def say(result: Figures) -> str:
    """One run in a line."""
    return f"{result.records_per_second:,.0f} records/s, device busy {result.busy:.1%}"


def line(name: str, results: Sequence[Figures]) -> Line:
    """The medians of one contender's runs."""
    keys = [column.key for column in COLUMNS]
    return Line(name, {key: statistics.median(getattr(result, key) for result in results) for key in keys})


def runs(results: Mapping[str, Sequence[Figures]]) -> list[dict[str, Any]]:
    """Every single run, for the JSON file."""
    return listed(results, asdict)
