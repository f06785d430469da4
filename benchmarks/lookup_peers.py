"""Tables of vectors by key as one would write them instead: a dict, and a binary search in sorted keys.

Each answers what a lookup table of headrace answers: the rows of a block of keys, zeros where a key is not there, and
which ones were found. They hold everything in memory, and are filled when they are made.
"""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Lookup = Callable[[Array], tuple[Array, Array]]
"""Keys to rows and found."""


def in_dict(keys: Array, vectors: Array) -> Lookup:
    """A dict from key to row number, asked key by key at the speed of C, and one copy of all rows."""
    row_of = dict(zip(keys.tolist(), range(len(keys)), strict=True))
    rows = with_zeros(vectors)
    missing = len(keys)

    def look_up(asked: Array) -> tuple[Array, Array]:
        found = map(row_of.get, asked.tolist(), itertools.repeat(missing))
        places = np.fromiter(found, np.int64, len(asked))
        return rows.take(places, axis=0), places < missing

    return look_up


def in_sorted_keys(keys: Array, vectors: Array) -> Lookup:
    """`np.searchsorted`; strings as NumPy's fixed-width bytes."""
    plain = keys.astype(np.bytes_) if keys.dtype == object else keys
    order = np.argsort(plain, kind="stable")
    ordered, rows = plain[order], with_zeros(vectors[order])
    missing = len(keys)

    def look_up(asked: Array) -> tuple[Array, Array]:
        wanted = asked.astype(ordered.dtype)
        places = np.searchsorted(ordered, wanted)
        found = ordered.take(places, mode="clip") == wanted
        return rows.take(np.where(found, places, missing), axis=0), found

    return look_up


def with_zeros(vectors: Array) -> Array:
    """The vectors, and a row of zeros behind them."""
    return np.concatenate([vectors, np.zeros_like(vectors[:1])])
