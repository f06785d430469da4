"""The batch task: what a caller puts into a queue.

Like TensorFlow's BatchTask (`batching_util/batch_scheduler.h`) it is known by its size alone. Unlike there it
is asked to split itself, because only the task knows where it may be cut: a block of requests between two
requests.
"""

from typing import Protocol, Self, TypeVar


class Task(Protocol):
    """A piece of work that shares a batch with others. Any object with these two members is one.

    The scheduler never finishes a task: the process callback does. A task is not touched by the scheduler
    once it has been handed over in a batch, and a refused task is as it was before.
    """

    @property
    def rows(self) -> int:
        """How much of a batch the task takes up: at least 1, and never changing."""

    def split(self, rows: int) -> tuple[Self, Self] | None:
        """Return (head, tail): a head as large as can be with at most `rows` rows, and all that is left.

        None says that no such cut exists. Called with `1 <= rows < self.rows`, under the scheduler's lock: it
        must be quick, must not call the scheduler, and must leave the task itself usable (the queue may still
        refuse it).
        """


class LimitedTask(Task, Protocol):
    """A task of pieces that have deadlines of their own, scheduled with the earliest of them.

    A queue asks a task with these two members which of it is out of time, and keeps the rest in its place.
    """

    @property
    def deadline(self) -> float:
        """The earliest of its pieces' deadlines, in seconds of the scheduler's clock; infinite where none has one."""

    def expire(self, now: float) -> tuple[Self | None, Self | None]:
        """Return (late, rest): what is out of time now and what is not; None for nothing.

        Called under the scheduler's lock: it must be quick, must not call the scheduler and must not raise. Where it
        does, or rows are missing from what it returns, all of the task stays and runs, as if it had no deadline.
        """


T = TypeVar("T", bound=Task)
