"""`headrace models`: says which models and versions are served, and waits until they are."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from schemas.model_config import (
    EAGER,
    LAZY,
    LOADING,
    LOADING_MODES,
    WARMUP_MODES,
    BatchingOptions,
    ModelConfig,
)
from schemas.version_selection import VersionSelection
from worker.commands.model_changing import (
    freeze,
    history,
    label,
    promote,
    retry,
    rollback,
    shadow,
    split,
    unfreeze,
)
from worker.commands.model_options import (
    TIMEOUT_SECONDS,
    LabelParam,
    SplitParam,
    VersionsParam,
    absolute,
    batching_options,
    golden_parameter,
    loader_name,
    policy_name,
    split_parameter,
    wait_options,
    warn_of_loader,
    warn_of_policy,
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


for command in (label, split, shadow, promote, rollback, history, freeze, unfreeze, retry):
    models.add_command(command)


@models.command("set")
@click.argument("name")
@click.option(
    "--base-path",
    required=True,
    type=click.Path(),
    metavar="DIR",
    help="Directory with one numbered directory per version, as workers see it, or such a place: s3://bucket/models/NAME.",
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
    metavar="saved_model|lookup_table|vocabulary|numpy|…",
    help="What understands the files: one of headrace's, or one that is installed on the workers.",
)
@click.option(
    "--policy",
    callback=policy_name,
    metavar="availability_preserving|resource_preserving|…",
    help="How versions replace each other: loading the new one first, or unloading the old one first. Default: "
    "what lifecycle.policy says on the workers.",
)
@click.option(
    "--split",
    "parts",
    type=SplitParam(),
    multiple=True,
    metavar="TARGET=WEIGHT",
    help="A version or label that answers that share of the requests which name neither. May be repeated.",
)
@click.option(
    "--warmup",
    type=click.Choice(WARMUP_MODES),
    help="Versions whose warm-up fails are not available, available with a warning in the log, or not warmed up at "
    "all. Default: what lifecycle.warmup says on the workers.",
)
@click.option(
    "--golden",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Golden requests, a line of JSON each, kept in the record; a version that answers one wrongly is not "
    "available.",
)
@click.option(
    "--loading",
    type=click.Choice(LOADING_MODES),
    default=EAGER,
    show_default=True,
    help="When versions are loaded: at once, or when the model is first asked for, until others need the room.",
)
@click.option("--comment", default="", help="Why; kept with the record and in its history.")
@batching_options
@wait_options
@settings_options
@output_option
def set_model(
    loaded: "Loaded",
    /,
    name: str,
    base_path: str,
    versions: VersionSelection,
    labels: tuple[tuple[str, int], ...],
    loader: str,
    parts: tuple[tuple[str, float], ...],
    golden: Path | None,
    loading: str,
    comment: str,
    max_batch_rows: int | None,
    batch_timeout_seconds: float | None,
    allowed_batch_rows: tuple[int, ...] | None,
    wait: bool,
    timeout: float,
    output: Output,
    **chosen: str | int | None,
) -> None:
    """Serve versions of a model, or change what is served of it.

    The record is complete. What is not said here has its default, whatever was set before; the last ten
    configs are kept with it. Which versions `latest` and `all` mean each worker sees by itself, now and later.
    """
    from worker.commands.control_access import access_of  # noqa: PLC0415 - --help needs no Kafka
    from worker.commands.model_actions import set_model  # noqa: PLC0415 - likewise

    options = (max_batch_rows, batch_timeout_seconds, allowed_batch_rows)
    chosen[LOADING] = LAZY if loading == LAZY else None
    # All others of these options are called as the record's parameters are.
    named = {name: str(value).encode() for name, value in chosen.items() if value is not None}
    config = ModelConfig(
        absolute(base_path),
        loader,
        versions,
        dict(labels),
        None if options == (None, None, None) else BatchingOptions(*options),
        comment=comment,
        parameters=split_parameter(parts) | golden_parameter(golden) | named,
    )
    set_model(access_of(loaded.settings), name, config, output, timeout if wait else None)


@models.command("apply")
@click.argument("file", metavar="FILE")
@click.option("--prune", is_flag=True, help="Remove the models that are not in the file.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and write nothing.")
@click.option("--comment", default="", help="Why; for the models whose table has no comment of its own.")
@wait_options
@settings_options
@output_option
def apply_file(
    loaded: "Loaded",
    file: str,
    prune: bool,
    dry_run: bool,
    comment: str,
    wait: bool,
    timeout: float,
    output: Output,
) -> None:
    """Make the control topic say what FILE says: TOML or JSON, a table [models.NAME] for each model.

    Only what differs is written, so it can be repeated; nothing is, when anything in the file is wrong. FILE is -
    for standard input, or what `headrace models list --output json` has printed. With --wait every model is waited
    for, also when others have failed.
    """
    from worker.commands.control_access import access_of  # noqa: PLC0415 - --help needs no Kafka
    from worker.commands.model_applying import ApplyOptions, apply_models, warn_of_paths  # noqa: PLC0415 - likewise
    from worker.commands.model_file import read_models  # noqa: PLC0415 - likewise

    wanted = read_models(file, comment)
    warn_of_paths(wanted)
    for name in sorted({config.loader for config in wanted.values()}):
        warn_of_loader(name)
    for policy in sorted({config.policy for config in wanted.values() if config.policy is not None}):
        warn_of_policy(policy)
    options = ApplyOptions(prune, dry_run, timeout if wait else None)
    apply_models(access_of(loaded.settings), wanted, output, options)


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
@settings_options
@output_option
def describe(loaded: "Loaded", name: str, output: Output) -> None:
    """Show one model: what is desired, where each version is loaded, and its signatures with dtypes and shapes.

    Signatures are those that live workers report of versions that are available.
    """
    from worker.commands.control_access import access_of  # noqa: PLC0415 - --help needs no Kafka
    from worker.commands.model_description import describe_model  # noqa: PLC0415 - likewise

    describe_model(access_of(loaded.settings), name, output)


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
