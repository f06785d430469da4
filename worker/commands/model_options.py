"""What `headrace models` takes, beyond what many commands take."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from batching.options import HIGHEST_PRIORITY, LOWEST_PRIORITY
from schemas.model_config import GOLDEN, PADDING_POLICIES, SHADOW, SPLIT
from schemas.traffic_shadow import TrafficShadow
from schemas.traffic_split import TrafficSplit, part_of, target_of
from schemas.version_selection import AllVersions, LatestVersions, SpecificVersions, VersionSelection
from worker import ragged_options
from worker.commands.options import output_option, settings_options
from worker.commands.version_texts import p99_ms_text, versions_of
from worker.store_uris import is_uri

TIMEOUT_SECONDS = 300.0
"""How long to wait for a model by default: the largest ones from slow storage take some minutes."""


class VersionsParam(click.ParamType[Any]):
    """`3,4`, `latest:2` or `all`."""

    name = "versions"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> VersionSelection:
        """The selection that the text means."""
        if isinstance(value, SpecificVersions | LatestVersions | AllVersions):
            return value
        try:
            return versions_of(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class LabelParam(click.ParamType[Any]):
    """`stable=3`."""

    name = "label"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """Label and version."""
        label, equals, version = str(value).partition("=")
        if not equals or not version.strip().isdecimal():
            self.fail(f"{value!r} is not understood; expected LABEL=VERSION, as in stable=3", param, ctx)
        return label.strip(), int(version)


class SplitParam(click.ParamType[Any]):
    """`stable=95` or `3=5`."""

    name = "split"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float]:
        """Target and weight."""
        try:
            return part_of(str(value).strip())
        except ValueError as error:
            self.fail(str(error), param, ctx)


class ShareParam(click.ParamType[Any]):
    """`10%` or `0.1`."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The part of one."""
        number = str(value).strip()
        try:
            return float(number[:-1]) / 100 if number.endswith("%") else float(number)
        except ValueError:
            self.fail(f"{value!r} is not understood; expected a percentage, as in 10%", param, ctx)


def shadow_parameter(target: str | None, share: float | None, topic: str | None) -> dict[str, bytes]:
    """The parameter of a config that tries a version so; empty for none. What cannot be used ends the command."""
    if target is None or share is None:
        return {}
    try:
        return {SHADOW: str(TrafficShadow(target_of(target.strip()), share, topic)).encode()}
    except ValueError as error:
        raise click.UsageError(f"the shadow cannot be used: {error}") from None


def split_parameter(parts: Sequence[tuple[str, float]]) -> dict[str, bytes]:
    """The parameter of a config that divides requests so; empty for none. Wrong parts end the command."""
    try:
        return {SPLIT: str(TrafficSplit.of(parts)).encode()} if parts else {}
    except ValueError as error:
        raise click.UsageError(f"the split cannot be used: {error}") from None


def golden_parameter(path: Path | None) -> dict[str, bytes]:
    """The parameter of a config with the golden requests of a file; empty for none. Wrong lines end the command."""
    from worker import request_lines  # noqa: PLC0415 - --help needs no NumPy

    if path is None:
        return {}
    try:
        text = request_lines.canonical(path.read_text(encoding="utf-8").split("\n"), str(path))
    except ValueError as error:
        raise click.UsageError(f"the golden requests cannot be used: {error}") from None
    if not text:
        raise click.UsageError(f"{path} has no golden request: it is empty")
    return {GOLDEN: text.encode()}


