"""Writes the files of an index of keys (`key_index` has the format)."""

import contextlib
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from lifecycle import key_index, string_columns
from lifecycle.key_index import KeyIndexOptions
from lifecycle.keyed_rows import KeyedRows, PackedStrings
from lifecycle.npy_writer import NpyWriter
from lifecycle.string_columns import Integers, Words

_FILL = 1 << 20
_HASH_BITS = 64


class KeyIndexWriter:
    """Writes an index in the order of its keys' hashes; by one thread, in a `with` block."""

    def __init__(self, folder: Path, options: KeyIndexOptions) -> None:
        self._options = options
        self._count = 0
        self._words = 0
        self._next_bucket = 0
        self._files = contextlib.ExitStack()

        def new(name: str, dtype: type[np.generic], *shape: int) -> NpyWriter:
            return self._files.enter_context(NpyWriter(folder / name, dtype, shape))

        bucket_dtype = np.dtype(options.bucket_dtype).type
        self._buckets = new(key_index.BUCKETS, bucket_dtype, (1 << options.bucket_bits) + 1)
        if options.dtype == "DT_INT64":
            self._keys = new(key_index.KEYS, np.int64, options.count)
        else:
            self._entries = new(key_index.ENTRIES, np.uint64, options.count, 2)
            self._key_words = new(key_index.KEY_WORDS, np.uint64, options.words)

    def append(self, rows: KeyedRows) -> None:
        """Write the next keys. Requires: there is one, and no hash is smaller than one before."""
        self._append_buckets(rows.hashes)
        if isinstance(rows.keys, PackedStrings):
            self._append_strings(rows.hashes, rows.keys)
        else:
            self._keys.append(rows.keys)
        self._count += len(rows.hashes)

    def starts(self, strings: PackedStrings) -> Integers:
        """Where each of these will begin in `key_words.npy` when they are written next."""
        counts = string_columns.word_counts(strings.lengths) + 1
        starts: Integers = counts.cumsum() - counts + self._words
        return starts

    def _append_buckets(self, hashes: Words) -> None:
        """A bucket's beginning is known as soon as a key of it, or of one behind it, has come."""
        buckets = (hashes >> (_HASH_BITS - self._options.bucket_bits)).astype(np.int64)
        reached = int(buckets[-1]) + 1
        for start in range(self._next_bucket, reached, _FILL):
            new = np.arange(start, min(start + _FILL, reached))
            self._buckets.append(np.searchsorted(buckets, new) + self._count)
        self._next_bucket = reached

    def _append_strings(self, hashes: Words, strings: PackedStrings) -> None:
        starts = self.starts(strings)
        self._entries.append(np.stack([hashes, starts.astype(np.uint64)], axis=1))
        written = np.empty(len(strings.lengths) + len(strings.words), np.uint64)
        begins = starts - self._words
        written[begins] = strings.lengths
        places, _ = string_columns.runs(begins + 1, string_columns.word_counts(strings.lengths))
        written[places] = strings.words
        self._key_words.append(written)
        self._words += len(written)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            buckets = (1 << self._options.bucket_bits) + 1
            for start in range(self._next_bucket, buckets, _FILL):
                self._buckets.append(np.full(min(_FILL, buckets - start), self._count))
        self._files.__exit__(kind, error, trace)
