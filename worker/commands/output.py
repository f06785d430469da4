"""How results look: a table for people, one JSON document for programs; the same facts in both."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

_WIDE = 10_000
"""Columns where no terminal says how many there are: lines of a file are not broken."""

Style = str


class Output:
    """Where a command's result goes: standard output, in the form that was asked for."""

    def __init__(self, form: Literal["table", "json"] = "table") -> None:
        self.form = form

    def show(self, document: Any, *renderables: RenderableType) -> None:
        """Show one result: *document* as JSON, or the *renderables* that say the same to people."""
        if self.form == "json":
            json.dump(document, sys.stdout, ensure_ascii=False, indent=2, default=str)
            sys.stdout.write("\n")
            return
        for renderable in renderables:
            self.console.print(renderable)

    @property
    def console(self) -> Console:
        """The terminal, or the file in its place."""
        terminal = sys.stdout.isatty()
        return Console(highlight=False, width=None if terminal else _WIDE, soft_wrap=not terminal)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A plain table. A cell is any value; None is shown as a dash; `styled` gives a cell a colour."""
    result = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        result.add_column(column, overflow="fold")
    for row in rows:
        result.add_row(*map(_cell, row))
    return result


def styled(value: object, style: Style) -> Text:
    """A value in a colour of the terminal, such as `green` or `bold red`."""
    return Text(_printable(str(value)), style=style)


def _cell(value: object) -> Text:
    if isinstance(value, Text):
        return value
    return Text("-" if value is None else _printable(str(value)))


def _printable(text: str) -> str:
    # What others wrote (a comment, a model's message) must not steer the terminal.
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
