"""What `headrace tune` chooses, set as it says, beside a worker's defaults: throughput, and latency at one load."""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import brokers, load, measuring
from benchmarks.contender import Job, headrace_command, new_group
from benchmarks.latency_figures import MISSING, P50, P99, Figures, figures, medians
from benchmarks.open_loop import measure
from benchmarks.processes import finish, started
from benchmarks.scenario import Column, Line, Options, Outcome, Target
from benchmarks.topics import Topics
from benchmarks.turns import in_turn, listed
from schemas.model_config import BatchingOptions, ModelConfig
from worker.demo import training
from worker.settings_serving import BatchingSettings

NAME = "tuned"
TITLE = "What headrace tune chooses, beside the defaults"

RECORDS = 600_000
RATE, WARMUP_SECONDS, MEASURED_SECONDS = 1000.0, 3.0, 10.0
MOST_ROWS = 1024
"""The largest size that is measured: a worker's default, and the default of the command."""
DEMO, COMPILED = "the demo's model", "a model compiled for each size"
DEFAULTS, TUNED = "defaults", "tuned"
LEAST_RATE, MOST_P99 = 0.95, 1.1
"""Where nothing is gained, rounds differ by so much."""

RECORDS_PER_SECOND = Column("records_per_second", "records/s", ",.0f")
COST = Column("cpu_us_per_record", "CPU µs a record")
COLUMNS = (RECORDS_PER_SECOND, COST, P50, P99, MISSING)


@dataclass(frozen=True, slots=True)
class Served:
    """A model that is measured.

    Attributes:
        base_path: of its versions.
        input_name: of its 64 floats.
    """

    base_path: str
    input_name: str


class Bench:
    """Runs of a worker with one model and one choice of options, which has topics of its own."""

    def __init__(self, bootstrap_servers: str, model: Served, batching: BatchingOptions | None) -> None:
        self._topics = Topics(bootstrap_servers)
        self._topics.set_models({load.MODEL: ModelConfig(model.base_path, batching=batching)})
        self._input_name = model.input_name
        self._replies = self._topics.fresh_replies()

    def run(self, backlog: str, records: int, seconds: float) -> Figures:
        """Answer a topic full of requests, and then requests on schedule."""
        before = self._topics.end(self._replies)
        with started(*headrace_command(self._job(backlog), self._topics)) as process:
            samples = measuring.watch(process, lambda: self._topics.end(self._replies) - before, records)
        answered = measuring.result(samples, records)
        job = self._job(self._topics.fresh_requests())
        with started(*headrace_command(job, self._topics)) as process:
            timed = measure(job, process, RATE, WARMUP_SECONDS, seconds, self._input_name)
        return figures(timed) | {
            RECORDS_PER_SECOND.key: answered.records_per_second,
            COST.key: answered.cpu_us_per_record,
        }

    def close(self) -> None:
        """The topics stay."""
        self._topics.close()

    def _job(self, requests: str) -> Job:
        return Job(self._topics.where.bootstrap_servers, new_group(), requests, self._replies, model="")


