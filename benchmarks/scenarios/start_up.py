"""How long a new worker takes until it serves two hundred models: all at once, beside one after the other."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks import brokers, many_models, stored_loader
from benchmarks.contender import Job, headrace_command, new_group
from benchmarks.device_loader import environment as with_site
from benchmarks.many_models import BROKEN, MODELS, ManyModels
from benchmarks.measuring import cpu_seconds
from benchmarks.processes import started
from benchmarks.scenario import Column, Line, Options, Outcome, Target
from benchmarks.topics import Topics
from benchmarks.turns import in_turn, listed

NAME = "start_up"
TITLE = f"From the start of a worker until it serves {MODELS - BROKEN} models of {MODELS}, {BROKEN} of which are broken"

LOCAL, STORED = "files in memory", f"storage that takes {stored_loader.STORAGE_SECONDS:g} s a model"
LOADERS: Mapping[str, str] = {LOCAL: "saved_model", STORED: stored_loader.NAME}
AT_ONCE, IN_A_ROW = "several at once", "one after the other"
SETTINGS: Mapping[str, Mapping[str, object]] = {
    AT_ONCE: {},
    IN_A_ROW: {"lifecycle.initial_load_threads": 1, "lifecycle.load_threads": 1},
}
BY_ROW = "by_row"
LEAST = 2.0

COLUMNS = (
    Column("seconds", "s until all are settled"),
    Column("cpu_seconds", "CPU s meanwhile"),
    Column(BY_ROW, f"as fast as {IN_A_ROW}"),
)


@dataclass(frozen=True, slots=True)
class Start:
    """One worker's: seconds, and CPU seconds of its process, until each model is available or has failed."""

    seconds: float
    cpu_seconds: float


def run(options: Options) -> Outcome:
    """A new worker for each measurement, on a control topic that has the models already."""
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as name, brokers.broker() as broker:
        folder = Path(name)
        paths = many_models.export(folder / "many")
        stored_loader.offer(folder / "site")
        contenders: dict[str, Callable[[], Start]] = {}
        for files, loader in LOADERS.items():
            file = folder / f"{loader}.toml"
            many_models.write_file(file, paths, loader)
            for way, settings in SETTINGS.items():
                contenders[_called(files, way)] = partial(
                    _start, broker.bootstrap_servers, file, list(paths), settings, with_site(folder / "site")
                )
        results = in_turn(
            contenders, options.rounds, lambda start: f"{start.seconds:.1f} s, {start.cpu_seconds:.1f} s CPU"
        )
    found = lines(results)
    return Outcome(
        columns=COLUMNS,
        lines=found,
        targets=targets(found),
        runs=listed(results, lambda start: {"seconds": start.seconds, "cpu_seconds": start.cpu_seconds}),
        settings={"models": MODELS, "broken": BROKEN, "storage_seconds": stored_loader.STORAGE_SECONDS},
        notes=(
            "Small SavedModels; a worker has one core, and importing TensorFlow is in its time.",
            "What a load computes is not done faster by several on one core; what it waits for is.",
        ),
    )


def lines(results: Mapping[str, Sequence[Start]]) -> list[Line]:
    """Medians, and how much faster they are than those of the same models one after the other."""
    medians = {name: median(start.seconds for start in of_one) for name, of_one in results.items()}
    return [
        Line(
            _called(files, way),
            {
                "seconds": medians[_called(files, way)],
                "cpu_seconds": median(start.cpu_seconds for start in results[_called(files, way)]),
                BY_ROW: medians[_called(files, IN_A_ROW)] / medians[_called(files, way)],
            },
        )
        for files in LOADERS
        for way in SETTINGS
    ]


def targets(found: Sequence[Line]) -> list[Target]:
    """What the project asks of itself."""
    faster = next(line.values[BY_ROW] for line in found if line.name == _called(STORED, AT_ONCE))
    return [Target(f"speed by that of {IN_A_ROW}, {STORED}", faster, LEAST, at_most=False)]


def _called(files: str, way: str) -> str:
    return f"{files}, {way}"


def _start(
    bootstrap_servers: str,
    file: Path,
    names: Sequence[str],
    settings: Mapping[str, object],
    environment: Mapping[str, str],
) -> Start:
    with Topics(bootstrap_servers) as topics, closing(ManyModels(topics, file, names)) as models:
        models.apply()
        job = Job(bootstrap_servers, new_group(), topics.fresh_requests(), topics.fresh_replies(), model="")
        command, own = headrace_command(job, topics, {**many_models.RETRIES, **settings})
        began = time.monotonic()
        with started(command, {**own, **environment}) as process:
            seconds = models.wait_until_settled(began)
            return Start(seconds, cpu_seconds(process.pid))
