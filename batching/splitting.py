"""Where a task is cut so that batches fill up: a pure plan, made before anything is put anywhere.

TensorFlow's `InputSplitMetadata` does the same for tasks that can be cut at each row. Here a task may refuse
a cut, so the plan has to ask it.
"""

from batching import errors
from batching.task import T


def plan(task: T, room_rows: int, max_batch_rows: int) -> tuple[T | None, list[T]]:
    """Return (filler, parts): what goes into the open batch, and what starts a new batch each.

    `room_rows` is what the open batch can still take (0: there is none). Without parts the whole task is the
    filler; with parts the open batch is to be closed, whether it got a filler or not. The task is left as it
    is.

    Raises:
        TaskTooLarge: a piece is larger than a whole batch and cannot be cut.
        InvalidTask: the task has no rows, or a cut does not add up.
    """
    if task.rows < 1:
        raise errors.InvalidTask(f"a task has at least 1 row, not {task.rows}")
    if task.rows <= room_rows:
        return task, []
    filler, rest = None, task
    if room_rows and (first := cut(task, room_rows)):
        filler, rest = first
    parts = []
    while rest.rows > max_batch_rows:
        pieces = cut(rest, max_batch_rows)
        if pieces is None:
            raise errors.TaskTooLarge(
                f"a task of {rest.rows} rows does not split, and a batch holds {max_batch_rows}"
            )
        head, rest = pieces
        parts.append(head)
    parts.append(rest)
    return filler, parts


def cut(task: T, rows: int) -> tuple[T, T] | None:
    """Return the task's own split, checked: a wrong one would lose rows without a trace.

    Raises:
        InvalidTask: it does not add up.
    """
    pieces = task.split(rows)
    if pieces is not None:
        head, tail = pieces[0].rows, pieces[1].rows
        if not 1 <= head <= rows or head + tail != task.rows:
            raise errors.InvalidTask(
                f"a task of {task.rows} rows was split at {rows} into {head} and {tail} rows"
            )
    return pieces


def cut_if_possible(task: T, rows: int) -> tuple[T, T] | None:
    """Return the task's own split; None too where it raises or is wrong, as no caller of the task is there to be told.

    For tasks that wait already, and may stay whole.
    """
    try:
        return cut(task, rows)
    except Exception:  # noqa: BLE001 - whatever it raises, the task runs whole
        return None
