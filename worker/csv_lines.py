"""A CSV file, read some thousand lines at a time, with errors that name the line.

Text is UTF-8; other bytes are kept as Python's `surrogateescape` does it.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BLOCK_LINES = 1 << 15


class TableFileError(Exception):
    """A file that a table is to be made of cannot be used; the message names it, the line and what is wrong."""


@dataclass(frozen=True, slots=True)
class CsvBlock:
    """Some lines of a CSV file: their cells, and the number of each line."""

    path: Path
    names: Sequence[str]
    rows: Sequence[Sequence[str]]
    lines: Sequence[int]

    def columns(self) -> list[tuple[str, ...]]:
        """The cells of each column."""
        return list(zip(*self.rows, strict=True))

    def parsed(self, columns: Sequence[Sequence[str]], at: int, parse: Callable[[Sequence[str]], Any]) -> Any:
        """A column's cells as *parse* takes them; it raises ValueError for one that it does not."""
        try:
            return parse(columns[at])
        except (ValueError, OverflowError):
            pass
        for line, cell in zip(self.lines, columns[at], strict=True):
            try:
                parse([cell])
            except (ValueError, OverflowError) as error:
                raise TableFileError(
                    f"{self.path} line {line:,}, column {self.names[at]!r}: {cell[:80]!r} {error}"
                ) from None
        raise AssertionError("a column that cannot be taken has a cell that cannot")


class CsvLines:
    """A CSV file, read line by line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        names = next(self._cells(), (0, []))[1]
        if not names:
            raise TableFileError(f"{path} is empty; expected a line of column names first")
        self.names = [names[0].removeprefix("\ufeff"), *names[1:]]
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise TableFileError(f"{path} line 1: two columns are named {listed(twice)}")

    def place(self, name: str) -> int:
        """Which column has that name."""
        if name not in self.names:
            raise TableFileError(
                f"{self._path} line 1: no column is named {name!r}; there are {listed(self.names)}"
            )
        return self.names.index(name)

    def blocks(self) -> Iterator[CsvBlock]:
        """All lines after the names, blank ones left out; raises where there is none."""
        cells = self._cells()
        next(cells)
        rows: list[list[str]] = []
        lines: list[int] = []
        any_before = False
        for line, row in cells:
            if len(row) != len(self.names):
                raise TableFileError(
                    f"{self._path} line {line:,}: {len(row)} columns; the first line names {len(self.names)}"
                )
            rows.append(row)
            lines.append(line)
            if len(rows) == _BLOCK_LINES:
                yield CsvBlock(self._path, self.names, rows, lines)
                rows, lines, any_before = [], [], True
        if rows:
            yield CsvBlock(self._path, self.names, rows, lines)
        elif not any_before:
            raise TableFileError(f"{self._path} has no line after the names of its columns")

    def _cells(self) -> Iterator[tuple[int, list[str]]]:
        with self._path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            reader = csv.reader(file, strict=True)
            try:
                for row in reader:
                    if row:
                        yield reader.line_num, row
            except csv.Error as error:
                raise TableFileError(f"{self._path} line {reader.line_num:,}: {error}") from error


def listed(names: Iterable[str]) -> str:
    """Names in quotes, for a message."""
    return ", ".join(map(repr, names)) or "none"
