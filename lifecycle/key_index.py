"""Finds keys: an index of int64 or string keys that lies in files, asked for whole blocks of keys at a time.

A key's hash has a bucket: its first `bucket_bits` bits. Keys stand in the order of their buckets, and where a key
stands is its *position*: row n of a table belongs to position n. `buckets.npy` has the position at which each bucket
begins, and then the number of keys. So a look-up compares the asked key with those between two numbers, one on
average, and nothing but the pages that it needs is read.

| file | of keys | elements |
| --- | --- | --- |
| `buckets.npy` | both | uint32, or uint64 from 2^32 keys on: [buckets + 1] |
| `keys.npy` | DT_INT64 | int64 [keys]: the keys by position |
| `entries.npy` | DT_STRING | uint64 [keys, 2]: the hash of each key, and where it begins in `key_words.npy` |
| `key_words.npy` | DT_STRING | uint64 [words]: each key's number of bytes, and then its words (`string_columns`) |

A string counts as found when its bytes are those of the key, whatever the hashes say.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lifecycle import errors, fingerprints, model_files, string_columns
from lifecycle.json_section import JsonSection
from lifecycle.string_columns import Integers, StringColumns, Words

Array = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]
IsThere = Callable[[Integers, Integers], Bools]
"""Tells of asked keys, by their rows, and of positions, whether one is at the other."""

BUCKETS, KEYS, ENTRIES, KEY_WORDS = "buckets.npy", "keys.npy", "entries.npy", "key_words.npy"
KEY_DTYPES = ("DT_INT64", "DT_STRING")
MOST_BUCKET_BITS = 48
_HASH_BITS = 64
_SMALL_COUNT = 2**32


@dataclasses.dataclass(frozen=True, slots=True)
class Hashing:
    """How keys are spread over buckets: the same when an index is made and when it is asked."""

    of_integers: Callable[[Integers], Words] = fingerprints.of_integers
    of_strings: Callable[[StringColumns], Words] = fingerprints.of_strings


HASHING = Hashing()


@dataclasses.dataclass(frozen=True, slots=True)
class KeyIndexOptions:
    """What a version's JSON file says of its index.

    Attributes:
        dtype: DT_INT64 or DT_STRING.
        count: how many keys.
        bucket_bits: how many bits of a hash say its bucket.
        words: elements of `key_words.npy`; 0 for DT_INT64.
        longest: bytes of the longest key; 0 for DT_INT64.
    """

    dtype: str
    count: int
    bucket_bits: int
    words: int = 0
    longest: int = 0

    @classmethod
    def read(cls, section: JsonSection) -> "KeyIndexOptions":
        """Take them from a file's section; its `end` is the caller's.

        Raises:
            InvalidModel: a key is missing or wrong.
        """
        dtype, count = section.text("dtype"), section.whole("count")
        if dtype not in KEY_DTYPES:
            raise section.wrong("dtype", " or ".join(KEY_DTYPES), dtype)
        bits = section.whole("bucket_bits", 1, MOST_BUCKET_BITS)
        if dtype == "DT_INT64":
            return cls(dtype, count, bits)
        return cls(dtype, count, bits, section.whole("words", count), section.whole("longest"))

    def document(self) -> dict[str, object]:
        """As `read` takes them."""
        said: dict[str, object] = {"dtype": self.dtype, "count": self.count, "bucket_bits": self.bucket_bits}
        return said | ({"words": self.words, "longest": self.longest} if self.dtype == "DT_STRING" else {})

    @property
    def bucket_dtype(self) -> npt.DTypeLike:
        """Of the elements of `buckets.npy`."""
        return np.uint32 if self.count < _SMALL_COUNT else np.uint64


class KeyIndex(Protocol):
    """An index that has been opened; any thread may ask it."""

    def find(self, keys: Array) -> Integers:
        """The position of each key, and the number of keys for one that is not there.

        Raises:
            InvalidInput: a key is of another kind.
            IndexError: the files contradict each other.
        """
        ...


def open_index(directory: Path, options: KeyIndexOptions, named_in: str, hashing: Hashing) -> KeyIndex:
    """Map an index into memory; nothing is read but its headers and two elements.

    Raises:
        LoadFailed: a file is missing, unreadable or cut short.
        InvalidModel: a file is another than the options say.
    """
    if options.dtype == "DT_STRING":
        return open_string_index(directory, options, named_in, hashing)
    keys = model_files.map_array(directory, KEYS, named_in, np.int64, (options.count,))
    return IntegerIndex(_open_buckets(directory, options, named_in), keys, hashing)


def open_string_index(
    directory: Path, options: KeyIndexOptions, named_in: str, hashing: Hashing
) -> "StringIndex":
    """The same for an index of string keys.

    Raises:
        LoadFailed: a file is missing, unreadable or cut short.
        InvalidModel: a file is another than the options say.
    """
    entries = model_files.map_array(directory, ENTRIES, named_in, np.uint64, (options.count, 2))
    words = model_files.map_array(directory, KEY_WORDS, named_in, np.uint64, (options.words,))
    buckets = _open_buckets(directory, options, named_in)
    return StringIndex(buckets, entries, StoredStrings(words, options.longest), hashing)


def _open_buckets(directory: Path, options: KeyIndexOptions, named_in: str) -> "Buckets":
    shape = ((1 << options.bucket_bits) + 1,)
    starts = model_files.map_array(directory, BUCKETS, named_in, options.bucket_dtype, shape)
    first, last = int(starts[0]), int(starts[-1])
    if (first, last) != (0, options.count):
        raise errors.InvalidModel(
            f"{BUCKETS} goes from {first:,} to {last:,}; {named_in} says from 0 to {options.count:,}"
        )
    return Buckets(starts, options)


class Buckets:
    """Where each bucket begins, and the search in them."""

    def __init__(self, starts: Array, options: KeyIndexOptions) -> None:
        self._starts = starts
        self._count = options.count
        self._shift = _HASH_BITS - options.bucket_bits

    def bounds(self, hashes: Words) -> tuple[Integers, Integers]:
        """The position at which each hash's bucket begins, and that at which it ends."""
        bucket = (hashes >> self._shift).astype(np.int64)
        start = self._starts.take(bucket).astype(np.int64)
        bucket += 1
        return start, self._starts.take(bucket).astype(np.int64)

    def first(self, start: Integers, end: Integers, is_there: IsThere) -> Integers:
        """For each asked key the first position from *start* on at which it is; the number of keys where there is none.

        Args:
            start: where to begin, for each asked key.
            end: which positions are not looked at any more.
            is_there: whether these asked keys, by their rows, are at these positions.
        """
        found = np.full(len(start), self._count)
        rows = np.flatnonzero(start < end)
        at, end = start[rows], end[rows]
        while len(rows):
            hit = is_there(rows, at)
            found[rows[hit]] = at[hit]
            at += 1
            left = np.flatnonzero(~hit & (at < end))
            rows, at, end = rows[left], at[left], end[left]
        return found


