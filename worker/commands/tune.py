"""`headrace tune`: measures batches of a model on this machine, and says which batching options suit."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batching import tuning
from batching.errors import ObjectiveOutOfReach
from batching.tuning import Advice, Objective
from lifecycle.errors import LifecycleError
from lifecycle.recorded_requests import RecordedRequest
from schemas.model_config import ModelConfig
from schemas.version_selection import LatestVersions, SpecificVersions
from worker import request_files, request_lines
from worker.commands import tune_plot, tune_views
from worker.commands.failure import CommandFailedError
from worker.commands.options import output_option, settings_options
from worker.commands.output import Output
from worker.commands.progress import new_bar
from worker.commands.tune_views import Tuned
from worker.control_record import check_model_name
from worker.exit_codes import ExitCode
from worker.loaded_version import LoadedVersion, loaded_version
from worker.managing import freed_memory
from worker.request_lines import InvalidLine
from worker.run_measuring import (
    Arrays,
    CannotMeasure,
    Effort,
    Measured,
    batch_source,
    measure,
    sizes_up_to,
    within_bytes,
)
from worker.store_uris import is_remote, is_uri

if TYPE_CHECKING:
    from worker.commands.control_access import ControlAccess
    from worker.settings import Settings
    from worker.settings_loading import Loaded

MOST_ROWS = 1 << 20  # as the control topic takes them
DEFAULT_LOADER = "saved_model"


@click.command()
@click.argument("model", required=False)
@click.option(
    "--base-path",
    metavar="DIR",
    help="Measure a version that lies here, without asking Kafka; MODEL is then only its name in what is printed.",
)
@click.option(
    "--version", type=click.IntRange(min=0), help="Which version. Default: the highest of those meant."
)
@click.option(
    "--loader",
    metavar="saved_model|numpy|…",
    help=f"What understands the files under --base-path. Default: {DEFAULT_LOADER}.",
)
@click.option("--signature", default="serving_default", show_default=True, help="What is called.")
@click.option(
    "--requests",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Requests as they come, a line of JSON each, to measure with instead of inputs that are made up.",
)
@click.option(
    "--max-rows",
    type=click.IntRange(1, MOST_ROWS),
    help="The largest size to measure. Default: batching.max_batch_rows.",
)
@click.option(
    "--max-seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Of one batch; larger sizes are not measured once one takes longer.",
)
@click.option(
    "--size-seconds",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="For how long each size is run, and ten times at least.",
)
@click.option(
    "--request-rows",
    type=click.IntRange(1, MOST_ROWS),
    default=1,
    show_default=True,
    help="Rows of the largest request; smaller batches have no room for it.",
)
@click.option(
    "--p99-ms",
    type=click.FloatRange(min=0, min_open=True),
    help="What a request may take from its queue to the end of its run. Default: most throughput.",
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.png",
    help="Draw the figures, too; needs matplotlib.",
)
@settings_options
@output_option
def tune(
    loaded: "Loaded",
    model: str | None,
    base_path: str | None,
    version: int | None,
    loader: str | None,
    signature: str,
    requests: Path | None,
    max_rows: int | None,
    max_seconds: float,
    size_seconds: float,
    request_rows: int,
    p99_ms: float | None,
    plot: Path | None,
    output: Output,
) -> None:
    """Measure a model's batches on this machine, and say which options suit.

    MODEL is on the control topic. Its version is loaded in this process as a worker would load it, and run with
    batches of 1, 2, 4 … rows; nothing is set. Measure on a machine like the workers', with nothing else to do.

    Exit status 1: the version cannot be loaded or measured, or no size keeps the p99.
    """
    settings = loaded.settings
    most = max_rows or settings.batching.max_batch_rows
    if request_rows > most:
        raise click.UsageError(f"requests of {request_rows:,} rows need --max-rows of as many, not {most:,}")
    if plot is not None:
        tune_plot.check_can_draw(plot)
    name, config = _wanted(settings, model, base_path, loader)
    measured = config if version is None else replace(config, versions=SpecificVersions((version,)))
    if base_path is not None:
        config = measured  # what is set already stays as the control topic says it
    effort = Effort(sizes_up_to(most, request_rows), max_seconds, size_seconds)
    objective = Objective(None if p99_ms is None else p99_ms / 1000, request_rows)
    freed_memory(settings).keep()  # as a worker does: it changes what large arrays cost
    try:
        with loaded_version(settings, measured) as version_here:
            tuned = _tuned(
                settings, Tuning(name, config, signature, requests, effort, objective), version_here
            )
    except (LifecycleError, CannotMeasure) as error:
        raise CommandFailedError(f"model {name!r} cannot be measured: {error}") from error
    output.show(tune_views.document(tuned), *tune_views.renderables(tuned))
    if plot is not None:
        tune_plot.draw(tuned, plot)
    if tuned.problem is not None:
        raise CommandFailedError(tuned.problem)


@dataclass(frozen=True, slots=True)
class Tuning:
    """What is to be tuned, and how.

    Attributes:
        model: its name.
        config: what it is set to, or would be.
        signature: what is called.
        requests: a file of requests to measure with; None: the version's own, or made-up ones.
        effort: how far to go.
        objective: what is wanted.
    """

    model: str
    config: ModelConfig
    signature: str
    requests: Path | None
    effort: Effort
    objective: Objective


def config_on_topic(access: "ControlAccess", model: str) -> ModelConfig:
    """The config of a model as the control topic has it.

    Raises:
        CommandFailedError: there is none, or it is not valid.
        KafkaProblem: the topic is missing, or cannot be read.
    """
    entry = access.read().models.get(model)
    if entry is None:
        raise CommandFailedError(
            f"model {model!r} is not on the control topic (see: headrace models list); one that is not set yet is "
            "measured by --base-path DIR"
        )
    if entry.config is None:
        raise CommandFailedError(f"the control record of model {model!r} is not valid: {entry.problem}")
    return entry.config


def _wanted(
    settings: "Settings", model: str | None, base_path: str | None, loader: str | None
) -> tuple[str, ModelConfig]:
    """The model's name and config."""
    if base_path is not None:
        path = base_path if is_uri(base_path) else os.path.abspath(base_path)  # noqa: PTH100 - links stay
        name = model or path.rstrip("/").rpartition("/")[2] or "model"
        check_model_name(name)
        return name, ModelConfig(path, loader or DEFAULT_LOADER, LatestVersions())
    if model is None:
        raise click.UsageError("expected the MODEL of the control topic, or --base-path DIR")
    if loader is not None:
        raise click.UsageError("--loader goes with --base-path; of a MODEL the control topic says it")
    from worker.commands.control_access import access_of  # noqa: PLC0415 - --base-path needs no Kafka

    return model, config_on_topic(access_of(settings), model)


