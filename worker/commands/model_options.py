"""What `headrace models` takes, beyond what many commands take."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from schemas.model_config import GOLDEN, SHADOW, SPLIT
from schemas.traffic_shadow import TrafficShadow
from schemas.traffic_split import TrafficSplit, part_of, target_of
from schemas.version_selection import AllVersions, LatestVersions, SpecificVersions, VersionSelection
from worker.commands.options import output_option, settings_options
from worker.commands.version_texts import versions_of
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
