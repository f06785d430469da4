"""What many commands take: where the cluster is, the settings, and the form of the output.

@click.command()
@settings_options
@output_option
def show(loaded: Loaded, output: Output) -> None: ...
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import click

from worker.commands.output import Output

if TYPE_CHECKING:
    from worker.settings_loading import Loaded

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

_FLAGS = "headrace.flags"
_NAMES = "headrace.flag_names"
_BINDING = "headrace.binding"


def setting_option(flag: str, dotted: str, summary: str, **attributes: Any) -> Callable[[F], F]:
    """An option that gives one setting; the command itself does not see it, only the settings do."""

    def keep(ctx: click.Context, _parameter: click.Parameter, value: Any) -> None:
        if value is None or value == ():
            return
        ctx.meta.setdefault(_FLAGS, {})[dotted] = list(value) if isinstance(value, tuple) else value
        ctx.meta.setdefault(_NAMES, {})[dotted] = flag

    return click.option(flag, callback=keep, expose_value=False, help=summary, **attributes)


def binding_options(command: F) -> F:
    """`--request-topic` and `--reply-topic`: one binding with these topics, in place of those of the settings."""

    def keep(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value:
            ctx.meta.setdefault(_BINDING, {})[parameter.name] = value
            ctx.meta.setdefault(_NAMES, {})["bindings"] = parameter.opts[0]

    for flag, name, multiple in (
        ("--reply-topic", "reply_topic", False),
        ("--request-topic", "request_topics", True),
    ):
        several = " May be repeated." if multiple else ""
        command = click.option(
            flag,
            name,
            callback=keep,
            expose_value=False,
            multiple=multiple,
            metavar="TOPIC",
            help=f"{flag[2:].replace('-', ' ').capitalize()} of a single binding that takes the place of all.{several}",
        )(command)
    return command


def settings_options(command: Callable[Concatenate["Loaded", P], R]) -> Callable[P, R]:
    """Options for the cluster and all settings; the command gets the loaded settings as its first argument.

    Raises:
        SettingsInvalidError: when the command is called with settings that cannot be used.
    """

    @functools.wraps(command)
    def with_settings(*args: P.args, **kwargs: P.kwargs) -> R:
        from worker.settings_loading import load_settings  # noqa: PLC0415 - only commands that run pay for it

        context = click.get_current_context()
        config_file, assignments = kwargs.pop("config_file"), kwargs.pop("assignments")
        assert isinstance(config_file, Path | None)
        flags: dict[str, object] = {**_assigned(assignments), **context.meta.get(_FLAGS, {})}
        if (binding := context.meta.get(_BINDING)) is not None:
            flags["bindings"] = [binding]
        loaded = load_settings(flags, None, config_file, flag_names=context.meta.get(_NAMES, {}))
        return command(loaded, *args, **kwargs)

    decorated: Any = with_settings
    for option in reversed(_SETTINGS_OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def output_option(command: F) -> F:
    """`--output table|json`; the command gets an `Output` as `output`."""
    return click.option(
        "--output",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        callback=lambda _ctx, _parameter, value: Output(value),
        help="A table for people, or JSON for programs.",
    )(command)


def _assigned(assignments: Any) -> dict[str, str]:
    flags = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise click.BadParameter(
                "a value of --set has no '='; expected NAME=VALUE, as in --set delivery.budget_rows=10000",
                param_hint="--set",
            )
        flags[name.strip()] = value
    return flags


_SETTINGS_OPTIONS = (
    setting_option(
        "--bootstrap-server",
        "kafka.bootstrap_servers",
        "Kafka brokers to start from, separated by commas (setting kafka.bootstrap_servers).",
        metavar="HOST:PORT",
    ),
    setting_option(
        "--command-config",
        "kafka.command_config",
        "File of client properties (security …), as Kafka's own tools take it.",
        metavar="FILE",
        type=click.Path(path_type=Path),
    ),
    click.option(
        "--config",
        "config_file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="TOML file of settings; also HEADRACE_CONFIG.",
    ),
    click.option(
        "--set",
        "assignments",
        metavar="NAME=VALUE",
        multiple=True,
        help="Any setting, as `headrace config` names it; lists and tables as JSON. May be repeated.",
    ),
)
