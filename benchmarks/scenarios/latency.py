"""Latency under an open loop: requests on schedule, time counted from the schedule, replies read by the sender."""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import brokers, load
from benchmarks.contender import Job, headrace_command, new_group
from benchmarks.latency_figures import (
    CORE,
    CURVE,
    LARGEST,
    LATE_P99,
    MISSING,
    P50,
    P90,
    P99,
    P999,
    Figures,
    figures,
    medians,
    milliseconds,
    percentile,
)
from benchmarks.open_loop import Measured, measure
from benchmarks.processes import started
from benchmarks.scenario import Line, Options, Outcome, Target
from benchmarks.side_by_side import export_model
from benchmarks.topics import Topics
from benchmarks.turns import in_turn, listed
from schemas.model_config import ModelConfig

NAME = "latency"
TITLE = "Latency at 1,000 requests a second, open loop"

RATE = 1000.0
WARMUP_SECONDS = 2.0
MEASURED_SECONDS = 12.0
TIMEOUT_SECONDS = 0.005
QUIET_LATE_MS = 2.0
"""A sender that is later than this has waited for its core, and so has everybody else."""

ECHO, AT_ONCE, TIMED = "echo", "headrace", f"headrace, time-out {TIMEOUT_SECONDS * 1000:g} ms"


@dataclass(frozen=True, slots=True)
class Contender:
    """One that answers, and the worker settings that it gets beside the usual ones."""

    name: str
    settings: Mapping[str, object] = field(default_factory=dict)

    def command(self, job: Job, topics: Topics) -> tuple[list[str], dict[str, str]]:
        """Command line and environment for a job."""
        if self.name == ECHO:
            return [sys.executable, "-m", "benchmarks.latency_echo", job.text()], {}
        return headrace_command(job, topics, self.settings)


CONTENDERS = (
    Contender(ECHO),
    Contender(AT_ONCE),
    Contender(TIMED, {"batching.batch_timeout_seconds": TIMEOUT_SECONDS}),
)

COLUMNS = (P50, P90, P99, P999, LARGEST, MISSING, LATE_P99, CORE)


def run(options: Options) -> Outcome:
    """Echo, headrace, and headrace with a batch time-out in turn."""
    seconds = MEASURED_SECONDS * options.scale
    with (
        tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder,
        brokers.broker() as broker,
        Topics(broker.bootstrap_servers) as topics,
    ):
        model = export_model(Path(folder))
        topics.set_models({load.MODEL: ModelConfig(base_path=str(model.parent))})
        # A broker that has just started compiles itself for about a minute: that is nobody's.
        for contender in CONTENDERS:
            print(f"{NAME}: {contender.name}: warming the broker up", flush=True)
            _once(topics, contender, model, seconds)
        runs = in_turn(
            {each.name: partial(_once, topics, each, model, seconds) for each in CONTENDERS},
            options.rounds,
            lambda measured: "p50 {p50_ms:.2f} ms, p99 {p99_ms:.2f} ms".format_map(figures(measured)),
        )
    found = {name: [figures(measured) for measured in of_one] for name, of_one in runs.items()}
    lines = [Line(name, medians(of_one, COLUMNS)) for name, of_one in found.items()]
    return Outcome(
        columns=COLUMNS,
        lines=lines,
        targets=targets({line.name: line.values for line in lines}),
        runs=listed(found, dict, "name"),
        settings={"rate": RATE, "seconds": seconds, "timeout_seconds": TIMEOUT_SECONDS},
        notes=notes({line.name: line.values for line in lines}),
        series={
            "percentiles": list(CURVE),
            "latency_ms": {name: curve(of_one) for name, of_one in runs.items()},
        },
    )


def notes(figures_of: Mapping[str, Figures]) -> list[str]:
    """What a reader must know, and whether the machine was quiet enough for these figures to say anything."""
    said = [
        "Latency counts from the moment at which a request was due, so the sender's own lateness is in it.",
        "Echo sends each record at once, by the settings that headrace has for few, and commits without waiting.",
        "The sender, who also reads the replies, shares a core with the broker; the contender has the other.",
    ]
    late_ms = max(figures["late_p99_ms"] for figures in figures_of.values())
    if late_ms > QUIET_LATE_MS:
        said.append(
            f"The sender was late by {late_ms:.1f} ms (p99): the machine was busy with something else, "
            "and the figures, targets included, say little."
        )
    return said


def targets(figures_of: Mapping[str, Figures]) -> list[Target]:
    """What the project asks of itself, of medians by contender."""
    echo, at_once, timed = figures_of[ECHO], figures_of[AT_ONCE], figures_of[TIMED]
    timeout_ms = TIMEOUT_SECONDS * 1000
    return [
        Target("p50 less echo's, ms", at_once["p50_ms"] - echo["p50_ms"], 1.0),
        Target("p99 by echo's", at_once["p99_ms"] / echo["p99_ms"], 2.0),
        Target(
            f"p50 with a time-out of {timeout_ms:g} ms less echo's, ms",
            timed["p50_ms"] - echo["p50_ms"],
            timeout_ms + 1.0,
        ),
        Target("replies missing", sum(f["missing"] for f in figures_of.values()), 0.0),
    ]


def curve(runs: Sequence[Measured]) -> list[float]:
    """Milliseconds at each percentile of `CURVE`, over the replies of all runs together."""
    together = np.concatenate([run.latency for run in runs])
    return [milliseconds(percentile(together, share)) for share in CURVE]


def _once(topics: Topics, contender: Contender, model: Path, seconds: float) -> Measured:
    """One contender, once, on topics of its own, which are gone afterwards."""
    address, requests, replies = (
        topics.where.bootstrap_servers,
        topics.fresh_requests(),
        topics.fresh_replies(),
    )
    job = Job(address, new_group(), requests, replies, str(model))
    with started(*contender.command(job, topics)) as process:
        found = measure(job, process, RATE, WARMUP_SECONDS, seconds)
    topics.delete(requests, replies, f"{requests}-dlt")
    return found
