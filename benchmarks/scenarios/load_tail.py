"""The small model's latency while a large one loads, warms up and unloads, beside the same minutes without."""

import statistics
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import brokers, load, reloading
from benchmarks.contender import Job, headrace_command, new_group
from benchmarks.latency_figures import (
    CORE,
    CURVE,
    LARGEST,
    MISSING,
    P50,
    P99,
    P999,
    Figures,
    figures,
    medians,
    milliseconds,
    percentile,
)
from benchmarks.open_loop import Measured, measure
from benchmarks.processes import Started, started
from benchmarks.reloading import Cycle, Reloading
from benchmarks.scenario import Column, Line, Options, Outcome, Target
from benchmarks.schedule import Seconds
from benchmarks.side_by_side import export_model
from benchmarks.topics import Topics
from benchmarks.turns import in_turn, listed
from schemas.model_config import ModelConfig

NAME = "load_tail"
TITLE = "Latency at 1,000 requests a second while ResNet50 loads, warms up and unloads, again and again"

RATE = 1000.0
BROKER_SECONDS = 45.0  # a broker that has just started compiles itself for so long
WARMUP_SECONDS = 2.0
MEASURED_SECONDS = 12.0
BUCKET_SECONDS = 0.1

QUIET, LOADING = "quiet", "loading"

COLUMNS = (
    P50,
    P99,
    P999,
    LARGEST,
    MISSING,
    Column("cycles", "loads and unloads", ",.0f"),
    Column("load_seconds", "load, s"),
    Column("unload_seconds", "unload, s"),
    CORE,
)


@dataclass(frozen=True, slots=True)
class Phase:
    """Some seconds of requests, and the loads and unloads that ended in them."""

    measured: Measured
    cycles: Sequence[Cycle] = ()

    def figures(self) -> dict[str, float]:
        """What a table shows of it."""
        found = figures(self.measured) | {"cycles": float(len(self.cycles))}
        if self.cycles:
            found["load_seconds"] = statistics.median(cycle.load_seconds for cycle in self.cycles)
            found["unload_seconds"] = statistics.median(cycle.unload_seconds for cycle in self.cycles)
        return found


def run(options: Options) -> Outcome:
    """One worker; phases without and with loads in turn."""
    seconds = MEASURED_SECONDS * options.scale
    with (
        tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder,
        brokers.broker() as broker,
        Topics(broker.bootstrap_servers) as topics,
    ):
        large, small = reloading.export(Path(folder)), export_model(Path(folder))
        topics.set_models({load.MODEL: ModelConfig(base_path=str(small.parent))})
        job = Job(
            broker.bootstrap_servers, new_group(), topics.fresh_requests(), topics.fresh_replies(), str(small)
        )
        with (
            started(*headrace_command(job, topics)) as process,
            closing(Reloading(topics, large)) as model,
        ):
            _quiet(job, process, BROKER_SECONDS)  # nobody's
            model.cycle()
            phases = in_turn(
                {
                    QUIET: partial(_quiet, job, process, seconds),
                    LOADING: partial(_loading, job, process, seconds, model),
                },
                options.rounds,
                lambda phase: (
                    "p50 {p50_ms:.2f} ms, p99 {p99_ms:.2f} ms, p99.9 {p999_ms:.2f} ms, "
                    "largest {max_ms:.1f} ms, {cycles:.0f} loads".format_map(phase.figures())
                ),
            )
    found = {name: [phase.figures() for phase in of_one] for name, of_one in phases.items()}
    lines = [Line(name, summary(of_one)) for name, of_one in found.items()]
    return Outcome(
        columns=COLUMNS,
        lines=lines,
        targets=targets({line.name: line.values for line in lines}),
        runs=listed(found, dict, "name"),
        settings={"rate": RATE, "seconds": seconds},
        notes=(
            "One worker process on one core: serving, loading and TensorFlow's own threads share it.",
            "Loading: ResNet50 (98 MB of weights) is put on the control topic, and taken off once it is available.",
            "Latency counts from the moment at which a request was due; sender and broker share the other core.",
        ),
        series=series(phases),
    )


def summary(runs: Sequence[Figures]) -> Figures:
    """Medians over the phases of one kind; of replies missing and of loads the sum."""
    return medians(runs, COLUMNS, summed=("missing", "cycles"))


def targets(figures_of: Mapping[str, Figures]) -> list[Target]:
    """What the project asks of itself, of medians by kind of phase."""
    quiet, loading = figures_of[QUIET], figures_of[LOADING]
    return [
        Target("p99 while loading by the quiet one", loading["p99_ms"] / quiet["p99_ms"], 3.0),
        Target("p99.9 while loading by the quiet one", loading["p999_ms"] / quiet["p999_ms"], 5.0),
        Target("replies missing", quiet["missing"] + loading["missing"], 0.0),
    ]


def series(phases: Mapping[str, Sequence[Phase]]) -> dict[str, Any]:
    """For a plot: each phase's median and largest latency by tenths of a second, and percentiles of all together."""
    together = {
        name: np.concatenate([phase.measured.latency for phase in of_one]) for name, of_one in phases.items()
    }
    return {
        "bucket_seconds": BUCKET_SECONDS,
        "over_time": {
            name: [over_time(phase.measured.latency) for phase in of_one] for name, of_one in phases.items()
        },
        "percentiles": list(CURVE),
        "latency_ms": {
            name: [milliseconds(percentile(latency, percent)) for percent in CURVE]
            for name, latency in together.items()
        },
    }


def over_time(latency: Seconds, each: int = int(RATE * BUCKET_SECONDS)) -> dict[str, list[float]]:
    """Median and largest latency, in milliseconds, of so many requests after so many; a rest is left out."""
    buckets = latency[: len(latency) // each * each].reshape(-1, each)
    return {
        "p50_ms": [milliseconds(percentile(bucket, 50.0)) for bucket in buckets],
        "max_ms": [milliseconds(percentile(bucket, 100.0)) for bucket in buckets],
    }


def _quiet(job: Job, process: Started, seconds: float) -> Phase:
    return Phase(measure(job, process, RATE, WARMUP_SECONDS, seconds))


def _loading(job: Job, process: Started, seconds: float, model: Reloading) -> Phase:
    with model.again_and_again() as cycles:
        measured = measure(job, process, RATE, WARMUP_SECONDS, seconds)
        ended = tuple(cycles)
    return Phase(measured, ended)
