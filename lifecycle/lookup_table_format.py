"""The format of a lookup table: a directory with lookup_table.json, an index of its keys, and rows in .npy files.

::

    {
      "format": 1,
      "keys": {"name": "keys", "dtype": "DT_INT64", "count": 10000000, "bucket_bits": 24},
      "outputs": {"vector": {"dtype": "DT_FLOAT", "shape": [16], "file": "output-0.npy"}}
    }

`key_index` has the files of the keys. An output's file has a row for each key, by position, and behind them the row
that stands for keys that are not there. `lookup_table_writer` makes such a directory.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lifecycle import dtype_names, model_files
from lifecycle.json_section import JsonSection
from lifecycle.key_index import KeyIndexOptions
from lifecycle.signature import Signature, TensorSpec

FILE_NAME = "lookup_table.json"
FORMAT = 1
METHOD_NAME = "headrace/lookup_table"
SIGNATURE_NAME = "serving_default"
FOUND = "found"
"""The output that tells which keys were there; no output of a table has this name."""


@dataclasses.dataclass(frozen=True, slots=True)
class OutputFile:
    """One output: the dtype and shape of a row, and the file with the rows."""

    dtype: str
    shape: tuple[int, ...]
    file: str

    @property
    def numpy(self) -> np.dtype[Any]:
        """The dtype's NumPy twin."""
        twin = dtype_names.numpy_dtype(self.dtype)
        assert twin is not None
        return twin


@dataclasses.dataclass(frozen=True, slots=True)
class LookupTableFormat:
    """A lookup table as its JSON file describes it."""

    key_name: str
    keys: KeyIndexOptions
    outputs: Mapping[str, OutputFile]

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """Each way to call it: one."""
        specs = {
            name: TensorSpec(name, each.dtype, (None, *each.shape)) for name, each in self.outputs.items()
        }
        specs[FOUND] = TensorSpec(FOUND, "DT_BOOL", (None,))
        keys = {self.key_name: TensorSpec(self.key_name, self.keys.dtype, (None,))}
        return {SIGNATURE_NAME: Signature(SIGNATURE_NAME, METHOD_NAME, keys, specs)}

    def document(self) -> dict[str, object]:
        """As `read_format` takes it."""
        return {
            "format": FORMAT,
            "keys": {"name": self.key_name, **self.keys.document()},
            "outputs": {
                name: {"dtype": each.dtype, "shape": list(each.shape), "file": each.file}
                for name, each in self.outputs.items()
            },
        }


def read_format(directory: Path) -> LookupTableFormat:
    """Read a table's JSON file.

    Raises:
        LoadFailed: the directory or the file is missing, unreadable or cut short.
        InvalidModel: something there contradicts the format; the message names the place.
    """
    section = JsonSection(FILE_NAME, model_files.read_document(directory, FILE_NAME, "a lookup table"))
    section.one_of("format", (FORMAT,))
    keys = section.section("keys")
    key_name, options = keys.text("name"), KeyIndexOptions.read(keys)
    keys.end()
    outputs = {name: _read_output(name, each) for name, each in section.sections("outputs").items()}
    section.end()
    if not outputs:
        raise section.wrong("outputs", "at least one output", {})
    return LookupTableFormat(key_name, options, outputs)


def _read_output(name: str, section: JsonSection) -> OutputFile:
    if name == FOUND:
        raise section.wrong("name", f"another name than {FOUND!r}, which tells what was found", name)
    dtype, shape, file = section.text("dtype"), section.fixed_shape("shape"), section.text("file")
    section.end()
    if not is_servable(dtype):
        raise section.wrong("dtype", "the name of a numeric dtype, such as DT_FLOAT", dtype)
    return OutputFile(dtype, shape, file)


def is_servable(dtype: str) -> bool:
    """Whether rows may be of that dtype: one that a .npy file holds by itself."""
    twin = None if dtype == "DT_BFLOAT16" else dtype_names.numpy_dtype(dtype)
    return twin is not None and not twin.hasobject
