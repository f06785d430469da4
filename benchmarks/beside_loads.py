"""A small model's latency while others load, warm up and unload, beside the same minutes without."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.contender import Job
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
from benchmarks.processes import Started
from benchmarks.reloading import Cycle, again_and_again
from benchmarks.scenario import Column, Line, Outcome, Target
from benchmarks.schedule import Seconds
from benchmarks.turns import in_turn, listed

RATE = 1000.0
BROKER_SECONDS = 45.0  # a broker that has just started compiles itself for so long
WARMUP_SECONDS = 2.0
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
    """Some seconds of requests, and the loads and unloads that began in them."""

    measured: Measured
    cycles: Sequence[Cycle] = ()

    def figures(self) -> dict[str, float]:
        """What a table shows of it."""
        found = figures(self.measured) | {"cycles": float(len(self.cycles))}
        if self.cycles:
            found["load_seconds"] = statistics.median(cycle.load_seconds for cycle in self.cycles)
            found["unload_seconds"] = statistics.median(cycle.unload_seconds for cycle in self.cycles)
        return found


def in_phases(
    job: Job, process: Started, cycle: Callable[[], Cycle], seconds: float, rounds: int
) -> dict[str, list[Phase]]:
    """Phases of so many seconds without and with loads in turn, after a while and a cycle that nobody counts.

    Raises:
        ChildProcessError: the sender failed, or the worker has ended.
    """
    _quiet(job, process, BROKER_SECONDS)
    cycle()
    return in_turn(
        {
            QUIET: partial(_quiet, job, process, seconds),
            LOADING: partial(_loading, job, process, seconds, cycle),
        },
        rounds,
        lambda phase: (
            "p50 {p50_ms:.2f} ms, p99 {p99_ms:.2f} ms, p99.9 {p999_ms:.2f} ms, "
            "largest {max_ms:.1f} ms, {cycles:.0f} loads".format_map(phase.figures())
        ),
    )


def outcome(
    phases: Mapping[str, Sequence[Phase]],
    targets: Callable[[Mapping[str, Figures]], list[Target]],
    settings: Mapping[str, Any],
    notes: Sequence[str],
) -> Outcome:
    """What came of the phases; *targets* are of the medians by kind of phase."""
    found = {name: [phase.figures() for phase in of_one] for name, of_one in phases.items()}
    lines = [Line(name, summary(of_one)) for name, of_one in found.items()]
    return Outcome(
        columns=COLUMNS,
        lines=lines,
        targets=targets({line.name: line.values for line in lines}),
        runs=listed(found, dict, "name"),
        settings={"rate": RATE, **settings},
        notes=(
            "One worker process on one core: serving, loading and TensorFlow's own threads share it.",
            *notes,
            "Latency counts from the moment at which a request was due; sender and broker share the other core.",
        ),
        series=series(phases),
    )


def summary(runs: Sequence[Figures]) -> Figures:
    """Medians over the phases of one kind; of replies missing and of loads the sum."""
    return medians(runs, COLUMNS, summed=("missing", "cycles"))


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


def _loading(job: Job, process: Started, seconds: float, cycle: Callable[[], Cycle]) -> Phase:
    with again_and_again(cycle) as cycles:
        measured = measure(job, process, RATE, WARMUP_SECONDS, seconds)
    return Phase(measured, tuple(cycles))
