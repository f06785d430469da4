"""How the demo looks: steps, a line of what flows, and the tables of its report. On a terminal and in a file."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.demo.batch_rows import Bar
from worker.demo.report import PERCENTILES, Report

_BAR_COLUMNS = 32
_FILE_COLUMNS = 100
_LINE_SECONDS = 2.0


class Screen:
    """Prints to a terminal with a spinner and a line that changes, or to a file with plain lines.

    Args:
        console: where to; made for the standard output where none is given.
        clock: seconds, monotonic.
    """

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console or _console()
        self._clock = clock
        self._update: Callable[[str], None] | None = None
        self._last_line_at = float("-inf")
        unicode = self._console.encoding.lower().startswith("utf")
        self._tick, self._block = ("\u2713", "\u2588") if unicode else ("ok", "#")

    def say(self, text: str = "", style: str = "") -> None:
        """A line of its own."""
        self._console.print(Text(text, style=style))

    @contextlib.contextmanager
    def step(self, doing: str) -> Iterator[list[str]]:
        """A step of the demo, with the time it took; what is put into the list is told beside it."""
        began = self._clock()
        facts: list[str] = []
        if self._console.is_terminal:
            with self._console.status(doing) as status:
                self._update = status.update
                try:
                    yield facts
                finally:
                    self._update = None
        else:
            self.say(f"   {doing} ...")
            yield facts
        told = f" ({'; '.join(facts)})" if facts else ""
        self._console.print(
            Text.assemble(
                (f" {self._tick} ", "bold green"),
                f"{doing}{told}",
                (f"  {self._clock() - began:.1f} s", "dim"),
            )
        )

    def now(self, text: str) -> None:
        """What is going on at this moment: the changing line of a terminal, a line every two seconds elsewhere."""
        if self._update is not None:
            self._update(text)
        elif self._clock() - self._last_line_at >= _LINE_SECONDS:
            self._last_line_at = self._clock()
            self.say(f"     {text}")

    def report(self, report: Report, bars: Sequence[Bar]) -> None:
        """The tables of a run."""
        self.say()
        self._console.print(_versions(report))
        self._console.print(_figures(report))
        if bars:
            self._console.print(_histogram(bars, self._block))

    def commands(self, title: str, commands: Sequence[tuple[str, str]]) -> None:
        """Commands to go on with, and what each is for."""
        self.say(title, "bold")
        width = max(len(command) for command, _ in commands)
        for command, purpose in commands:
            self._console.print(Text.assemble("  ", (command.ljust(width), "cyan"), "  ", (purpose, "dim")))

    def failure(self, problems: Sequence[str], log_tail: str) -> None:
        """What went wrong, and the end of the log that may say why."""
        for problem in problems:
            self.say(f" failed: {problem}", "bold red")
        if log_tail:
            self.say("the last lines of the log:", "bold")
            self.say(log_tail)


def _console() -> Console:
    console = Console(highlight=False, soft_wrap=True)
    return console if console.is_terminal else Console(highlight=False, soft_wrap=True, width=_FILE_COLUMNS)


def _versions(report: Report) -> Table:
    """Accuracy and share of each version that answered."""
    table = _table("version", "requests", "rows", "accuracy", "answered from", "to")
    for result in report.versions:
        table.add_row(
            str(result.version),
            f"{result.requests:,}",
            f"{result.rows:,}",
            f"{result.accuracy:.1%}",
            f"{result.first_at:.1f} s",
            f"{result.last_at:.1f} s",
        )
    return table


def _figures(report: Report) -> Table:
    """The run in figures."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 1))
    table.add_column(style="dim")
    table.add_column()
    millis = [f"p{percent} {report.latency_ms[percent]:.1f} ms" for percent in PERCENTILES]
    table.add_row(
        "throughput", f"{report.requests_per_second:,.0f} requests/s, {report.rows_per_second:,.0f} rows/s"
    )
    table.add_row("latency", ", ".join([*millis, f"max {report.latency_ms[100]:.1f} ms"]))
    if report.switch_seconds is not None:
        pushed = f"version {report.versions[-1].version} pushed after {report.pushed_at:.1f} s"
        table.add_row("switch", f"{pushed}, its first answer {report.switch_seconds:.1f} s later")
    style = "bold green" if not report.failed else "bold red"
    failed = f"{report.failed} of {report.requests:,} requests, {report.failed_after_push} since the push"
    table.add_row("failed", Text(failed, style=style))
    return table


def _histogram(bars: Sequence[Bar], block: str) -> Table:
    """How many rows the worker ran at once."""
    table = _table("rows a batch", "batches")
    table.add_column("", justify="left")
    most = max(bar.batches for bar in bars)
    for bar in bars:
        length = max(1, round(_BAR_COLUMNS * bar.batches / most)) if bar.batches else 0
        table.add_row(bar.label, f"{bar.batches:,}", Text(block * length, style="cyan"))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right")
    return table
