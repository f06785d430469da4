"""How results look to people and to programs."""

import io
import json

import pytest
from rich.console import Console
from rich.table import Table

from worker.commands.output import Output, styled, table


def drawn(result: Table) -> str:
    """A table as a wide terminal shows it, without colours."""
    console = Console(file=io.StringIO(), width=200, color_system=None)
    console.print(result)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    """The table is not made then."""
    Output("json").show({"model": "ä", "version": 2}, table(("never",), []))

    assert json.loads(capsys.readouterr().out) == {"model": "ä", "version": 2}


def test_a_table_shows_each_value(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is cut off where there is no terminal."""
    Output("table").show({}, table(("model", "why"), [("digits", "x" * 500), (None, 3)]))
    out = capsys.readouterr().out

    assert "x" * 500 in out
    assert "-" in out.splitlines()[-2]


def test_what_others_wrote_does_not_steer_the_terminal() -> None:
    """Escape sequences and markup are shown as they are."""
    text = drawn(table(("why",), [("\x1b[2J[red]",), (styled("\x07", "red"),)]))

    assert "\x1b" not in text
    assert "\\x1b[2J[red]" in text
    assert "\\x07" in text
