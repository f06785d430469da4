"""The rows of a table that is to be made: with their keys, hashes and outputs as columns, and sorted by hash.

A table may be larger than memory: rows that do not fit wait in files, each with its share of the hashes, which are
sorted one after the other.
"""

import dataclasses
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from lifecycle import errors, string_columns
from lifecycle.string_columns import Integers, StringColumns, Words

Array = npt.NDArray[Any]

_FILE_BITS = 8
"""Of a hash, which say its file: a table that is two hundred times as large as memory is still sorted in it."""
_CHUNK_ROWS, _CHUNK_BYTES = 1 << 16, 1 << 26


class PackedStrings:
    """Strings as their lengths and words, one string after another."""

    def __init__(self, lengths: Integers, words: Words) -> None:
        self.lengths = lengths
        self.words = words
        self._counts = string_columns.word_counts(lengths)
        self._begins = self._counts.cumsum() - self._counts

    @classmethod
    def of(cls, strings: StringColumns) -> "PackedStrings":
        """The same strings."""
        words, _ = strings.words(np.flatnonzero(strings.lengths > 0))
        return cls(strings.lengths, words)

    def take(self, rows: Integers) -> "PackedStrings":
        """Those of some rows."""
        places, _ = string_columns.runs(self._begins.take(rows), self._counts.take(rows))
        return PackedStrings(self.lengths.take(rows), self.words.take(places))

    def tolist(self) -> list[bytes]:
        """In Python."""
        data, starts = self.words.tobytes(), self._begins * string_columns.WORD_BYTES
        ends = starts + self.lengths
        return [data[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


@dataclasses.dataclass(frozen=True, slots=True)
class KeyedRows:
    """Rows of a table.

    Attributes:
        hashes: of the keys.
        sources: which row each was in what the table is made of, counted from 0.
        keys: int64, or strings.
        outputs: one array for each output.
    """

    hashes: Words
    sources: Integers
    keys: Integers | PackedStrings
    outputs: tuple[Array, ...]

    @property
    def arrays(self) -> list[Array]:
        """All of it as arrays, those of the keys first."""
        keys = [self.keys.lengths, self.keys.words] if isinstance(self.keys, PackedStrings) else [self.keys]
        return [*keys, self.hashes, self.sources, *self.outputs]

    @classmethod
    def of_arrays(cls, arrays: Sequence[Array], *, strings: bool) -> "KeyedRows":
        """What `arrays` gave."""
        if strings:
            lengths, words, hashes, sources, *outputs = arrays
            return cls(hashes, sources, PackedStrings(lengths, words), tuple(outputs))
        keys, hashes, sources, *outputs = arrays
        return cls(hashes, sources, keys, tuple(outputs))

    def take(self, rows: Integers) -> "KeyedRows":
        """Some of them."""
        outputs = tuple(each.take(rows, axis=0) for each in self.outputs)
        return KeyedRows(self.hashes.take(rows), self.sources.take(rows), self.keys.take(rows), outputs)


class SortedRows:
    """Takes rows in any order and gives them back by hash.

    Args:
        folder: for what does not fit in memory; made where it is needed, and removed again.
        memory_bytes: of rows that are kept before they are written there. About twice as much memory is taken.
    """

    def __init__(self, folder: Path, memory_bytes: float) -> None:
        self._folder = folder
        self._memory_bytes = memory_bytes
        self._strings = False
        self._waiting: list[KeyedRows] = []
        self._waiting_bytes = 0
        self._arrays = 0

    def add(self, rows: KeyedRows) -> None:
        """Take more rows.

        Raises:
            OSError: they cannot be written to the folder.
        """
        self._strings = isinstance(rows.keys, PackedStrings)
        self._waiting.append(rows)
        self._waiting_bytes += sum(array.nbytes for array in rows.arrays)
        if self._waiting_bytes > self._memory_bytes:
            self._write_down()

    def chunks(self) -> Iterator[KeyedRows]:
        """All rows, sorted by their hashes, some thousands at a time; called once.

        Raises:
            DuplicateKey: a key stands in two rows.
            OSError: the folder cannot be written to or read.
        """
        if not self._folder.is_dir():
            yield from _sorted(self._joined())
            return
        self._write_down()
        for path in sorted(self._folder.iterdir()):
            with path.open("rb") as file:
                self._waiting = list(self._read(file))
            path.unlink()
            yield from _sorted(self._joined())
        shutil.rmtree(self._folder)

    def _joined(self) -> KeyedRows:
        """Everything that waits; nothing waits any more."""
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if len(waiting) == 1:
            return waiting[0]
        arrays = [np.concatenate(each) for each in zip(*(rows.arrays for rows in waiting), strict=True)]
        return KeyedRows.of_arrays(arrays, strings=self._strings)

    def _write_down(self) -> None:
        """Append what waits to the files, each row to that of its hash."""
        if not self._waiting:
            return
        self._folder.mkdir(exist_ok=True)
        rows = self._joined()
        self._arrays = len(rows.arrays)
        file_of_row = rows.hashes >> (64 - _FILE_BITS)
        order = np.argsort(file_of_row, kind="stable")
        ends = np.searchsorted(file_of_row[order], np.arange(1 << _FILE_BITS, dtype=np.uint64), "right")
        for number, chosen in enumerate(np.split(order, ends[:-1])):
            if len(chosen):
                with (self._folder / f"{number:03d}").open("ab") as file:
                    for array in rows.take(chosen).arrays:
                        np.save(file, array)

    def _read(self, file: BinaryIO) -> Iterator[KeyedRows]:
        """What `_write_down` has appended, piece by piece."""
        size = os.fstat(file.fileno()).st_size
        while file.tell() < size:
            arrays = [np.load(file) for _ in range(self._arrays)]
            yield KeyedRows.of_arrays(arrays, strings=self._strings)


def _sorted(rows: KeyedRows) -> Iterator[KeyedRows]:
    order = np.argsort(rows.hashes, kind="stable")
    _refuse_duplicates(rows, order)
    row_bytes = sum(array.nbytes for array in rows.arrays) // max(1, len(order))
    step = max(1, min(_CHUNK_ROWS, _CHUNK_BYTES // max(1, row_bytes)))
    for start in range(0, len(order), step):
        yield rows.take(order[start : start + step])


def _refuse_duplicates(rows: KeyedRows, order: Integers) -> None:
    hashes = rows.hashes[order]
    again = np.flatnonzero(hashes[1:] == hashes[:-1])
    alike = rows.take(order[np.union1d(again, again + 1)])
    seen: dict[int | bytes, int] = {}
    for key, source in zip(alike.keys.tolist(), alike.sources.tolist(), strict=True):
        first = seen.setdefault(key, source)
        if first != source:
            raise errors.DuplicateKey(key, (min(first, source), max(first, source)))
