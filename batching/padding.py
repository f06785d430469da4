"""Allowed batch sizes: a device that compiles a program per size should meet few sizes.

A batch of 3 rows is run as one of 4 when the allowed sizes are 2, 4 and 8. The rows that are added repeat the
last one (`batching.merging`), because a row of zeros may be no valid input at all (TensorFlow Serving,
`batching_session.cc`).
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from batching import errors


def next_allowed(rows: int, allowed: Sequence[int]) -> int:
    """Return the smallest allowed size that holds `rows` rows; `rows` itself where no sizes are given.

    Raises:
        RowCountMismatch: `rows` is larger than the largest allowed size.
    """
    if not allowed:
        return rows
    position = bisect_left(allowed, rows)
    if position == len(allowed):
        raise errors.RowCountMismatch(
            f"{rows} rows are more than the largest allowed batch size {allowed[-1]}"
        )
    return allowed[position]


def check_allowed(allowed: Sequence[int], max_batch_rows: int) -> None:
    """Refuse allowed sizes that are not positive, not ascending, or do not end at `max_batch_rows`.

    The last size must be the largest batch: a smaller one would leave full batches without a size, a larger
    one would pad every full batch.

    Raises:
        InvalidOptions: with the sizes and what was expected of them.
    """
    if not allowed:
        return
    if allowed[0] < 1 or any(b <= a for a, b in pairwise(allowed)):
        raise errors.InvalidOptions(
            f"allowed_batch_rows must be positive and ascending, not {tuple(allowed)}"
        )
    if allowed[-1] != max_batch_rows:
        raise errors.InvalidOptions(
            f"the last of allowed_batch_rows must be max_batch_rows ({max_batch_rows}), not {allowed[-1]}"
        )
