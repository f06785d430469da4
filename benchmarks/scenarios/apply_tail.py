"""The small model's latency while two hundred others are applied and load, beside the same minutes without."""

import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from benchmarks import beside_loads, brokers, load, many_models
from benchmarks.beside_loads import LOADING, QUIET, Phase
from benchmarks.contender import Job, headrace_command, new_group
from benchmarks.latency_figures import Figures
from benchmarks.many_models import BROKEN, MODELS, SETTLED, ManyModels, Progress
from benchmarks.processes import started
from benchmarks.scenario import Options, Outcome, Target
from benchmarks.side_by_side import export_model
from benchmarks.topics import Topics
from schemas.model_config import ModelConfig

NAME = "apply_tail"
TITLE = f"Latency at 1,000 requests a second while {MODELS} models are applied and load, again and again"

MEASURED_SECONDS = 30.0


def run(options: Options) -> Outcome:
    """One worker; phases without and with loads in turn."""
    seconds = MEASURED_SECONDS * options.scale
    return beside_loads.outcome(
        phases(many_models.export, "saved_model", SETTLED, seconds, options.rounds),
        targets,
        {"seconds": seconds, "models": MODELS, "broken": BROKEN},
        (
            f"Loading: {MODELS} small SavedModels, {BROKEN} of them broken, set by one `headrace models apply`.",
            "They are removed once the others are available; a phase of requests is shorter than that.",
            "A load counts from the command until the status topic says that each model is available or has failed.",
        ),
    )


def phases(
    export: Callable[[Path], Mapping[str, Path]],
    loader: str,
    settled: Progress,
    seconds: float,
    rounds: int,
) -> dict[str, list[Phase]]:
    """Phases of so many seconds beside other models, applied and removed.

    Args:
        export: writes them under a folder; base paths by name.
        loader: loads them.
        settled: how they will stay.
        seconds: of a phase.
        rounds: phases of each kind.
    """
    with (
        tempfile.TemporaryDirectory(prefix="headrace-bench-") as name,
        brokers.broker() as broker,
        Topics(broker.bootstrap_servers) as topics,
    ):
        folder = Path(name)
        paths, small = export(folder / "many"), export_model(folder)
        file = folder / "models.toml"
        many_models.write_file(file, paths, loader)
        topics.set_models({load.MODEL: ModelConfig(base_path=str(small.parent))})
        job = Job(
            broker.bootstrap_servers, new_group(), topics.fresh_requests(), topics.fresh_replies(), str(small)
        )
        with (
            started(*headrace_command(job, topics, many_models.RETRIES)) as process,
            closing(ManyModels(topics, file, paths, settled)) as models,
        ):
            return beside_loads.in_phases(job, process, models.cycle, seconds, rounds)


def targets(figures_of: Mapping[str, Figures]) -> list[Target]:
    """What the project asks of itself, of medians by kind of phase."""
    quiet, loading = figures_of[QUIET], figures_of[LOADING]
    return [
        Target("p99 while loading by the quiet one", loading["p99_ms"] / quiet["p99_ms"], 3.0),
        Target("replies missing", quiet["missing"] + loading["missing"], 0.0),
    ]
