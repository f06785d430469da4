"""Headrace and a baseline on one topic of images: bytes a second, CPU, and what memory it takes."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import image_load, measuring
from benchmarks.baseline import SAME_SIZE
from benchmarks.contender import Job, baseline_command, headrace_command, new_group
from benchmarks.image_model import SHAPE
from benchmarks.processes import Started, started
from benchmarks.scenario import Column, Line
from benchmarks.topics import Topics
from benchmarks.turns import listed
from schemas.model_config import ModelConfig

MEGABYTE, MEBIBYTE = 1_000_000, 1 << 20
HEADRACE = "headrace"
OUTPUTS: Mapping[str, tuple[int, ...]] = {"corner": (3,), "image": SHAPE}
"""The models, and the shape of what each answers with."""

COLUMNS = (
    Column("megabytes", "MB/s of requests", ",.0f"),
    Column("records", "records/s", ",.0f"),
    Column("cpu", "CPU µs a record", ",.1f"),
    Column("cpu_megabyte", "CPU µs a MB", ",.0f"),
    Column("spread", "spread", ".0%"),
    Column("peak", "peak memory, MiB", ",.0f"),
    Column("first", "at the first reply, MiB", ",.0f"),
)


@dataclass(frozen=True, slots=True)
class LargeRun:
    """One run of one contender.

    Attributes:
        result: rate and cost.
        peak_bytes: the most memory that the process ever had resident.
        first_bytes: what it had resident when its first reply was seen.
    """

    result: measuring.Result
    peak_bytes: int
    first_bytes: int


class LargeSideBySide:
    """One topic of images, and runs on it."""

    def __init__(self, topics: Topics, models: Path, records: int) -> None:
        """Write so many requests; *models* has a folder for each model of `OUTPUTS`.

        Raises:
            TimeoutError: the broker does not take them in time.
            RuntimeError: it has not kept each once.
        """
        self._topics = topics
        self._models = models
        self._records = records
        self._requests = topics.fresh_requests()
        self.request_bytes = image_load.fill(topics.where.bootstrap_servers, self._requests, records)
        if (there := topics.end(self._requests)) != records:
            raise RuntimeError(f"{there} requests are on {self._requests}; {records} were written")

    def run(self, contender: str, model: str) -> LargeRun:
        """One contender, once, with a reply topic and a group of its own."""
        self._topics.set_models({image_load.MODEL: ModelConfig(base_path=str(self._models / model))})
        replies = self._topics.fresh_replies()
        job = Job(
            self._topics.where.bootstrap_servers,
            new_group(),
            self._requests,
            replies,
            str(self._models / model / "1"),
            reply_bytes=image_load.reply_bytes(OUTPUTS[model]),
        )
        command = (
            headrace_command(job, self._topics) if contender == HEADRACE else baseline_command(SAME_SIZE, job)
        )
        with started(*command) as process:
            counted = _Counted(process, self._topics, replies)
            samples = measuring.watch(process, counted, self._records)
            peak_bytes = memory_bytes(process.pid, "VmHWM")
        self._topics.delete(replies)
        return LargeRun(measuring.result(samples, self._records), peak_bytes, counted.first_bytes)

    def say(self, run: LargeRun) -> str:
        """One run in a line."""
        megabytes = run.result.records_per_second * self.request_bytes / MEGABYTE
        return (
            f"{megabytes:,.0f} MB/s, {run.result.cpu_us_per_record:.1f} µs CPU a record, "
            f"peak {run.peak_bytes / MEBIBYTE:,.0f} MiB"
        )


class _Counted:
    """Counts replies, and notes the memory that the process has when the first are there."""

    def __init__(self, process: Started, topics: Topics, replies: str) -> None:
        self._process = process
        self._topics = topics
        self._replies = replies
        self.first_bytes = 0

    def __call__(self) -> int:
        count = self._topics.end(self._replies)
        if count and not self.first_bytes:
            self.first_bytes = memory_bytes(self._process.pid, "VmRSS")
        return count


def memory_bytes(pid: int, name: str) -> int:
    """What the kernel says of a process's memory: VmRSS (resident now) or VmHWM (the most that ever was)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(f"process {pid} has no memory")


def line(name: str, runs: Sequence[LargeRun], request_bytes: int) -> Line:
    """The medians of one contender."""
    summary = measuring.summary(name, [run.result for run in runs])
    return Line(
        name,
        {
            "megabytes": summary.records_per_second * request_bytes / MEGABYTE,
            "records": summary.records_per_second,
            "cpu": summary.cpu_us_per_record,
            "cpu_megabyte": summary.cpu_us_per_record / (request_bytes / MEGABYTE),
            "spread": summary.spread,
            "peak": statistics.median(run.peak_bytes for run in runs) / MEBIBYTE,
            "first": statistics.median(run.first_bytes for run in runs) / MEBIBYTE,
        },
    )


def plain(results: Mapping[str, Sequence[LargeRun]]) -> list[dict[str, Any]]:
    """Every single run, for the JSON file."""
    return listed(
        results,
        lambda run: {**asdict(run.result), "peak_bytes": run.peak_bytes, "first_bytes": run.first_bytes},
    )
