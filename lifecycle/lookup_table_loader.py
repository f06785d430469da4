"""Loads a lookup table: rows of numbers by key, mapped into memory (`lookup_table_format` has the format)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from lifecycle import errors, key_index, lookup_table_format, model_files
from lifecycle.key_index import HASHING, Hashing, KeyIndex
from lifecycle.lookup_table_format import FILE_NAME, FOUND, LookupTableFormat
from lifecycle.resources import NOTHING, ResourceAllocation
from lifecycle.signature import Signature

Array = npt.NDArray[Any]


class LookupTableServable:
    """The servable of a lookup table; thread-safe, because nothing is written.

    Rows that are not in memory are read from disk when they are asked for, and only the calling thread waits for them:
    NumPy copies numbers without holding the interpreter.
    """

    def __init__(self, table: LookupTableFormat, index: KeyIndex, rows: Mapping[str, Array]) -> None:
        self._key_name = table.key_name
        self._signatures = table.signatures
        self._count = table.keys.count
        self._index = index
        self._rows = rows

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """Each way to call it, by name."""
        return self._signatures

    def run(self, signature: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]:
        """Look up each key; no outputs named means all of them.

        Raises:
            InvalidInput: a string key is no bytes.
            ExecutionFailed: the files of the table contradict each other.
            OutOfMemory: memory ran out.
        """
        try:
            positions = self._index.find(inputs[self._key_name])
            wanted = outputs or self._signatures[signature].outputs
            return {name: self._output(name, positions) for name in wanted}
        except IndexError as error:
            raise errors.ExecutionFailed(
                f"the table's files contradict each other ({error}); the version has to be made anew"
            ) from error
        except MemoryError as error:
            raise errors.OutOfMemory(f"{len(inputs[self._key_name])} look-ups ran out of memory") from error

    def _output(self, name: str, positions: Array) -> Array:
        return positions < self._count if name == FOUND else self._rows[name].take(positions, axis=0)


class LookupTableLoader:
    """A loader of lookup tables. Cheap to construct; maps its files in `load`.

    `hashing` is that by which the table was made.
    """

    def __init__(self, directory: Path, hashing: Hashing = HASHING) -> None:
        self._directory = directory
        self._hashing = hashing
        self._servable: LookupTableServable | None = None

    @property
    def servable(self) -> LookupTableServable:
        """The loaded table. Requires: loaded and not yet unloaded."""
        if self._servable is None:
            raise RuntimeError("this lookup table is not loaded")
        return self._servable

    def estimate_resources(self) -> ResourceAllocation:
        """Nothing: its files are mapped, and the kernel takes their pages back when memory is short."""
        return NOTHING

    def load(self) -> None:
        """Check sizes and headers and map the files, in milliseconds whatever the size; on a load thread.

        Raises:
            LoadFailed: files are missing, unreadable or cut short: may pass.
            InvalidModel: the files contradict the format; the message names the place.
        """
        table = lookup_table_format.read_format(self._directory)
        index = key_index.open_index(self._directory, table.keys, FILE_NAME, self._hashing)
        rows = {
            name: model_files.map_array(
                self._directory, each.file, FILE_NAME, each.numpy, (table.keys.count + 1, *each.shape)
            )
            for name, each in table.outputs.items()
        }
        self._servable = LookupTableServable(table, index, rows)

    def unload(self) -> None:
        """Let go of the files; on an unload thread."""
        self._servable = None