def _tuned(settings: "Settings", wanted: Tuning, here: LoadedVersion) -> Tuned:
    """Measure the loaded version, and choose."""
    recorded = _recorded(wanted.requests, here)
    where = str(wanted.requests or "the version's folder")
    source = batch_source(here.servable, wanted.signature, recorded, where)
    if wanted.requests is not None and source.made_up:
        raise CannotMeasure(
            f"{where} has no request for signature {wanted.signature!r} whose rows can be told"
        )
    sizes = within_bytes(wanted.effort.sizes, source.row_bytes, settings.batching.max_batch_bytes)

    def run(inputs: Arrays) -> object:
        return here.servable.run(wanted.signature, inputs, ())

    with new_bar("measuring", len(sizes) + 1, lambda line: click.echo(line, err=True)) as told:
        measured = measure(run, source, replace(wanted.effort, sizes=sizes), told)
    if measured.ended is None and len(sizes) < len(wanted.effort.sizes):
        limit = settings.batching.max_batch_bytes
        measured = replace(
            measured, ended=f"their inputs have more than batching.max_batch_bytes ({limit:,})"
        )
    advice, problem = _advice(measured, wanted.objective)
    p99 = wanted.objective.p99_seconds
    return Tuned(
        wanted.model,
        here.version,
        wanted.signature,
        wanted.config,
        source,
        measured,
        None if p99 is None else p99 * 1000,
        advice,
        problem,
    )


def _advice(measured: Measured, objective: Objective) -> tuple[Advice | None, str | None]:
    try:
        return tuning.advise(measured.costs, measured.first_runs, objective), None
    except ObjectiveOutOfReach as error:
        return None, str(error)


def _recorded(file: Path | None, here: LoadedVersion) -> Iterator[RecordedRequest]:
    """The requests of the file; without one those by which the version is warmed up."""
    if file is None:
        return iter(()) if is_remote(here.path) else request_files.warmup_requests(Path(here.path))
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
        return iter(list(request_lines.recorded(lines, str(file))))
    except (UnicodeDecodeError, InvalidLine) as error:
        raise CommandFailedError(f"the requests cannot be used: {error}", ExitCode.USAGE) from error
