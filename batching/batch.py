"""The batch: tasks that will be processed together. It is open, then closed, and then taken.

One that waits is opened again only where tasks of it have expired.
"""

import enum
import math
from typing import Any, Generic

from batching import splitting
from batching.task import T


class CloseReason(enum.StrEnum):
    """Why a batch takes no more tasks; the values are fit for a metric's label."""

    FULL = "full"
    """It has reached the largest size, or the next task did not fit into what was left of it."""
    TIMEOUT = "timeout"
    """Its first task has waited for `batch_timeout_seconds`."""
    IDLE = "idle"
    """A thread was free, and the time-out is 0."""
    DEADLINE = "deadline"
    """Waiting longer, its most urgent task would have been late: the time left was what a batch of its size takes."""
    DRAIN = "drain"
    """Its queue was closed."""


NEVER = math.inf
"""The deadline of a task that has none."""


class Batch(Generic[T]):
    """Tasks in the order in which they came, with the times at which they came.

    Of deadlines only those that there are take room and time. Filled by a queue under the scheduler's lock; handed,
    closed, to the process callback, which then owns it and each task in it. Not thread-safe by itself.
    """

    __slots__ = (
        "_deadlines",
        "close_reason",
        "deadline",
        "enqueued_at",
        "padded_rows",
        "rows",
        "tasks",
        "waited_seconds",
    )

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
        self.deadline = NEVER
        """The earliest of its tasks' deadlines (the scheduler's clock)."""
        self._deadlines: dict[int, float] | None = None  # by place among the tasks; None: there are none

    def add(self, task: T, now: float) -> None:
        """Append a task. Requires: the batch is open and has room."""
        assert self.close_reason is None, f"{self!r} is closed and takes no task"
        self.tasks.append(task)
        self.enqueued_at.append(now)
        self.rows += task.rows

    def limit(self, first: int, deadline: float) -> None:
        """Give the tasks from place `first` on a deadline; those with one of their own have that."""
        if self._deadlines is None:
            self._deadlines = {}
        for place in range(first, len(self.tasks)):
            task: Any = self.tasks[place]
            at = task.deadline if hasattr(task, "expire") else deadline
            if at < NEVER:
                self._deadlines[place] = at
                self.deadline = min(self.deadline, at)

    def expire(self, now: float) -> list[T]:
        """Remove and return what is out of time, tasks and parts of them. Requires: nobody has taken the batch."""
        deadlines = self._deadlines or {}
        waiting = list(zip(self.tasks, self.enqueued_at, strict=True))
        self.tasks, self.enqueued_at, self._deadlines = [], [], {}
        expired = []
        for place, (task, enqueued_at) in enumerate(waiting):
            left: T | None = task
            deadline = deadlines.get(place, NEVER)
            if deadline <= now:
                late, left, deadline = _parted(task, now)
                if late is not None:
                    expired.append(late)
            if left is not None:
                if deadline < NEVER:
                    self._deadlines[len(self.tasks)] = deadline
                self.tasks.append(left)
                self.enqueued_at.append(enqueued_at)
        self.rows -= sum(task.rows for task in expired)
        self.deadline = min(self._deadlines.values(), default=NEVER)
        return expired

    def absorb(self, other: "Batch[T]") -> None:
        """Append another batch's tasks, with their times. Requires: both wait."""
        theirs = other._deadlines  # noqa: SLF001 - of the same class
        if theirs:
            places = len(self.tasks)
            moved = {places + place: deadline for place, deadline in theirs.items()}
            self._deadlines = {**(self._deadlines or {}), **moved}
            self.deadline = min(self.deadline, other.deadline)
        self.tasks += other.tasks
        self.enqueued_at += other.enqueued_at
        self.rows += other.rows

    def reopen(self) -> None:
        """Take tasks again, as some have expired. Requires: nobody has taken the batch."""
        self.close_reason, self.padded_rows = None, 0

    def close(self, reason: CloseReason, padded_rows: int) -> None:
        """Take no more tasks. Requires: the batch is open and not empty."""
        assert self.close_reason is None, f"{self!r} is closed already"
        assert self.tasks, "an empty batch is never dispatched"
        self.padded_rows = padded_rows
        self.close_reason = reason

    def take_first(self, rows: int) -> T | None:
        """Let go of the first task, or of as many rows of it as are wanted, and return what left; None: it has no cut.

        It leaves in another batch. Requires: the batch is not handed over yet.
        """
        task = self.tasks[0]
        if task.rows > rows:
            pieces = splitting.cut_if_possible(task, rows)
            if pieces is None:
                return None
            task, self.tasks[0] = pieces
        else:
            del self.tasks[0], self.enqueued_at[0]
            if self._deadlines:
                self._deadlines = {place - 1: at for place, at in self._deadlines.items() if place}
                self.deadline = min(self._deadlines.values(), default=NEVER)
        self.rows -= task.rows
        return task

    def drop_last(self) -> T:
        """Let go of the last task, which is given up. Requires: the batch is not handed over yet."""
        task = self.tasks.pop()
        self.enqueued_at.pop()
        self.rows -= task.rows
        if self._deadlines and self._deadlines.pop(len(self.tasks), None) is not None:
            self.deadline = min(self._deadlines.values(), default=NEVER)
        return task

    def part_at(self, rows: int) -> int:
        """Return the place where the first `rows` rows end; where a task there has no such cut, one before that.

        The task there is cut, and is two from now on. Requires: the batch is open and has more rows than that.
        """
        place = 0
        while self.tasks[place].rows <= rows:
            rows -= self.tasks[place].rows
            place += 1
        pieces = splitting.cut_if_possible(self.tasks[place], rows) if rows else None
        if pieces is None:
            return place
        self.tasks[place : place + 1] = pieces
        self.enqueued_at.insert(place, self.enqueued_at[place])
        if self._deadlines:
            both = self._deadlines
            self._deadlines = {each + (each > place): at for each, at in both.items()}
            if place in both:
                self._deadlines[place + 1] = both[place]
        return place + 1

    def split_off(self, place: int) -> "Batch[T]":
        """Let the tasks from a place on go, with their times and deadlines, into an open batch, and return that.

        Requires: the batch is open; there are tasks before that place.
        """
        rest: Batch[T] = Batch()
        rest.tasks, rest.enqueued_at = self.tasks[place:], self.enqueued_at[place:]
        del self.tasks[place:], self.enqueued_at[place:]
        rest.rows = sum(task.rows for task in rest.tasks)
        self.rows -= rest.rows
        if self._deadlines:
            both = self._deadlines
            theirs = {each - place: at for each, at in both.items() if each >= place}
            self._deadlines = {each: at for each, at in both.items() if each < place}
            self.deadline = min(self._deadlines.values(), default=NEVER)
            rest._deadlines = theirs
            rest.deadline = min(theirs.values(), default=NEVER)
        return rest

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


def _parted(task: T, now: float) -> tuple[T | None, T | None, float]:
    """What of a task whose deadline has passed is out of time, what is not, and the deadline of that."""
    limited: Any = task
    if not hasattr(task, "expire"):
        return task, None, NEVER
    try:
        late, rest = limited.expire(now)
        rows = sum(part.rows for part in (late, rest) if part is not None)
        deadline = NEVER if rest is None else rest.deadline
    except Exception:  # noqa: BLE001 - who runs it finds out; a scheduler's thread must not end of it
        return None, task, NEVER
    if rows != task.rows:
        return None, task, NEVER
    return late, rest, deadline if deadline > now else NEVER