class IntegerIndex:
    """An index of int64 keys."""

    def __init__(self, buckets: Buckets, keys: Integers, hashing: Hashing) -> None:
        self._buckets = buckets
        self._keys = keys
        self._hashing = hashing

    def find(self, keys: Array) -> Integers:
        """See `KeyIndex`."""
        asked = np.ascontiguousarray(keys, np.int64)

        def is_there(rows: Integers, positions: Integers) -> Bools:
            equal: Bools = self._keys.take(positions) == asked.take(rows)
            return equal

        start, end = self._buckets.bounds(self._hashing.of_integers(asked))
        return self._buckets.first(start, end, is_there)


class StoredStrings:
    """The strings of `key_words.npy`, found by where they begin there."""

    def __init__(self, words: Words, longest: int) -> None:
        self._words = words
        self._longest = longest

    def are_equal(self, strings: StringColumns, rows: Integers, starts: Integers) -> Bools:
        """Whether these of the *strings* are those that begin there."""
        lengths = strings.lengths.take(rows)
        equal: Bools = self._words.take(starts) == lengths.astype(np.uint64)
        left = np.flatnonzero(equal & (lengths > 0))
        if len(left):
            asked, begins = strings.words(rows[left])
            places, _ = string_columns.runs(starts[left] + 1, string_columns.word_counts(lengths[left]))
            equal[left] = np.logical_and.reduceat(self._words.take(places) == asked, begins)
        return equal

    def strings(self, starts: Integers) -> list[bytes]:
        """The strings that begin there.

        All bytes are copied before the first string is made, so that a page that has to be read from disk is waited for
        without holding the interpreter.

        Raises:
            IndexError: no string begins there.
        """
        found = self._words.take(starts)
        if len(found) and int(found.max()) > self._longest:
            raise IndexError(f"a key of {int(found.max())} bytes, where the longest has {self._longest}")
        lengths = found.astype(np.int64)
        places, begins = string_columns.runs(starts + 1, string_columns.word_counts(lengths))
        data = self._words.take(places).tobytes()
        first = begins * string_columns.WORD_BYTES
        return [
            data[start:end] for start, end in zip(first.tolist(), (first + lengths).tolist(), strict=True)
        ]


class StringIndex:
    """An index of string keys; `stored` has their bytes."""

    def __init__(self, buckets: Buckets, entries: Words, stored: StoredStrings, hashing: Hashing) -> None:
        self._buckets = buckets
        self._count = len(entries)
        self._entries = entries.reshape(-1)  # pairs side by side: one page has both
        self.stored = stored
        self._hashing = hashing

    def find(self, keys: Array) -> Integers:
        """See `KeyIndex`."""
        return self.find_strings(StringColumns.of(keys.tolist()))

    def find_strings(self, strings: StringColumns) -> Integers:
        """The same, of strings in columns."""
        hashes = self._hashing.of_strings(strings)

        def is_alike(rows: Integers, positions: Integers) -> Bools:
            alike: Bools = self._entries.take(positions << 1) == hashes.take(rows)
            return alike

        start, end = self._buckets.bounds(hashes)
        found = self._buckets.first(start, end, is_alike)
        unsure = np.flatnonzero(found < self._count)
        while len(unsure):
            starts = self._entries.take((found[unsure] << 1) + 1).astype(np.int64)
            other = unsure[~self.stored.are_equal(strings, unsure, starts)]
            if not len(other):
                break
            # Another string with the same hash: its place may be behind.
            found[other] = self._buckets.first(
                found[other] + 1,
                end[other],
                lambda rows, positions, asked=other: is_alike(asked[rows], positions),  # type: ignore[misc]
            )
            unsure = other[found[other] < self._count]
        return found
