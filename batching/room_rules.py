"""What a queue has no room for, now or ever."""

from typing import NoReturn

from batching import errors
from batching.options import QueueOptions


def refuse_if_too_large(name: str, rows: int, options: QueueOptions) -> None:
    """Raise TaskTooLarge where a task of so many rows is more than the whole queue of that name."""
    most_rows = options.max_enqueued_batches * options.max_batch_rows
    if rows > most_rows:
        raise errors.TaskTooLarge(
            f"a task of {rows} rows is more than queue {name!r} holds ({most_rows}); split it and schedule its parts"
        )


def refuse(
    name: str, rows: int, new_batches: int, options: QueueOptions, batches: int, capacity_rows: int
) -> NoReturn:
    """Refuse a task that needs so many more batches, which is too many beside those that wait.

    Raises:
        TaskTooLarge: it would be even where none waits.
        QueueFull: it is now.
    """
    limit = options.max_enqueued_batches
    if not batches:
        raise errors.TaskTooLarge(
            f"a task of {rows} rows needs {new_batches} batches; queue {name!r} may hold {limit}"
        )
    raise errors.QueueFull(
        f"queue {name!r} has room for {limit - batches} batches, {capacity_rows} rows in all; a task of {rows} rows "
        f"needs {new_batches}"
    )
