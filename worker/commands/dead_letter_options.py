"""What `headrace dead-letters` takes, beyond what many commands take."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from worker.commands.failure import CommandFailedError
from worker.exit_codes import ExitCode

if TYPE_CHECKING:
    from worker.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class MomentParam(click.ParamType[Any]):
    """`10m`, `2h`, `1d` ago, or an instant as ISO 8601; as milliseconds since the epoch."""

    name = "moment"

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The milliseconds."""
        if isinstance(value, float):
            return value
        text = str(value).strip()
        if ago := re.fullmatch(r"(\d+)([smhd])", text):
            return (self._wall() - int(ago[1]) * _UNIT_SECONDS[ago[2]]) * 1000
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self.fail(
                f"{text!r} is not understood; expected 10m, 2h or 1d (ago), or 2026-11-21T03:00:00Z",
                param,
                ctx,
            )
        # As everything that is shown, an instant without a zone is in UTC.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000


class PlaceParam(click.ParamType[Any]):
    """`PARTITION:OFFSET`."""

    name = "place"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Both numbers."""
        found = re.fullmatch(r"(\d+):(\d+)", str(value).strip())
        if found is None:
            self.fail(f"{value!r} is not understood; expected PARTITION:OFFSET, as in 0:1234", param, ctx)
        return int(found[1]), int(found[2])


class StartsParam(click.ParamType[Any]):
    """`0:1234,1:998`, as a command before has printed it."""

    name = "starts"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[int, int]:
        """The offset of each partition."""
        return dict(PlaceParam().convert(part, param, ctx) for part in str(value).split(","))


def topic_options(command: F) -> F:
    """`--topic` and `--binding`: whose dead letters."""
    command = click.option(
        "--binding", metavar="NAME", help="Dead-letter topics of this binding. Default: of all bindings."
    )(command)
    return click.option("--topic", metavar="TOPIC", help="This dead-letter topic.")(command)


def filter_options(command: F) -> F:
    """Which of them."""
    for option in reversed(_FILTERS):
        command = option(command)
    return command


_FILTERS = (
    click.option(
        "--reason",
        metavar="TEXT",
        help="Those whose error's name or message has this in it, in whatever case.",
    ),
    click.option("--model", metavar="NAME", help="Those that name this model, or one of this shell pattern."),
    click.option(
        "--since", type=MomentParam(), metavar="10m|2h|TIME", help="Those written then or later (UTC)."
    ),
    click.option(
        "--until", type=MomentParam(), metavar="10m|2h|TIME", help="Those written before that (UTC)."
    ),
    click.option(
        "--from",
        "starts",
        type=StartsParam(),
        metavar="0:1234,1:998",
        help="Begin at these offsets, which a command before has printed; wants one topic.",
    ),
)


def topics_of(settings: "Settings", topic: str | None, binding: str | None) -> tuple[str, ...]:
    """The dead-letter topics that are meant.

    Raises:
        CommandFailedError: there is no such binding, or both are given.
    """
    if topic is not None and binding is not None:
        raise CommandFailedError("give --topic or --binding, not both", ExitCode.USAGE)
    if topic is not None:
        return (topic,)
    meant = [b for b in settings.bindings if binding in {None, b.name}]
    if not meant:
        known = ", ".join(b.name for b in settings.bindings)
        raise CommandFailedError(
            f"there is no binding {binding!r}; the settings have {known} (--config names their file)",
            ExitCode.USAGE,
        )
    return tuple(dict.fromkeys(t for b in meant for t in sorted(b.dead_letter_topics())))


def the_topic(topics: tuple[str, ...], why: str) -> str:
    """The one topic that is meant, where there must be one.

    Raises:
        CommandFailedError: there are several.
    """
    if len(topics) != 1:
        raise CommandFailedError(
            f"{why} wants one topic, and there are {', '.join(topics)}; say which with --topic",
            ExitCode.USAGE,
        )
    return topics[0]


def sources_of(settings: "Settings") -> dict[str, frozenset[str]]:
    """By dead-letter topic, the request topics whose dead letters go there."""
    sources: dict[str, frozenset[str]] = {}
    for binding in settings.bindings:
        for request_topic in binding.request_topics:
            name = binding.dead_letter_topic_of(request_topic)
            sources[name] = sources.get(name, frozenset()) | {request_topic}
    return sources