def run(options: Options) -> Outcome:
    """Tune both models, and serve each with what was chosen and with the defaults in turn."""
    records, seconds = int(RECORDS * options.scale), MEASURED_SECONDS * options.scale
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder, brokers.broker() as broker:
        models = exported(Path(folder))
        chosen = {name: tune(model) for name, model in models.items()}
        for name, batching in chosen.items():
            print(f"{name}: {said(batching)}", flush=True)
        with Topics(broker.bootstrap_servers) as topics:
            backlogs = {name: topics.fresh_requests() for name in models}
            for name, model in models.items():
                load.fill(broker.bootstrap_servers, backlogs[name], records, input_name=model.input_name)
        benches = {
            (name, what): Bench(broker.bootstrap_servers, model, chosen[name] if what is TUNED else None)
            for name, model in models.items()
            for what in (DEFAULTS, TUNED)
        }
        results = in_turn(
            {
                f"{name}, {what}": partial(bench.run, backlogs[name], records, seconds)
                for (name, what), bench in benches.items()
            },
            options.rounds,
            "{records_per_second:,.0f} records/s, p99 {p99_ms:.2f} ms".format_map,
        )
        for bench in benches.values():
            bench.close()
    lines = {name: medians(of_one, COLUMNS) for name, of_one in results.items()}
    return Outcome(
        columns=COLUMNS,
        lines=[Line(name, values) for name, values in lines.items()],
        targets=targets(results, [name for name in models if not is_default(chosen[name])]),
        runs=listed(results, dict, "name"),
        settings={
            "records": records,
            "rate": RATE,
            "seconds": seconds,
            "chosen": {name: batching.to_wire() for name, batching in chosen.items()},
        },
        notes=(
            *(f"Chosen for {name}: {said(batching)}." for name, batching in chosen.items()),
            *(
                f"For {name} these are the defaults: its two lines are one, and differ by what runs differ by."
                for name, batching in chosen.items()
                if is_default(batching)
            ),
            f"The defaults are {MOST_ROWS:,} rows, no wait, and batches of any size.",
            "Ratios are of each round, and the median of those is judged.",
            "Records a second and their CPU time are of a topic full of requests of one row.",
            f"Latencies are of {RATE:,.0f} requests a second on schedule, and count from the schedule.",
        ),
    )


def exported(folder: Path) -> dict[str, Served]:
    """Write the models under a folder, each in a process of its own."""
    finish([sys.executable, "-m", "worker.demo.training", str(folder)])
    compiled = folder / "compiled"
    finish([sys.executable, "-m", "benchmarks.dense_model", str(compiled / "1"), "--compiled"])
    return {
        DEMO: Served(str(folder / training.MODEL_NAME), "pixels"),
        COMPILED: Served(str(compiled), "x"),
    }


def tune(model: Served) -> BatchingOptions:
    """What the command chooses, as its JSON says it.

    Raises:
        ChildProcessError: the command failed; with what it wrote.
    """
    command = [sys.executable, "-m", "worker", "tune", "--base-path", model.base_path]
    command += ["--max-rows", str(MOST_ROWS), "--output", "json"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        raise ChildProcessError(f"headrace tune ended with status {found.returncode}:\n{found.stderr}")
    block = json.loads(found.stdout)["batching"]
    return BatchingOptions(
        block["max_batch_rows"], block["batch_timeout_seconds"], tuple(block["allowed_batch_rows"])
    )


def said(batching: BatchingOptions) -> str:
    """Options in words."""
    sizes = ", ".join(f"{rows:,}" for rows in batching.allowed_batch_rows or ())
    wait = (batching.batch_timeout_seconds or 0.0) * 1000
    return f"{batching.max_batch_rows:,} rows, a wait of {wait:g} ms, {f'sizes {sizes}' if sizes else 'any size'}"


def is_default(batching: BatchingOptions) -> bool:
    """Whether a worker does the same without them."""
    own = BatchingSettings()
    return (batching.max_batch_rows, batching.batch_timeout_seconds, batching.allowed_batch_rows) == (
        own.max_batch_rows,
        own.batch_timeout_seconds,
        own.allowed_batch_rows,
    )


def targets(results: Mapping[str, Sequence[Figures]], models: Sequence[str]) -> list[Target]:
    """What was chosen for these models is at least as good as the defaults, by the median of the rounds' ratios."""
    found = []
    for name in models:
        defaults, tuned = (results[f"{name}, {what}"] for what in (DEFAULTS, TUNED))
        rate, p99 = (
            statistics.median(mine[key] / theirs[key] for mine, theirs in zip(tuned, defaults, strict=True))
            for key in (RECORDS_PER_SECOND.key, P99.key)
        )
        found.append(Target(f"{name}: records/s, tuned by the defaults", rate, LEAST_RATE, at_most=False))
        found.append(Target(f"{name}: p99, tuned by the defaults", p99, MOST_P99))
    missing = sum(run[MISSING.key] for runs in results.values() for run in runs)
    found.append(Target("replies missing", missing, 0.0))
    return found
