"""What a wait looks like: a live table or a bar on a terminal, lines of text elsewhere.

It stands beside the result, on standard error, never in it.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Progressing
from rich.text import Text

from worker.commands.output import styled, table
from worker.convergence import Converged, Failed, Outcome, Waiting

Tell = Callable[[str], None]
"""Shows one line beside the result."""

_ROWS = 20
_NAMED = 3
_LINE_SECONDS = 2.0
"""Between two lines about many models: where nobody looks, a line for each change would fill a log."""


class Progress(Protocol):
    """Shows how far several models have come."""

    def show(self, outcomes: Mapping[str, Outcome]) -> None:
        """They have come so far."""
        ...

    def tell(self, line: str) -> None:
        """Say something that has to stay."""
        ...


@contextmanager
def new_progress(tell: Tell) -> Iterator[Progress]:
    """A live table while the block runs, where standard error is a terminal; otherwise lines by *tell*."""
    if not sys.stderr.isatty():
        yield Lines(tell)
        return
    console = Console(stderr=True, highlight=False)
    with Live(console=console, transient=True, auto_refresh=False) as live:
        yield LiveTable(live)


@contextmanager
def new_bar(what: str, steps: int, tell: Tell) -> Iterator[Tell]:
    """A bar that goes on by a step with each line it is given; lines by *tell* where standard error is no terminal.

    It shows the last line beside *what*, and goes with the end of the block.
    """
    if not sys.stderr.isatty():
        yield tell
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True, highlight=False)
    with Progressing(*columns, console=console, transient=True, auto_refresh=False) as bar:
        task = bar.add_task(what, total=steps)
        bar.refresh()
        yield lambda line: bar.update(task, advance=1, description=f"{what}: {line}", refresh=True)


class Lines:
    """A line whenever something has changed; of many models not at each change."""

    def __init__(self, tell: Tell, clock: Callable[[], float] = time.monotonic) -> None:
        self.tell = tell
        self._clock = clock
        self._told = ""
        self._told_at = -_LINE_SECONDS

    def show(self, outcomes: Mapping[str, Outcome]) -> None:
        """Tell what is waited for."""
        line = _line(outcomes)
        now = self._clock()
        if line == self._told or (len(outcomes) > 1 and now - self._told_at < _LINE_SECONDS):
            return
        self._told, self._told_at = line, now
        if line:
            self.tell(line)


class LiveTable:
    """A table of what has failed and what is waited for, and a count of the rest."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def show(self, outcomes: Mapping[str, Outcome]) -> None:
        """Draw it anew."""
        rows = list(_rows(outcomes))
        more = len(rows) - _ROWS
        drawn: list[RenderableType] = [
            table(("model", "", "what"), rows[:_ROWS]),
            *([Text(f"and {more:,} more")] if more > 0 else []),
        ]
        self._live.update(Group(*drawn, Text(summary(outcomes))), refresh=True)

    def tell(self, line: str) -> None:
        """Print it above the table, where it stays."""
        self._live.console.print(styled(line, "yellow"))


def summary(outcomes: Mapping[str, Outcome]) -> str:
    """How many models have come how far."""
    kinds = {Converged: "done", Failed: "failed", Waiting: "waited for"}
    counts = {kind: sum(isinstance(each, kind) for each in outcomes.values()) for kind in kinds}
    return ", ".join(
        f"{counts[kind]:,} {word}" for kind, word in kinds.items() if counts[kind] or kind is Converged
    )


def _line(outcomes: Mapping[str, Outcome]) -> str:
    waiting = {model: each.reasons for model, each in outcomes.items() if isinstance(each, Waiting)}
    if not waiting:
        return ""
    if len(outcomes) == 1:
        return "waiting: " + "; ".join(*waiting.values())
    first = [f"{model}: {'; '.join(reasons)}" for model, reasons in list(waiting.items())[:_NAMED]]
    more = [f"{len(waiting) - _NAMED:,} more"] if len(waiting) > _NAMED else []
    return f"{summary(outcomes)}: " + " | ".join([*first, *more])


def _rows(outcomes: Mapping[str, Outcome]) -> Iterator[Sequence[object]]:
    """Failures first: what a person has to do something about."""
    for model, outcome in outcomes.items():
        if isinstance(outcome, Failed):
            yield model, styled("failed", "bold red"), f"{outcome.worker}: {outcome.reason}"
    for model, outcome in outcomes.items():
        if isinstance(outcome, Waiting):
            for reason in outcome.reasons:
                yield model, styled("waiting", "yellow"), reason