def row_sizes(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """`8,32,128`, or `none`: any size."""
    if value is None or value == "none":
        return None if value is None else ()
    try:
        return tuple(int(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is not understood; expected numbers, as in 8,32,128, or none"
        ) from None


def ragged_text(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """Off, on, or sizes."""
    for problem in ragged_options.problems(value, None):
        raise click.BadParameter(problem)
    return value


def pad_values_text(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> str | None:
    """Each on a line; None without any."""
    for problem in ragged_options.problems(None, value):
        raise click.BadParameter(problem)
    if any(len(text.splitlines()) > 1 for text in value):
        raise click.BadParameter("a pad value is one line")
    return "\n".join(value) or None


def loader_name(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    """The name of a loader; says so when there is none of that name here."""
    from worker.control_record import check_loader_name  # noqa: PLC0415 - --help needs no NumPy

    _check(check_loader_name, value)
    warn_of_loader(value)
    return value


def policy_name(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """The name of a policy; says so when there is none of that name here."""
    from worker.control_record import check_policy_name  # noqa: PLC0415 - --help needs no NumPy

    if value is not None:
        _check(check_policy_name, value)
        warn_of_policy(value)
    return value


def _check(check: Callable[[str], None], value: str) -> None:
    from worker.control_record import InvalidControlRecord  # noqa: PLC0415 - --help needs no NumPy

    try:
        check(value)
    except InvalidControlRecord as error:
        raise click.BadParameter(str(error)) from None


def warn_of_loader(name: str) -> None:
    """Say so when there is no such loader here, for then it may be misspelt."""
    from worker import custom_loaders  # noqa: PLC0415 - --help needs no NumPy
    from worker.loaders import SHIPPED  # noqa: PLC0415 - likewise

    if name not in SHIPPED:
        found = custom_loaders.find(SHIPPED)
        _warn("loader", name, [*SHIPPED, *found.factories], found.problems)


def warn_of_policy(name: str) -> None:
    """Say so when there is no such policy here, for then it may be misspelt."""
    from worker import policies  # noqa: PLC0415 - --help needs no NumPy

    if name not in policies.SHIPPED:
        found = policies.find()
        _warn("policy", name, [*policies.SHIPPED, *found.usable], found.problems)


def _warn(what: str, name: str, names: Sequence[str], problems: Sequence[str]) -> None:
    for problem in problems:
        click.echo(f"warning: {problem}", err=True)
    if name not in names:
        click.echo(
            f"warning: this machine has no {what} {name!r} (it has {', '.join(sorted(names))}); workers without it "
            "refuse the record",
            err=True,
        )


def batching_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """How a model's requests become batches."""
    options = (
        click.option("--max-batch-rows", type=click.IntRange(min=1), help="Rows at which a batch closes."),
        click.option(
            "--batch-timeout-seconds",
            type=click.FloatRange(min=0),
            help="How long a batch waits for more rows.",
        ),
        click.option(
            "--allowed-batch-rows",
            callback=row_sizes,
            metavar="8,32,…|none",
            help="Batch sizes that the model is run at; smaller batches are padded. none: any size, also where "
            "batching.allowed_batch_rows has some on the workers.",
        ),
        click.option(
            "--padding-policy",
            type=click.Choice(PADDING_POLICIES),
            help="Batches between two of these sizes are padded up, cut down to the smaller one (the rest waits on), "
            "or whichever costs less a row. Default: what batching.padding_policy says on the workers.",
        ),
        click.option(
            "--ragged",
            metavar="off|on|32,64,…",
            callback=ragged_text,
            help="Whether inputs of unlike lengths share batches, padded where the signature leaves a dimension open: "
            "to the largest of the batch, or to the next of these sizes. Replies are not cut. Default: what "
            "batching.ragged says on the workers.",
        ),
        click.option(
            "--pad-value",
            "ragged_pad_values",
            multiple=True,
            metavar="INPUT=VALUE",
            callback=pad_values_text,
            help="What an input is padded with. May be repeated. Default: what batching.ragged_pad_values says on the "
            "workers; zero, false, or an empty string.",
        ),
        click.option(
            "--priority",
            type=click.IntRange(LOWEST_PRIORITY, HIGHEST_PRIORITY),
            help="Of requests that do not say it themselves, 0 to 9: those of a higher one are run first. Default: "
            "what batching.priority says on the workers.",
        ),
        click.option(
            "--p99-ms",
            type=click.FloatRange(0, 3_600_000),
            callback=lambda _ctx, _param, value: None if value is None else p99_ms_text(value),
            help="Milliseconds that 99 of 100 rows may take in the worker: it moves time-out and size of batches, "
            "within --max-batch-rows, to keep that. 0: none. Default: what batching.p99_seconds says on the workers.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def wait_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--wait` and `--timeout`."""
    command = click.option(
        "--timeout",
        type=click.FloatRange(min=0),
        default=TIMEOUT_SECONDS,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait at most.",
    )(command)
    return click.option("--wait", is_flag=True, help="Wait until every live worker has done it.")(command)


def change_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What a change of one model takes beside the change: `--comment`, `--wait`, the settings and `--output`."""
    comment = click.option("--comment", default="", help="Why; kept with the record and in its history.")
    return comment(wait_options(settings_options(output_option(command))))


def absolute(path: str) -> str:
    """The path from the root; says so when that changes it, and when there is no such directory here.

    A URI is left as it is: what lies in a store is the workers' to see.
    """
    if is_uri(path):
        return path
    full = os.path.abspath(path)  # noqa: PTH100 - links stay: they may lead elsewhere on the workers
    if path != full:
        click.echo(f"base path {path} is taken as {full}", err=True)
    if not os.path.isdir(full):  # noqa: PTH112 - likewise
        click.echo(
            f"warning: there is no directory {full} on this machine; the workers must see it", err=True
        )
    return full
