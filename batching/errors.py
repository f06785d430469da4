"""What can go wrong while tasks are gathered into batches: one tree, and whether trying again helps."""

from typing import ClassVar


class BatchingError(Exception):
    """Root of this package's errors. `retriable`: the same call may succeed later without any change."""

    retriable: ClassVar[bool] = False


class QueueFull(BatchingError):
    """The queue has no room for the task now; nothing of it was taken, it stays with the caller."""

    retriable: ClassVar[bool] = True


class TaskTooLarge(BatchingError):
    """The task can never enter this queue: even the empty queue cannot hold it, and it splits no further."""


class QueueClosed(BatchingError):
    """The queue, or the scheduler as a whole, has been closed and takes nothing more."""


class DeadlineExceeded(BatchingError, TimeoutError):
    """The task's deadline passed before it could begin; it does not run. A `TimeoutError`, as of any other wait."""


class InvalidTask(BatchingError):
    """The task breaks the protocol: it has no rows, or its split does not add up."""


class InvalidOptions(BatchingError):
    """An option is out of its range; raised at construction, before any task is taken."""


class ObjectiveOutOfReach(BatchingError):
    """No batch size that was measured does what is wanted of it; the message says what would."""


class RowCountMismatch(BatchingError):
    """An array has other rows than its tasks add up to, so that no row can be given to its owner."""


class LayoutMismatch(BatchingError):
    """Arrays of unlike dtype or unlike inner shape were given to be merged."""


class InvalidOutput(BatchingError):
    """A function returned something else than arrays, so that its tasks have no results."""


class FunctionFailed(BatchingError):
    """A function raised what must not end its callers, such as SystemExit; that is this error's cause."""
