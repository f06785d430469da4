"""What `headrace models` does to one model: `label`, `split`, `shadow`, `promote`, `rollback`, `freeze` and so on."""

from typing import TYPE_CHECKING

import click

from worker.commands.model_options import (
    LabelParam,
    ShareParam,
    SplitParam,
    change_options,
    shadow_parameter,
    split_parameter,
    wait_options,
)
from worker.commands.options import output_option, settings_options
from worker.commands.output import Output

if TYPE_CHECKING:
    from worker.commands.model_changes import Change
    from worker.settings_loading import Loaded


@click.command()
@click.argument("name")
@click.argument("labels", type=LabelParam(), nargs=-1, metavar="[LABEL=VERSION]...")
@click.option(
    "--remove", "without", multiple=True, metavar="LABEL", help="A label to take away. May be repeated."
)
@change_options
def label(
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
    from worker.commands.model_changes import with_labels  # noqa: PLC0415 - --help needs no NumPy

    change = with_labels(name, dict(labels), without, comment)
    _change(loaded, name, change, output, timeout if wait else None)


@click.command()
@click.argument("name")
@click.argument("parts", type=SplitParam(), nargs=-1, metavar="[TARGET=WEIGHT]...")
@click.option("--off", is_flag=True, help="Divide no more: such requests go to the latest available version.")
@change_options
def split(
    loaded: "Loaded",
    name: str,
    parts: tuple[tuple[str, float], ...],
    off: bool,
    comment: str,
    wait: bool,
    timeout: float,
    output: Output,
) -> None:
    """Divide the requests that name neither version nor label among versions or labels, as in stable=95 canary=5.

    Requests of one record key (of one id, where records have no key) go to the same version for as long as the
    weights are the same. Keep the order when you change them: a target that stands last and grows keeps the keys
    that it has. A target that is not available leaves its requests to the others.
    """
    if bool(parts) == off:
        raise click.UsageError("expected TARGET=WEIGHT, as in stable=95 canary=5, or --off")
    from worker.commands.model_changes import with_split  # noqa: PLC0415 - --help needs no NumPy

    change = with_split(name, split_parameter(parts), comment)
    _change(loaded, name, change, output, timeout if wait else None)


@click.command()
@click.argument("name")
@click.option("--to", "target", metavar="VERSION|LABEL", help="The version that is tried.")
@click.option(
    "--share",
    type=ShareParam(),
    metavar="PERCENT",
    help="Its part of the requests that name neither version nor label, as in 10%.",
)
@click.option("--topic", help="Where its replies go. Default: nowhere, they are only counted.")
@click.option("--off", is_flag=True, help="Try no version any more.")
@change_options
def shadow(
    loaded: "Loaded",
    name: str,
    target: str | None,
    share: float | None,
    topic: str | None,
    off: bool,
    comment: str,
    wait: bool,
    timeout: float,
    output: Output,
) -> None:
    """Try a version on a share of the requests that another version answers, without anybody noticing.

    It is given the requests of the same keys (ids, where records have no key) for as long as the share is the same,
    and its replies never go where requesters read. Where it is missing or too slow, requests are dropped and counted.
    """
    if off == (target is not None) or (target is None) != (share is None) or (off and topic is not None):
        raise click.UsageError("expected --to VERSION|LABEL --share PERCENT, perhaps with --topic, or --off")
    from worker.commands.model_changes import with_shadow  # noqa: PLC0415 - --help needs no NumPy

    change = with_shadow(name, shadow_parameter(target, share, topic), comment)
    _change(loaded, name, change, output, timeout if wait else None)


@click.command()
@click.argument("name")
@click.argument("target", metavar="VERSION|LABEL")
@change_options
def promote(
    loaded: "Loaded", name: str, target: str, comment: str, wait: bool, timeout: float, output: Output
) -> None:
    """Give all requests that name neither version nor label to one version, as after a canary that went well.

    Where a split divides them among labels, the label that has most beside VERSION|LABEL moves to that version and
    gets all: after stable=95 canary=5, promoting canary makes stable what canary is. No version is unloaded.
    """
    from worker.commands.model_changes import promoted  # noqa: PLC0415 - --help needs no NumPy

    change = promoted(name, target, comment)
    _change(loaded, name, change, output, timeout if wait else None)


@click.command()
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
    from worker.commands.model_changes import as_before  # noqa: PLC0415 - --help needs no NumPy

    change = as_before(name, revision, comment)
    _change(loaded, name, change, output, timeout if wait else None)


@click.command()
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


@click.command()
@click.argument("name")
@wait_options
@settings_options
@output_option
def retry(loaded: "Loaded", name: str, wait: bool, timeout: float, output: Output) -> None:
    """Have every worker try again at once what has failed to load; nothing of the model changes.

    Workers try by themselves too, after lifecycle.retry_failed_seconds. What serves is left alone.
    """
    from worker.commands.control_access import access_of  # noqa: PLC0415 - --help needs no Kafka
    from worker.commands.model_actions import retry_model  # noqa: PLC0415 - likewise

    retry_model(access_of(loaded.settings), name, output, timeout if wait else None)


@click.command()
@click.argument("name")
@change_options
def freeze(loaded: "Loaded", name: str, comment: str, wait: bool, timeout: float, output: Output) -> None:
    """Keep a model as it is: the versions that are served are pinned, and other commands refuse to change it.

    A config that says latest or all then names the versions that every live worker has now, so a worker that is
    started later serves the same. Programs that write the control topic themselves are not kept from it.
    """
    from worker.commands.control_access import access_of  # noqa: PLC0415 - --help needs no Kafka
    from worker.commands.model_actions import freeze_model  # noqa: PLC0415 - likewise

    freeze_model(access_of(loaded.settings), name, comment, output, timeout if wait else None)


@click.command()
@click.argument("name")
@change_options
def unfreeze(loaded: "Loaded", name: str, comment: str, wait: bool, timeout: float, output: Output) -> None:
    """Let a frozen model be changed again; it serves the versions that were asked for before.

    That is, latest and all mean again what lies in the base path.
    """
    from worker.commands.model_changes import unfrozen  # noqa: PLC0415 - --help needs no NumPy

    change = unfrozen(name, comment)
    _change(loaded, name, change, output, timeout if wait else None)


def _change(
    loaded: "Loaded", name: str, change: "Change", output: Output, wait_seconds: float | None
) -> None:
    from worker.commands.control_access import access_of  # noqa: PLC0415 - --help needs no Kafka
    from worker.commands.model_actions import change_model  # noqa: PLC0415 - likewise

    change_model(access_of(loaded.settings), name, change, output, wait_seconds)
