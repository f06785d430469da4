"""Makes a version of a lookup table, from arrays or from blocks of a table that is larger than memory.

::

    ids = np.array([10, 20, 30])
    vectors = np.random.default_rng(1).standard_normal((3, 16), dtype=np.float32)
    lookup_table_writer.write(Path("models/users/1"), ids, {"vector": vectors})
"""

import contextlib
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lifecycle import errors, model_files
from lifecycle.key_index import HASHING, Hashing
from lifecycle.key_index_writer import KeyIndexWriter
from lifecycle.lookup_table_format import FILE_NAME, FOUND, LookupTableFormat, OutputFile
from lifecycle.npy_writer import NpyWriter
from lifecycle.table_input import Keys, TableInput
from lifecycle.version_directory import new_version_directory

MEMORY_BYTES = 1 << 30
"""Of rows that are kept in memory before they go to temporary files: ten million rows of 16 floats just do."""

Array = npt.NDArray[Any]
Rows = Mapping[str, npt.ArrayLike]


def write(
    directory: Path,
    keys: Keys,
    rows: Rows,
    *,
    default_rows: Rows | None = None,
    key_name: str = "keys",
    hashing: Hashing = HASHING,
) -> LookupTableFormat:
    """Make a version of a lookup table from arrays.

    Args:
        directory: of the version, such as `models/users/1`; it must not be there, and is there when this returns.
        keys: integers or strings, each once.
        rows: by the output's name the rows of all keys, an array of numbers of any shape after dimension 0.
        default_rows: by the output's name the row that stands for keys that are not there: its shape, or one number. By
            default zeros.
        key_name: the input's name.
        hashing: how keys are spread; for tests.

    Raises:
        InvalidTable: keys or rows contradict each other or the format, or *directory* is there. Nothing is left behind.
        OSError: a file cannot be written. Nothing is left behind.
    """
    return _write(directory, [(keys, rows)], default_rows or {}, key_name, math.inf, hashing)


def write_blocks(
    directory: Path,
    blocks: Iterable[tuple[Keys, Rows]],
    *,
    default_rows: Rows | None = None,
    key_name: str = "keys",
    memory_bytes: int = MEMORY_BYTES,
    hashing: Hashing = HASHING,
) -> LookupTableFormat:
    """The same from blocks: pairs of keys and rows, of which all have the same outputs.

    About twice *memory_bytes* are taken, whatever the size of the table. What is more waits beside the version's
    directory, which takes as much of the disk again until the table is made.

    Raises:
        InvalidTable: keys or rows contradict each other or the format, or *directory* is there. Nothing is left behind.
        OSError: a file cannot be written. Nothing is left behind.
    """
    return _write(directory, blocks, default_rows or {}, key_name, memory_bytes, hashing)


def _write(
    directory: Path,
    blocks: Iterable[tuple[Keys, Rows]],
    default_rows: Rows,
    key_name: str,
    memory_bytes: float,
    hashing: Hashing,
) -> LookupTableFormat:
    table = TableInput(hashing)
    with new_version_directory(directory) as folder:
        sorted_rows = table.sorted_rows(blocks, folder / "sorting", memory_bytes)
        described = LookupTableFormat(key_name, table.index, _output_files(table))
        defaults = _default_rows(described, default_rows)
        with contextlib.ExitStack() as files:
            index = files.enter_context(KeyIndexWriter(folder, described.keys))
            outputs = [
                files.enter_context(
                    NpyWriter(folder / each.file, each.numpy, (described.keys.count + 1, *each.shape))
                )
                for each in described.outputs.values()
            ]
            for chunk in sorted_rows.chunks():
                index.append(chunk)
                for output, rows_of_chunk in zip(outputs, chunk.outputs, strict=True):
                    output.append(rows_of_chunk)
            for output, row in zip(outputs, defaults, strict=True):
                output.append(row)
        model_files.write_document(folder, FILE_NAME, described.document())
    return described


def _output_files(table: TableInput) -> Mapping[str, OutputFile]:
    if not table.outputs or "" in table.outputs or FOUND in table.outputs:
        raise errors.InvalidTable(
            f"the outputs are {sorted(table.outputs)}; expected at least one, each with a name other than {FOUND!r}"
        )
    return {
        name: OutputFile(dtype, shape, f"output-{number}.npy")
        for number, (name, (dtype, shape)) in enumerate(table.outputs.items())
    }


def _default_rows(described: LookupTableFormat, given: Rows) -> list[Array]:
    """The default row of each output, with a dimension in front."""
    unknown = sorted(given.keys() - described.outputs.keys())
    if unknown:
        raise errors.InvalidTable(
            f"a default row is given for {', '.join(unknown)}; the outputs are {', '.join(described.outputs)}"
        )
    return [_default_row(name, each, given.get(name, 0)) for name, each in described.outputs.items()]


def _default_row(name: str, output: OutputFile, given: npt.ArrayLike) -> Array:
    row = np.asarray(given)
    held = _held(row, output.numpy) if row.shape in {(), output.shape} else None
    if held is None:
        raise errors.InvalidTable(
            f"the default row of output {name!r} is {row.dtype}{list(row.shape)} and does not fit "
            f"{output.dtype}{list(output.shape)}; give one number or a row, which that dtype can hold"
        )
    return np.broadcast_to(held, (1, *output.shape))


def _held(row: Array, dtype: np.dtype[Any]) -> Array | None:
    """A row in another dtype; None when that changes more than the last digits of a decimal."""
    with np.errstate(all="ignore"):
        if row.dtype.kind + dtype.kind in {"ff", "fc", "cc"}:
            rounded = row.astype(dtype)
            return rounded if np.array_equal(np.isfinite(rounded), np.isfinite(row)) else None
        if row.dtype.kind not in "biu":
            return None
        whole = row.astype(dtype)
        return whole if np.array_equal(whole.real.astype(row.dtype), row) else None
