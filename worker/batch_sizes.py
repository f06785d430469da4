"""Batches of large rows: fewer rows than a queue's options allow, so that a batch does not outgrow its bytes."""

import dataclasses
import functools

from batching.options import QueueOptions


def within_bytes(
    options: QueueOptions, row_bytes: int, max_batch_bytes: int, largest_rows: int
) -> QueueOptions:
    """The options for requests of a kind: the same, or with fewer rows a batch. Used by the poll thread.

    Strings have no size that is known beforehand, and are not bounded; nor are they copied into a batch.

    Args:
        options: those of the version.
        row_bytes: of the requests' kind.
        max_batch_bytes: bytes of all inputs of one batch, before padding.
        largest_rows: rows of the largest request. A batch takes it, whatever its bytes.
    """
    if row_bytes * options.max_batch_rows <= max_batch_bytes or options.max_batch_rows == 1:
        return options
    return _bounded(options, max_batch_bytes // row_bytes, largest_rows)


@functools.lru_cache(maxsize=4096)
def _bounded(options: QueueOptions, rows: int, largest_rows: int) -> QueueOptions:
    """At most so many rows, as far as the largest request and the allowed sizes let it.

    Of the allowed sizes it is the largest that is small enough: a batch closed between two would be padded. Requests
    of different sizes must not each have a queue of their own, hence the power of two.
    """
    if largest_rows > rows:
        rows = 1 << (largest_rows - 1).bit_length()
    rows = max(1, rows)
    sizes = options.allowed_batch_rows
    fitting = [size for size in sizes if largest_rows <= size <= rows]
    rows = fitting[-1] if fitting else next((size for size in sizes if size >= rows), rows)
    if rows >= options.max_batch_rows:
        return options
    sizes = tuple(size for size in sizes if size <= rows)
    return dataclasses.replace(options, max_batch_rows=rows, allowed_batch_rows=sizes)
