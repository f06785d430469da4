"""The files of a version's directory: JSON documents, and .npy arrays that are read or mapped into memory.

What is missing, unreadable or cut short may still be on its way (`LoadFailed`); what contradicts its format is wrong
for good (`InvalidModel`).
"""

import json
import math
import os
import threading
import tokenize
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from lifecycle import errors

Array = npt.NDArray[Any]

_SHORTEST_HEADER_BYTES = np.lib.format.ARRAY_ALIGN
"""A .npy header fills a multiple of this."""

_READING = threading.Lock()
"""NumPy reads a file's header through the interpreter's own parser, which in Python 3.11 two threads at once can upset
(SystemError: AST constructor recursion depth mismatch; seen once)."""


def read_document(directory: Path, name: str, kind: str) -> object:
    """The JSON document that describes a version; *kind* says what is expected there ("a NumPy model").

    Raises:
        LoadFailed: the directory or the file is missing, unreadable or cut short: it may be on its way.
        InvalidModel: the file is no JSON.
    """
    if not directory.is_dir():
        raise errors.LoadFailed(
            f"the version's directory does not exist; expected {kind} there: put it back, or have another "
            "version served"
        )
    try:
        data = (directory / name).read_bytes()
    except OSError as error:
        raise _unreadable(name, error) from error
    short = errors.LoadFailed(f"{name} is cut short; is the model still being written?")
    if not data.rstrip().endswith(b"}"):
        raise short
    try:
        parsed: object = json.loads(data)
    except ValueError as error:
        if isinstance(error, json.JSONDecodeError) and error.pos >= len(error.doc.rstrip()):
            raise short from error
        raise errors.InvalidModel(f"{name} is no JSON: {error}") from error
    return parsed


def write_document(directory: Path, name: str, document: object) -> None:
    """Write what `read_document` reads."""
    (directory / name).write_text(json.dumps(document, indent=2) + "\n")


def read_array(directory: Path, name: str, named_in: str) -> Array:
    """An array that the document *named_in* names, read whole; it cannot be written to.

    Raises:
        LoadFailed: the file is missing or unreadable: it may be on its way.
        InvalidModel: the name leads elsewhere, or the file holds no array of numbers.
    """
    _check_name(name, named_in)
    try:
        with _READING:
            array: Array = np.load(directory / name, allow_pickle=False)
    except OSError as error:
        raise _unreadable(name, error) from error
    except (ValueError, EOFError) as error:
        raise _no_array(name) from error
    array.flags.writeable = False
    return array


def map_array(
    directory: Path, name: str, named_in: str, dtype: npt.DTypeLike, shape: tuple[int, ...]
) -> Array:
    """An array that the document *named_in* names, mapped into memory; it cannot be written to.

    Nothing but the header is read, so that it takes the same time whatever the size. The file stays open until the
    array is gone. Whoever shortens it meanwhile ends the process (SIGBUS): a version's files are not changed.

    Args:
        directory: where the file lies.
        name: the file's name.
        named_in: the document that names it, for messages.
        dtype: what its elements must be.
        shape: what its shape must be, in C order.

    Raises:
        LoadFailed: the file is missing, unreadable or cut short: it may be on its way.
        InvalidModel: the name leads elsewhere, or the file holds something else than such an array.
    """
    _check_name(name, named_in)
    expected = np.dtype(dtype).newbyteorder("<")
    data_bytes = math.prod(shape) * expected.itemsize
    try:
        with (directory / name).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            found = _read_header(file)
            if found is None and size < _SHORTEST_HEADER_BYTES + data_bytes:
                raise _cut_short(name, size, _SHORTEST_HEADER_BYTES + data_bytes)
            if found is None:
                raise _no_array(name)
            if found != (shape, False, expected):
                order = " in Fortran order" if found[1] else ""
                raise errors.InvalidModel(
                    f"{name} holds {found[2].name}{list(found[0])}{order}; "
                    f"{named_in} says {expected.name}{list(shape)}"
                )
            offset = file.tell()
            if size < offset + data_bytes:
                raise _cut_short(name, size, offset + data_bytes)
            if size > offset + data_bytes:
                raise errors.InvalidModel(
                    f"{name} has {size:,} bytes; an array of {expected.name}{list(shape)} has {offset + data_bytes:,}"
                )
            # A plain array: the class of a mapped one costs time at each look-up.
            return np.asarray(np.memmap(file, expected, "r", offset, shape))
    except OSError as error:
        raise _unreadable(name, error) from error


def _read_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]] | None:
    """Shape, order and dtype, with the file left at the first element; None where there is no such header."""
    try:
        with _READING:
            release = np.lib.format.read_magic(file)
            if release == (1, 0):
                return np.lib.format.read_array_header_1_0(file)
            return np.lib.format.read_array_header_2_0(file) if release == (2, 0) else None
    except (ValueError, SyntaxError, tokenize.TokenError):
        return None


def _check_name(name: str, named_in: str) -> None:
    if Path(name).name != name or not name.endswith(".npy"):
        raise errors.InvalidModel(f"{named_in}: {name!r} is no .npy file beside it")


def _unreadable(name: str, error: OSError) -> errors.LoadFailed:
    return errors.LoadFailed(f"{name} cannot be read: {error.strerror or type(error).__name__}")


def _cut_short(name: str, size: int, expected: int) -> errors.LoadFailed:
    return errors.LoadFailed(
        f"{name} is cut short: {size:,} bytes of at least {expected:,}; is the model still being written?"
    )


def _no_array(name: str) -> errors.InvalidModel:
    return errors.InvalidModel(f"{name} is no array of numbers as numpy.save writes it")
