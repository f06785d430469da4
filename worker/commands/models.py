"""`headrace models`: says which models and versions are served, and waits until they are."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from schemas.model_config import BatchingOptions, ModelConfig
from schemas.version_selection import VersionSelection
from worker.commands.model_options import (
    TIMEOUT_SECONDS,
    LabelParam,
    VersionsParam,
    absolute,
    loader_name,
    row_sizes,
    wait_options,
)
from worker.commands.options import output_option, settings_options
from worker.commands.output import Output

if TYPE_CHECKING:
    from worker.settings_loading import Loaded


@click.group()
def models() -> None:
    """Say which models and versions are served.

    The control topic has one record for each model: its complete desired state. Every worker follows it.
    """


@models.command("set")
@click.argument("name")
@click.option(
    "--base-path",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Directory that holds one numbered directory per version, as the workers see it.",
)
@click.option(
    "--versions",
    type=VersionsParam(),
    default="latest:1",
    show_default=True,
    metavar="3,4|latest:N|all",
    help="Which versions to serve.",
)
@click.option(
    "--label",
    "labels",
    type=LabelParam(),
    multiple=True,
    metavar="LABEL=VERSION",
    help="A name for a version, by which requests may ask. May be repeated.",
)
@click.option(
    "--loader",
    callback=loader_name,
    default="saved_model",
    show_default=True,
    metavar="saved_model|numpy|…",
    help="What understands the files: one of headrace's, or one that is installed on the workers.",
)
@click.option("--comment", default="", help="Why; kept with the record and in its history.")
@click.option("--max-batch-rows", type=click.IntRange(min=1), help="Rows at which a batch closes.")
@click.option(
    "--batch-timeout-seconds", type=click.FloatRange(min=0), help="How long a batch waits for more rows."
)
@click.option(
    "--allowed-batch-rows",
    callback=row_sizes,
    metavar="8,32,…",
    help="Batch sizes that the model is run at; smaller batches are padded.",
)
@wait_options
@settings_options
@output_option
def set_model(
    loaded: "Loaded",
    name: str,
    base_path: Path,
    versions: VersionSelection,
    labels: tuple[tuple[str, int], ...],
    loader: str,
    comment: str,
    max_batch_rows: int | None,
    batch_timeout_seconds: float | None,
    allowed_batch_rows: tuple[int, ...] | None,
    wait: bool,
    timeout: float,
    output: Output,
) -> None:
    """Serve versions of a model, or change what is served of it.

    The record is complete. What is not said here has its default, whatever was set before; the last ten
    configs are kept with it. Which versions `latest` and `all` mean is looked up by each worker when the
    record is applied.
    """
    from worker.commands.control_access import access_of  # noqa: PLC0415 - --help needs no Kafka
    from worker.commands.model_actions import set_model  # noqa: PLC0415 - likewise

    options = (max_batch_rows, batch_timeout_seconds, allowed_batch_rows)
    config = ModelConfig(
        absolute(base_path),
        loader,
        versions,
        dict(labels),
        None if options == (None, None, None) else BatchingOptions(*options),
        comment=comment,
    )
    set_model(access_of(loaded.settings), name, config, output, timeout if wait else None)


@models.command("label")
@click.argument("name")
@click.argument("labels", type=LabelParam(), nargs=-1, metavar="[LABEL=VERSION]...")
@click.option(
    "--remove", "without", multiple=True, metavar="LABEL", help="A label to take away. May be repeated."
)
@click.option("--comment", default="", help="Why; kept with the record and in its history.")
@wait_options
@settings_options
@output_option
def label_model(
    loaded: "Loaded",
    name: str,
    labels: tuple[tuple[str, int], ...],
    without: tuple[str, ...],
    comment: str,
    wait: bool,
    timeout: float,
    output: Output,
) -> None:
    """Give names to versions, move them, or take them away; what else is set of the model stays.

    Where the model's versions are listed a label may only name one of them.
    """
    if not labels and not without:
        raise click.UsageError("expected LABEL=VERSION, as in stable=3, or --remove LABEL")
    from worker.commands.control_access import access_of  # noqa: PLC0415 - --help needs no Kafka
    from worker.commands.model_actions import change_model  # noqa: PLC0415 - likewise
    from worker.commands.model_changes import with_labels  # noqa: PLC0415 - likewise

    change = with_labels(name, dict(labels), without, comment)
    change_model(access_of(loaded.settings), name, change, output, timeout if wait else None)


@models.command()
@click.argument("name")
@click.option(
    "--revision",
    type=click.IntRange(min=1),
    help="Which of the configs in its history. Default: the one before the present one.",
)
@click.option(
    "--comment", default="", help="Why; kept with the record. Default: to which revision it goes back."
)
@wait_options
@settings_options
@output_option
def rollback(
    loaded: "Loaded",
    name: str,
    revision: int | None,
    comment: str,
    wait: bool,
    timeout: float,
    output: Output,
) -> None:
    """Go back to an earlier config of a model, which `headrace models history` shows.

    It is written as a new record, so a rollback can be rolled back. It brings back what was asked for: a config
    that says latest or all takes what lies in the base path now.
    """
    from worker.commands.control_access import access_of  # noqa: PLC0415 - --help needs no Kafka
    from worker.commands.model_actions import change_model  # noqa: PLC0415 - likewise
    from worker.commands.model_changes import as_before  # noqa: PLC0415 - likewise

    change = as_before(name, revision, comment)
    change_model(access_of(loaded.settings), name, change, output, timeout if wait else None)


@models.command()
@click.argument("name")
@settings_options
@output_option
def history(loaded: "Loaded", name: str, output: Output) -> None:
    """Show a model's last configs: who has changed what, when and why.

    The present one comes first; ten earlier ones are kept.
    """
    from worker.commands.control_access import access_of  # noqa: PLC0415 - --help needs no Kafka
    from worker.commands.model_actions import show_history  # noqa: PLC0415 - likewise

    show_history(access_of(loaded.settings), name, output)


@models.command()
@click.argument("name")
@wait_options
@settings_options
@output_option
def remove(loaded: "Loaded", name: str, wait: bool, timeout: float, output: Output) -> None:
    """Serve a model no more; its versions are unloaded once their last request is answered.

    Its history goes with it.
    """
    from worker.commands.control_access import access_of  # noqa: PLC0415 - --help needs no Kafka
    from worker.commands.model_actions import remove_model  # noqa: PLC0415 - likewise

    remove_model(access_of(loaded.settings), name, output, timeout if wait else None)


@models.command("list")
@settings_options
@output_option
def list_models(loaded: "Loaded", output: Output) -> None:
    """Show the models of the control topic: what is desired, by whom and why.

    What has become of it, `headrace status` shows.
    """
    from worker.commands.control_access import access_of  # noqa: PLC0415 - --help needs no Kafka
    from worker.commands.model_actions import show_models  # noqa: PLC0415 - likewise

    show_models(access_of(loaded.settings), output)


@models.command()
@click.argument("name")
@click.option("--version", type=click.IntRange(min=0), help="The only version that matters. Default: all.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=TIMEOUT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait at most.",
)
@settings_options
@output_option
def wait(loaded: "Loaded", name: str, version: int | None, timeout: float, output: Output) -> None:
    """Wait until a model is served as the control topic says.

    That is, until there is a live worker in the group, and each live one has applied the model's record and
    has its versions available. Exit status 1: a worker cannot (it is named, with the reason), or the time is
    over.
    """
    from worker.commands.control_access import access_of  # noqa: PLC0415 - --help needs no Kafka
    from worker.commands.model_actions import await_model  # noqa: PLC0415 - likewise

    await_model(access_of(loaded.settings), name, version, timeout, output)
