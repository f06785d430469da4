"""The small model's latency while a large one loads, warms up and unloads, beside the same minutes without."""

import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from benchmarks import beside_loads, brokers, load, reloading
from benchmarks.beside_loads import LOADING, QUIET
from benchmarks.contender import Job, headrace_command, new_group
from benchmarks.latency_figures import Figures
from benchmarks.processes import started
from benchmarks.reloading import Reloading
from benchmarks.scenario import Options, Outcome, Target
from benchmarks.side_by_side import export_model
from benchmarks.topics import Topics
from schemas.model_config import ModelConfig

NAME = "load_tail"
TITLE = "Latency at 1,000 requests a second while ResNet50 loads, warms up and unloads, again and again"

MEASURED_SECONDS = 12.0


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
            phases = beside_loads.in_phases(job, process, model.cycle, seconds, options.rounds)
    return beside_loads.outcome(
        phases,
        targets,
        {"seconds": seconds},
        (
            "Loading: ResNet50 (98 MB of weights) is put on the control topic, and taken off once it is available.",
        ),
    )


def targets(figures_of: Mapping[str, Figures]) -> list[Target]:
    """What the project asks of itself, of medians by kind of phase."""
    quiet, loading = figures_of[QUIET], figures_of[LOADING]
    return [
        Target("p99 while loading by the quiet one", loading["p99_ms"] / quiet["p99_ms"], 3.0),
        Target("p99.9 while loading by the quiet one", loading["p999_ms"] / quiet["p999_ms"], 5.0),
        Target("replies missing", quiet["missing"] + loading["missing"], 0.0),
    ]
