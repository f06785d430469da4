"""Byte strings of a block as columns, so that NumPy can hash, compare and copy all of them at once.

A *word* is eight bytes, read as a little-endian uint64. A string's words are its bytes with zeros after the last one;
an empty string has none.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lifecycle import errors

Array = npt.NDArray[Any]
Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

WORD_BYTES = 8

_PADDING = bytes(WORD_BYTES)
_TAILS = np.array([(1 << 8 * count) - 1 for count in range(WORD_BYTES + 1)], np.uint64)
"""What is left of a word of which so many bytes count."""


def word_counts(lengths: Integers) -> Integers:
    """How many words strings of so many bytes have."""
    return (lengths + (WORD_BYTES - 1)) >> 3


def runs(starts: Integers, counts: Integers) -> tuple[Integers, Integers]:
    """The indices of runs, one run after another, and where each run begins among them.

    Run n is `starts[n], starts[n] + 1, …`, `counts[n]` of them.
    """
    ends = counts.cumsum()
    begins = ends - counts
    indices = np.repeat(starts - begins, counts)
    indices += np.arange(len(indices))
    return indices, begins


def tensor_of(strings: Sequence[bytes]) -> Array:
    """A DT_STRING tensor of rank 1: an object array."""
    tensor = np.empty(len(strings), object)
    tensor[:] = strings
    return tensor


@dataclasses.dataclass(frozen=True, slots=True)
class StringColumns:
    """Strings in one buffer.

    Attributes:
        data: their bytes, one string after another, and a word of zeros.
        starts: where each begins in `data`.
        lengths: bytes of each.
    """

    data: bytes
    starts: Integers
    lengths: Integers

    @classmethod
    def of(cls, strings: Sequence[bytes]) -> "StringColumns":
        """Columns of strings in Python.

        Raises:
            InvalidInput: one of them is no bytes.
        """
        try:
            data = b"".join([*strings, _PADDING])
        except TypeError as error:
            raise errors.InvalidInput(f"a string is to be given as bytes: {error}") from error
        lengths = np.fromiter(map(len, strings), np.int64, len(strings))
        return cls(data, lengths.cumsum() - lengths, lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    def string(self, row: int) -> bytes:
        """One of them in Python."""
        start = int(self.starts[row])
        return self.data[start : start + int(self.lengths[row])]

    def of_rows(self, rows: Integers) -> "StringColumns":
        """Some of them, in the same buffer."""
        return StringColumns(self.data, self.starts[rows], self.lengths[rows])

    def unaligned(self, places: Integers) -> Words:
        """The word at each place of `data`, whatever string it belongs to."""
        overlapping: Words = np.ndarray((len(self.data) - (WORD_BYTES - 1),), "<u8", self.data, strides=(1,))
        return overlapping[places]

    def words(self, rows: Integers) -> tuple[Words, Integers]:
        """The words of those strings, one string after another, and where each begins among them.

        Requires: none of them is empty.
        """
        lengths = self.lengths.take(rows)
        counts = word_counts(lengths)
        begins = counts.cumsum() - counts
        places = np.repeat(self.starts.take(rows) - (begins << 3), counts)
        places += np.arange(len(places)) << 3
        words = self.unaligned(places)
        last = begins + counts - 1
        words[last] &= _TAILS.take(lengths - ((counts - 1) << 3))
        return words, begins
