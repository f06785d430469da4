"""Makes a version of a vocabulary, from a list of strings or from blocks of one that is larger than memory."""

import contextlib
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from lifecycle import errors, model_files
from lifecycle.key_index import HASHING, Hashing
from lifecycle.key_index_writer import KeyIndexWriter
from lifecycle.keyed_rows import PackedStrings
from lifecycle.lookup_table_writer import MEMORY_BYTES
from lifecycle.npy_writer import NpyWriter
from lifecycle.table_input import Keys, TableInput
from lifecycle.version_directory import new_version_directory
from lifecycle.vocabulary_format import (
    FILE_NAME,
    IDS_FILE,
    LEAST_ID,
    MOST_ID,
    STARTS_FILE,
    VocabularyFormat,
    VocabularyOptions,
)

DEFAULT_OPTIONS = VocabularyOptions()


def write(
    directory: Path,
    strings: Keys,
    options: VocabularyOptions = DEFAULT_OPTIONS,
    *,
    hashing: Hashing = HASHING,
) -> VocabularyFormat:
    """Make a version of a vocabulary: string n gets the id n.

    Args:
        directory: of the version, such as `models/words/1`; it must not be there, and is there when this returns.
        strings: each once, as bytes or text (UTF-8).
        options: what becomes of strings and ids that are not in it.
        hashing: how strings are spread; for tests.

    Raises:
        InvalidTable: a string stands twice, an option is out of its range, or *directory* is there. Nothing is left
            behind.
        OSError: a file cannot be written. Nothing is left behind.
    """
    return _write(directory, [strings], options, math.inf, hashing)


def write_blocks(
    directory: Path,
    blocks: Iterable[Keys],
    options: VocabularyOptions = DEFAULT_OPTIONS,
    *,
    memory_bytes: int = MEMORY_BYTES,
    hashing: Hashing = HASHING,
) -> VocabularyFormat:
    """The same from blocks of strings, with about twice *memory_bytes* whatever the size of the vocabulary.

    Raises:
        InvalidTable: a string stands twice, an option is out of its range, or *directory* is there. Nothing is left
            behind.
        OSError: a file cannot be written. Nothing is left behind.
    """
    return _write(directory, blocks, options, memory_bytes, hashing)


def _write(
    directory: Path,
    blocks: Iterable[Keys],
    options: VocabularyOptions,
    memory_bytes: float,
    hashing: Hashing,
) -> VocabularyFormat:
    table = TableInput(hashing)
    with new_version_directory(directory) as folder:
        sorted_rows = table.sorted_rows(
            ((strings, {}) for strings in blocks), folder / "sorting", memory_bytes
        )
        described = VocabularyFormat(table.index, options)
        _check(described)
        count = described.strings.count
        starts = np.lib.format.open_memmap(folder / STARTS_FILE, "w+", np.dtype("<i8"), (count,))
        with contextlib.ExitStack() as files:
            index = files.enter_context(KeyIndexWriter(folder, described.strings))
            ids = files.enter_context(NpyWriter(folder / IDS_FILE, np.int64, (count,)))
            for chunk in sorted_rows.chunks():
                assert isinstance(chunk.keys, PackedStrings)
                starts[chunk.sources] = index.starts(chunk.keys)
                index.append(chunk)
                ids.append(chunk.sources)
        starts.flush()
        model_files.write_document(folder, FILE_NAME, described.document())
    return described


def _check(described: VocabularyFormat) -> None:
    strings, options = described.strings, described.options
    if strings.dtype != "DT_STRING":
        raise errors.InvalidTable(f"the strings of a vocabulary are {strings.dtype}; expected bytes or text")
    if not 0 <= options.oov_buckets <= MOST_ID - strings.count:
        raise errors.InvalidTable(f"oov_buckets is {options.oov_buckets}; expected 0 or more")
    if options.oov_buckets and options.default_id != DEFAULT_OPTIONS.default_id:
        raise errors.InvalidTable(
            f"default_id is {options.default_id}, but with {options.oov_buckets} oov_buckets no string gets it"
        )
    if not LEAST_ID <= options.default_id <= MOST_ID:
        raise errors.InvalidTable(f"default_id is {options.default_id}; expected an int64")
