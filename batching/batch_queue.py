"""The caller's side of one queue: put tasks in, see how full it is, close it."""

from collections.abc import Callable
from typing import Generic

from batching import errors, queue_statistics, shared_room
from batching.dispatcher import Dispatcher
from batching.lane import Lane
from batching.options import QueueOptions
from batching.queue_statistics import QueueStatistics
from batching.task import T


class BatchQueue(Generic[T]):
    """Made by `SharedScheduler.add_queue`. Thread-safe: any thread may call any method.

    Tasks of one queue leave it in the order in which they came; with several batch threads two of its batches
    may be processed at the same time. Nothing here waits, except `join`, and `close` where asked to.
    """

    def __init__(
        self,
        lane: Lane[T],
        dispatcher: Dispatcher,
        join: Callable[[Lane[T], float | None], bool],
        keep_deadlines: Callable[[], None],
    ) -> None:
        self._lane = lane
        self._dispatcher = dispatcher
        self._join = join
        self._keep_deadlines = keep_deadlines

    @property
    def name(self) -> str:
        """What observers and people call it; not necessarily unique."""
        return self._lane.queue.name

    @property
    def options(self) -> QueueOptions:
        """How it forms batches."""
        return self._lane.queue.options

    @property
    def enqueued_tasks(self) -> int:
        """Tasks waiting; a split task counts once for each of its parts."""
        return self._lane.queue.enqueued_tasks

    @property
    def enqueued_rows(self) -> int:
        """Rows waiting."""
        return self._lane.queue.enqueued_rows

    @property
    def capacity_rows(self) -> int:
        """Rows of a freely divisible task that would be accepted now, an upper bound for others."""
        return shared_room.capacity_rows(self._lane)

    @property
    def closed(self) -> bool:
        """Whether it refuses tasks for good."""
        return self._lane.queue.closed

    def schedule(self, task: T, *, deadline: float | None = None) -> None:
        """Take the task as a whole, or raise and leave it, unchanged, with the caller. Never waits.

        A task that still waits at its *deadline*, in seconds of the scheduler's clock, leaves the queue then, or before
        where the queue's options say so (`queue_timeout_seconds`): it is
        handed to the queue's `expired` and never runs. Of a task that was split each part that waits does; the others
        run on. A `batching.task.LimitedTask` leaves piece by piece, each at its own deadline.

        Raises:
            QueueFull: not now (retriable), whoever might go for it. There is room again when the observer hears of a
                batch of this queue, or `expired` of a task.
            DeadlineExceeded: the deadline has passed already.
            TaskTooLarge: never: it does not split into pieces that this queue can hold.
            QueueClosed: the queue, or the scheduler, has been closed.
            InvalidTask: the task has no rows, or split itself wrongly, or has a deadline where there is no `expired`.
        """
        if deadline is not None:
            if self._lane.expired is None:
                raise errors.InvalidTask(
                    f"queue {self.name!r} takes no deadlines: it has no `expired` to tell"
                )
            self._keep_deadlines()
        elif self._lane.queue.options.rejects:
            self._keep_deadlines()
        evicted = self._dispatcher.schedule(self._lane, task, deadline)
        if evicted:
            shared_room.tell(evicted)

    def close(self, *, drain: bool = True, wait: bool = True) -> tuple[T, ...]:
        """Take no more tasks, process what waits (`drain`), and wait for the end of it (`wait`).

        Returns the tasks that will never be processed, which are the caller's again: none when draining.
        Without batch threads it processes what waits itself. May be called again, for instance to wait.

        Raises:
            RuntimeError: it would wait for the very thread that calls it, a batch thread.
        """
        tasks = self._dispatcher.close_lane(self._lane, drain=drain)
        if wait:
            self.join()
        return tuple(tasks)

    def join(self, timeout_seconds: float | None = None) -> bool:
        """Wait until each task of the closed queue is processed or expired; return whether that is so within the time.

        Raises:
            RuntimeError: as `close`.
        """
        return self._join(self._lane, timeout_seconds)

    def statistics(self) -> QueueStatistics:
        """Return a snapshot of the queue."""
        return self._dispatcher.read(self._lane, queue_statistics.read)

    def __repr__(self) -> str:
        # Without the lock, so that it can be shown from anywhere, also by an error raised under it.
        queue = self._lane.queue
        state = "closed" if queue.closed else "open"
        return (
            f"<BatchQueue {queue.name!r} {state}: {queue.enqueued_tasks} tasks, {queue.enqueued_rows} rows "
            f"in {queue.enqueued_batches}/{queue.options.max_enqueued_batches} batches, "
            f"{self._lane.running_batches} running>"
        )
