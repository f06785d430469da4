"""The batch: tasks that will be processed together. It is open, then closed, and never opened again."""

import enum
from typing import Generic

from batching.task import T


class CloseReason(enum.StrEnum):
    """Why a batch takes no more tasks; the values are fit for a metric's label."""

    FULL = "full"
    """It has reached the largest size, or the next task did not fit into what was left of it."""
    TIMEOUT = "timeout"
    """Its first task has waited for `batch_timeout_seconds`."""
    IDLE = "idle"
    """A thread was free, and the time-out is 0."""
    DRAIN = "drain"
    """Its queue was closed."""


class Batch(Generic[T]):
    """Tasks in the order in which they came, with the times at which they came.

    Filled by a queue under the scheduler's lock; handed, closed, to the process callback, which then owns it
    and each task in it. Not thread-safe by itself.
    """

    __slots__ = ("close_reason", "enqueued_at", "padded_rows", "rows", "tasks", "waited_seconds")

    def __init__(self) -> None:
        self.tasks: list[T] = []
        self.enqueued_at: list[float] = []
        """When each task was scheduled (the scheduler's clock); both parts of a split task keep its time."""
        self.rows = 0
        """Sum of the tasks' rows."""
        self.padded_rows = 0
        """The size to run: the next allowed one; equal to `rows` where no sizes are set. Set when closed."""
        self.close_reason: CloseReason | None = None
        """None while the batch is open."""
        self.waited_seconds = 0.0
        """From its first task until a thread took it. Set when taken."""

    def add(self, task: T, now: float) -> None:
        """Append a task. Requires: the batch is open and has room."""
        assert self.close_reason is None, f"{self!r} is closed and takes no task"
        self.tasks.append(task)
        self.enqueued_at.append(now)
        self.rows += task.rows

    def close(self, reason: CloseReason, padded_rows: int) -> None:
        """Take no more tasks. Requires: the batch is open and not empty."""
        assert self.close_reason is None, f"{self!r} is closed already"
        assert self.tasks, "an empty batch is never dispatched"
        self.padded_rows = padded_rows
        self.close_reason = reason

    def drop_first(self) -> None:
        """Let go of the first task, which leaves in another batch. Requires: the batch is not handed over yet."""
        self.rows -= self.tasks.pop(0).rows
        del self.enqueued_at[0]

    def fill_up(self, tasks: list[T], enqueued_at: list[float], padded_rows: int) -> None:
        """Take tasks of lower priorities behind its own. Requires: the batch is closed and not handed over yet."""
        assert self.close_reason is not None, f"{self!r} is open and is filled by its own queue"
        self.tasks += tasks
        self.enqueued_at += enqueued_at
        self.rows += sum(task.rows for task in tasks)
        self.padded_rows = padded_rows

    def __repr__(self) -> str:
        state = (
            "open"
            if self.close_reason is None
            else f"closed ({self.close_reason}), run as {self.padded_rows}"
        )
        return f"<Batch of {len(self.tasks)} tasks, {self.rows} rows, {state}>"
