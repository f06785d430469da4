"""Files that lookup tables and vocabularies are made of: CSV, NumPy's .npz, and lists of strings line by line.

A CSV file has a line of names first. A column `price` gives the output `price` one number a key; columns `vector[0]`,
`vector[1]` … give the output `vector` a row of as many. Text is UTF-8; other bytes are taken as they are. What is wrong
is told with its line. A CSV file or a list is read some thousand lines at a time, an .npz file whole.
"""

import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lifecycle import dtype_names
from worker.csv_lines import CsvLines, TableFileError, listed

Array = npt.NDArray[Any]
Block = tuple[Any, Mapping[str, Array]]
"""Keys, and by the output's name their rows."""

DEFAULT_DTYPE = "DT_FLOAT"
_INDEXED = re.compile(r"(?P<name>.+)\[(?P<index>0|[1-9]\d*)\]")


@dataclass(frozen=True, slots=True)
class CsvTable:
    """What a CSV file does not say by itself.

    Attributes:
        key: the column of the keys.
        key_dtype: DT_INT64 or DT_STRING.
        dtypes: TensorFlow's names of the outputs' dtypes, by output; the others are DT_FLOAT.
    """

    key: str
    key_dtype: str
    dtypes: Mapping[str, str] = field(default_factory=dict)


def is_npz(path: Path) -> bool:
    """Whether a file is taken for NumPy's, by its name."""
    return path.suffix.lower() == ".npz"


def is_csv(path: Path) -> bool:
    """Whether a file is taken for CSV, by its name."""
    return path.suffix.lower() == ".csv"


def npz_table(path: Path, key: str) -> Block:
    """The keys of an .npz file, its array *key*, and all its other arrays as the outputs.

    Raises:
        TableFileError: the file is no such file, or has no such array.
    """
    arrays = _read_npz(path)
    if key not in arrays:
        raise TableFileError(f"{path} has no array {key!r} for the keys; it has {listed(arrays)}")
    return arrays.pop(key), arrays


def csv_table(path: Path, table: CsvTable) -> Iterator[Block]:
    """The keys and rows of a CSV file, block by block.

    Raises:
        TableFileError: the names or a line cannot be used.
    """
    lines = CsvLines(path)
    outputs = _columns_of_outputs(lines, table)
    read_keys = _integers if table.key_dtype == "DT_INT64" else _strings
    place = lines.place(table.key)
    for block in lines.blocks():
        columns = block.columns()
        rows = {
            name: _rows([block.parsed(columns, at, _numbers(dtype)) for at in places], many=many)
            for name, (places, many, dtype) in outputs.items()
        }
        yield block.parsed(columns, place, read_keys), rows


def strings(path: Path, name: str) -> Iterator[Any]:
    """The strings of a vocabulary, block by block: a column, an array of an .npz file, or the lines of another file.

    A line ends with a line feed, with or without a carriage return before it, and is otherwise taken as it is, an empty
    one too.

    Raises:
        TableFileError: the file cannot be used, or has no such column or array.
    """
    if path.suffix.lower() == ".npy":
        raise TableFileError(f"{path} holds an array without a name; write it by numpy.savez, as {name!r}")
    if is_npz(path):
        arrays = _read_npz(path)
        if name not in arrays:
            raise TableFileError(f"{path} has no array {name!r} for the strings; it has {listed(arrays)}")
        yield arrays[name]
    elif is_csv(path):
        lines = CsvLines(path)
        place = lines.place(name)
        for block in lines.blocks():
            yield block.parsed(block.columns(), place, _strings)
    else:
        yield from _text_lines(path)


def row_place(path: Path, row: int) -> str:
    """Where a row, counted from 0, is in its file, for messages."""
    if is_npz(path):
        return f"element {row:,}"
    if not is_csv(path):
        return f"line {row + 1:,}"
    for block in CsvLines(path).blocks():
        if row < len(block.lines):
            return f"line {block.lines[row]:,}"
        row -= len(block.lines)
    raise AssertionError("a row that was read is in the file")


def _columns_of_outputs(
    lines: CsvLines, table: CsvTable
) -> Mapping[str, tuple[list[int], bool, np.dtype[Any]]]:
    """By the output's name: its columns in order, whether they make a row, and its dtype."""
    found: dict[str, dict[int | None, int]] = {}
    for at, column in enumerate(lines.names):
        if column != table.key:
            indexed = _INDEXED.fullmatch(column)
            name, index = (indexed["name"], int(indexed["index"])) if indexed else (column, None)
            found.setdefault(name, {})[index] = at
    unknown = sorted(table.dtypes.keys() - found.keys())
    if unknown:
        raise TableFileError(f"a dtype is given for {listed(unknown)}; the columns are {listed(lines.names)}")
    outputs = {}
    for name, places in found.items():
        many = None not in places
        expected: set[int | None] = set(range(len(places))) if many else {None}
        if places.keys() != expected:
            raise TableFileError(
                f"the columns of output {name!r} are {listed(lines.names[at] for at in places.values())}; expected "
                f"{name!r} alone, or {name}[0], {name}[1] … without a gap"
            )
        dtype = dtype_names.numpy_dtype(table.dtypes.get(name, DEFAULT_DTYPE))
        assert dtype is not None
        ordered = [places[index] for index in range(len(places))] if many else list(places.values())
        outputs[name] = (ordered, many, dtype)
    return outputs


def _rows(columns: Sequence[Array], *, many: bool) -> Array:
    return np.stack(columns, axis=1) if many else columns[0]


def _numbers(dtype: np.dtype[Any]) -> Callable[[Sequence[str]], Array]:
    def parse(cells: Sequence[str]) -> Array:
        if dtype.kind != "f":
            return _whole(cells, dtype)
        try:
            exact = np.fromiter(map(float, cells), np.float64, len(cells))
        except ValueError:
            raise ValueError("is no number") from None
        with np.errstate(over="ignore"):
            numbers = exact.astype(dtype)
        if not np.array_equal(np.isinf(numbers), np.isinf(exact)):
            raise ValueError(f"is too large for {dtype}")
        return numbers

    return parse


def _integers(cells: Sequence[str]) -> Array:
    return _whole(cells, np.dtype(np.int64))


def _whole(cells: Sequence[str], dtype: np.dtype[Any]) -> Array:
    try:
        numbers = list(map(int, cells))
    except ValueError:
        raise ValueError("is no whole number") from None
    limits = np.iinfo(dtype)
    if any(not limits.min <= number <= limits.max for number in numbers):
        raise ValueError(f"is out of the range of {dtype}")
    return np.array(numbers, dtype)


def _strings(cells: Sequence[str]) -> list[bytes]:
    return [cell.encode("utf-8", "surrogateescape") for cell in cells]


def _text_lines(path: Path) -> Iterator[list[bytes]]:
    if not path.stat().st_size:
        raise TableFileError(f"{path} is empty; expected a string on each line")
    with path.open("rb") as file:
        while lines := file.readlines(1 << 20):
            yield [line.removesuffix(b"\n").removesuffix(b"\r") for line in lines]


def _read_npz(path: Path) -> dict[str, Array]:
    try:
        with path.open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise TableFileError(
                    f"{path} holds a single array; expected named ones, as numpy.savez writes them"
                )
            return {name: arrays[name] for name in arrays.files}
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise TableFileError(
            f"{path} cannot be read as arrays of numbers and fixed-width strings: {error}"
        ) from error
