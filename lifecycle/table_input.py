"""What a table is made of: blocks of keys and rows, checked and turned into columns."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lifecycle import dtype_names, errors, lookup_table_format, string_columns
from lifecycle.key_index import Hashing, KeyIndexOptions
from lifecycle.keyed_rows import KeyedRows, PackedStrings, SortedRows
from lifecycle.string_columns import Integers, StringColumns

Array = npt.NDArray[Any]
Keys = npt.ArrayLike | Sequence[bytes] | Sequence[str]
"""One-dimensional: integers, or strings as bytes or text (UTF-8). An array of NumPy's fixed-width bytes knows no zero
bytes at a string's end; a list of bytes does."""

_PIECE_ROWS = 1 << 18
_MOST_INT64 = 2**63 - 1
_LEAST_BUCKET_BITS = 1


class TableInput:
    """Counts and checks the blocks of one table; used by one thread."""

    def __init__(self, hashing: Hashing) -> None:
        self._hashing = hashing
        self._count = 0
        self._words = 0
        self._longest = 0
        self._key_dtype: str | None = None
        self.outputs: dict[str, tuple[str, tuple[int, ...]]] = {}
        """Dtype and shape of a row of each output, as the first block has them."""

    @property
    def index(self) -> KeyIndexOptions:
        """The index that all keys so far need.

        Raises:
            InvalidTable: there was no block, so that nobody knows what the keys are.
        """
        if self._key_dtype is None:
            raise errors.InvalidTable("no block of keys was given, not even an empty one")
        bits = max(_LEAST_BUCKET_BITS, (self._count - 1).bit_length())
        return KeyIndexOptions(self._key_dtype, self._count, bits, self._words, self._longest)

    def sorted_rows(
        self,
        blocks: Iterable[tuple[Keys, Mapping[str, npt.ArrayLike]]],
        folder: Path,
        memory_bytes: float,
    ) -> SortedRows:
        """All blocks by the hashes of their keys; more than *memory_bytes* waits in *folder*. Raises as `pieces`."""
        rows = SortedRows(folder, memory_bytes)
        for keys, outputs in blocks:
            for piece in self.pieces(keys, outputs):
                rows.add(piece)
        return rows

    def pieces(self, keys: Keys, outputs: Mapping[str, npt.ArrayLike]) -> Iterable[KeyedRows]:
        """One block as columns, in pieces.

        Raises:
            InvalidTable: a key is neither integer nor string, or the rows do not fit the keys or the blocks before.
        """
        array = _as_array(keys)
        rows = self._rows(len(array), {name: np.asarray(each) for name, each in outputs.items()})
        for start in range(0, max(1, len(array)), _PIECE_ROWS):
            piece = slice(start, start + _PIECE_ROWS)
            yield self._piece(array[piece], tuple(each[piece] for each in rows))

    def _piece(self, keys: Array, rows: tuple[Array, ...]) -> KeyedRows:
        sources = np.arange(self._count, self._count + len(keys))
        dtype = "DT_INT64" if keys.dtype.kind in "iu" else "DT_STRING"
        if self._key_dtype not in {None, dtype}:
            raise errors.InvalidTable(
                f"keys from row {self._count:,} on are {dtype}; before they are {self._key_dtype}"
            )
        self._key_dtype = dtype
        if dtype == "DT_INT64":
            integers = self._integers(keys)
            result = KeyedRows(self._hashing.of_integers(integers), sources, integers, rows)
        else:
            strings = StringColumns.of(self._strings(keys))
            self._longest = max(self._longest, int(strings.lengths.max(initial=0)))
            self._words += int((string_columns.word_counts(strings.lengths) + 1).sum())
            hashes = self._hashing.of_strings(strings)
            result = KeyedRows(hashes, sources, PackedStrings.of(strings), rows)
        self._count += len(keys)
        return result

    def _integers(self, keys: Array) -> Integers:
        large = np.flatnonzero(keys > _MOST_INT64)
        if len(large):
            row = self._count + int(large[0])
            raise errors.InvalidTable(f"row {row:,}: key {keys[large[0]]} is larger than an int64 can be")
        return np.ascontiguousarray(keys, np.int64)

    def _strings(self, keys: Array) -> list[bytes]:
        strings = []
        for row, key in enumerate(keys.tolist(), self._count):
            if isinstance(key, bytes):
                strings.append(key)
                continue
            try:
                strings.append(key.encode())
            except (AttributeError, UnicodeEncodeError):
                raise errors.InvalidTable(f"row {row:,}: key {key!r} is neither bytes nor text") from None
        return strings

    def _rows(self, count: int, arrays: Mapping[str, Array]) -> tuple[Array, ...]:
        where = f"rows from {self._count:,} on"
        specs: dict[str, tuple[str, tuple[int, ...]]] = {}
        for name, array in arrays.items():
            if array.ndim == 0 or len(array) != count:
                raise errors.InvalidTable(
                    f"{where}: output {name!r} has shape {list(array.shape)}; expected a row for each of {count:,} keys"
                )
            dtype = dtype_names.dtype_name(array.dtype)
            if dtype is None or not lookup_table_format.is_servable(dtype):
                raise errors.InvalidTable(
                    f"{where}: output {name!r} is of {array.dtype}; expected numbers, such as float32"
                )
            specs[name] = (dtype, array.shape[1:])
        if self._key_dtype is not None and specs != self.outputs:
            raise errors.InvalidTable(f"{where}: the outputs are {specs}; before they are {self.outputs}")
        self.outputs = specs
        return tuple(arrays.values())


def _as_array(keys: Keys) -> Array:
    if isinstance(keys, np.ndarray):
        array: Array = keys
    else:
        values: list[Any] = list(keys)  # type: ignore[arg-type]
        # NumPy would make fixed-width bytes of them, and lose zero bytes at their ends.
        texts = values and isinstance(values[0], bytes | str)
        array = string_columns.tensor_of(values) if texts else np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "iuOSUT":
        raise errors.InvalidTable(
            f"the keys are {array.dtype}{list(array.shape)}; expected integers or strings of one dimension"
        )
    return array
