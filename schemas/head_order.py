"""Sorts records of one length by what they begin with, all of them at once.

A dictionary on heads looks at record after record, for each length of a head again. Here the heads are hashed as
columns of numbers, and records with one hash stand together: whoever takes such a group for records of one head has to
compare it, for different heads may have one hash, by chance or because somebody wants it.
"""

import itertools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

LONGEST_HEAD = 512
"""Bytes of a head that are hashed; longer ones are rare, and their records are large."""
_WORD = 8
_FACTORS = np.random.default_rng(1).integers(1, 1 << 63, LONGEST_HEAD // _WORD, np.uint64) | np.uint64(1)
_HALF = np.uint64(32)


def by_head(
    matrix: "npt.NDArray[np.uint8]", length: int
) -> tuple["npt.NDArray[np.intp]", list[tuple[int, int]]]:
    """Sort records by a hash of their first bytes; those with equal ones stay in their order.

    Args:
        matrix: the records' bytes, a row each.
        length: of the heads, at most `LONGEST_HEAD` and the length of a row.

    Returns:
        The rows' numbers, sorted; and for each group of equal hashes its (start, end) in them.
    """
    padded = np.zeros((len(matrix), -(-length // _WORD) * _WORD), np.uint8)
    padded[:, :length] = matrix[:, :length]
    words = padded.view(np.uint64)
    # Products lose what stands high in a word: two heads that differ there alone would often have one hash.
    words ^= words >> _HALF
    hashes = words @ _FACTORS[: words.shape[1]]
    order = hashes.argsort(kind="stable")
    ordered = hashes[order]
    bounds = [0, *(np.flatnonzero(ordered[1:] != ordered[:-1]) + 1).tolist(), len(order)]
    return order, list(itertools.pairwise(bounds))
