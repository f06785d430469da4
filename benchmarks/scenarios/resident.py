"""The most memory that a worker takes, whatever it is given: beyond what it takes idle, by its budget."""

import statistics
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import brokers, device_loader, layout_model
from benchmarks.contender import Job, headrace_command, new_group
from benchmarks.large_side_by_side import memory_bytes
from benchmarks.mixed_load import ROW_BYTES, Mix, fill
from benchmarks.processes import Started, started
from benchmarks.scenario import Column, Line, Options, Outcome, Target
from benchmarks.topics import PARTITIONS, Topics
from benchmarks.turns import in_turn
from schemas.model_config import ModelConfig

NAME = "resident"
TITLE = "The most memory that a worker takes"

MEBIBYTE = 1 << 20
BUDGET_BYTES = 256 * MEBIBYTE
MOST_BY_BUDGET = 2.0
"""Beside the budget: what the client has fetched ahead (a fourth of it), freed memory that is kept (up to half), the
batches that are run, and replies on their way."""
QUICK, SLOW = layout_model.names(1)[0], "slow"
SLOW_BATCH_SECONDS = 0.25
READY_SECONDS, MEASURED_SECONDS, LOOK_SECONDS = 20.0, 25.0, 0.1
IDLE = "idle"


@dataclass(frozen=True, slots=True)
class Condition:
    """What a worker is given.

    Attributes:
        models: the names that requests ask for, each equally often.
        rows: of a request at most, 256 bytes each; half of that on average.
        megabytes: of requests that wait when it starts.
        reply_config: of the reply topic.
    """

    models: Sequence[str]
    rows: int
    megabytes: int
    reply_config: Mapping[str, str] | None = None

    def records(self, scale: float) -> int:
        """How many requests that are."""
        return int(self.megabytes * 1e6 * scale / ((self.rows + 1) / 2 * ROW_BYTES))


CONDITIONS: Mapping[str, Condition] = {
    IDLE: Condition([QUICK], 1, 0),
    "small requests": Condition([QUICK], 1, 500),
    "10,000 layouts": Condition([f"unknown-{n}" for n in range(10_000)], 1, 100),
    "requests of up to 1 MB": Condition([QUICK], 3900, 2_000),
    "5 GB behind a slow model": Condition([SLOW], 400, 5_000),
    "replies that the broker does not take": Condition([QUICK], 400, 1_000, {"min.insync.replicas": "2"}),
}

COLUMNS = (
    Column("peak", "most, MiB", ",.0f"),
    Column("more", "more than idle, MiB", ",.0f"),
    Column("by_budget", "that by the budget"),
    Column("replies", "replies", ",.0f"),
)


@dataclass(frozen=True, slots=True)
class Run:
    """One worker: the most that it had resident, and the replies that it wrote."""

    peak_bytes: int
    replies: int


class Bench:
    """Workers on one broker, each with topics of its own."""

    def __init__(self, topics: Topics, folder: Path, scale: float) -> None:
        self._topics = topics
        self._scale = scale
        self._site = folder / "site"
        device_loader.offer(self._site)
        device_loader.write(folder / SLOW / "1", batch_seconds=SLOW_BATCH_SECONDS, journal=folder)
        layout_model.export_numpy(folder, 1)
        topics.set_models(
            {
                **layout_model.configs(folder, 1, "numpy"),
                SLOW: ModelConfig(base_path=str(folder / SLOW), loader=device_loader.NAME),
            }
        )

    def run(self, condition: Condition) -> Run:
        """A new worker, for some seconds."""
        topics, address = self._topics, self._topics.where.bootstrap_servers
        requests = topics.fresh_requests()
        replies = topics.fresh("replies", PARTITIONS, condition.reply_config)
        mix = Mix([(model, "serving_default") for model in condition.models], condition.rows)
        if records := condition.records(self._scale):
            fill(address, requests, mix, records)
        job = Job(address, new_group(), requests, replies, model="")
        settings = {"delivery.budget_bytes": BUDGET_BYTES, "batching.max_batch_rows": 4096}
        command, environment = headrace_command(job, topics, settings)
        environment |= {"OPENBLAS_NUM_THREADS": "1"} | device_loader.environment(self._site)
        with started(command, environment) as process:
            peak = _peak(process, READY_SECONDS + MEASURED_SECONDS * self._scale)
        run = Run(peak, topics.end(replies))
        topics.delete(requests, replies)
        return run


def run(options: Options) -> Outcome:
    """Every condition in turn."""
    with (
        tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder,
        brokers.broker() as broker,
        Topics(broker.bootstrap_servers) as topics,
    ):
        bench = Bench(topics, Path(folder), options.scale)
        runs = in_turn(
            {name: partial(bench.run, condition) for name, condition in CONDITIONS.items()},
            options.rounds,
            lambda run: f"at most {run.peak_bytes / MEBIBYTE:,.0f} MiB, {run.replies:,} replies",
        )
    lines = summary(runs)
    most = max(line.values["by_budget"] for line in lines)
    return Outcome(
        columns=COLUMNS,
        lines=lines,
        targets=[Target("the most beyond an idle worker's, by the budget", most, MOST_BY_BUDGET)],
        runs=[
            {"name": name, "peak_bytes": each.peak_bytes, "replies": each.replies}
            for name, of_one in runs.items()
            for each in of_one
        ],
        settings={"budget_bytes": BUDGET_BYTES, "slow_batch_seconds": SLOW_BATCH_SECONDS},
        notes=(
            "Memory is the most that the kernel has ever counted as resident (VmHWM), start-up included.",
            "The largest of all runs counts, not the median. The budget (delivery.budget_bytes) is 256 MiB.",
            "10,000 layouts: as many names of models that nobody serves, each answered NOT_FOUND.",
        ),
    )


def summary(runs: Mapping[str, Sequence[Run]]) -> list[Line]:
    """The largest of each condition, compared with an idle worker's median."""
    idle = statistics.median(run.peak_bytes for run in runs[IDLE])
    found = []
    for name, of_one in runs.items():
        peak = max(run.peak_bytes for run in of_one)
        values = {
            "peak": peak / MEBIBYTE,
            "more": (peak - idle) / MEBIBYTE,
            "by_budget": (peak - idle) / BUDGET_BYTES,
            "replies": statistics.median(run.replies for run in of_one),
        }
        found.append(Line(name, values))
    return found


def _peak(process: Started, seconds: float) -> int:
    pause, end = threading.Event(), time.monotonic() + seconds
    while time.monotonic() < end:
        process.check()
        pause.wait(LOOK_SECONDS)
    return memory_bytes(process.pid, "VmHWM")
