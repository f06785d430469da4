"""The front door: a function of arrays that many call at once, and that is run on all of their rows together."""

import asyncio
import os
import threading
import time
import weakref
from collections.abc import Callable
from concurrent import futures
from typing import Any, Generic, Self, TypeVar, cast

from batching import array_batches, errors
from batching.array_task import ArrayTask
from batching.batch import Batch
from batching.byte_room import ByteRoom
from batching.layout_queues import LayoutQueues
from batching.options import QueueOptions
from batching.pending import Pending
from batching.ragged import Ragged
from batching.shared_scheduler import SharedScheduler

A = TypeVar("A")
R = TypeVar("R")

MOST_LAYOUTS = 64
"""Enough for a model with buckets of lengths; far more at a time means that hardly any rows can share a batch."""

_FORKED = "this process was forked, and batch threads do not come along: make one here"

_running = threading.local()  # `.scheduler`: whose batch this thread runs


class Batcher(Generic[A, R]):
    """Calls `function` with the rows of many callers at once, and gives each caller its own rows of the result.

    A task is an array with rows first, a tuple of arrays, or a mapping of names to arrays, with equal rows; the
    function takes the same with more rows (a mapping as a dict) and returns any of the three with as many rows as it
    got. It must not depend on which rows it gets together. It runs on the batch threads, on several at a time where
    there are several, and must not change what it is given: a task that is alone in its batch is not copied. When it
    raises it is called again with either half of the tasks, and so on, so that only those at fault fail.

    Tasks whose names, dtypes or shapes after dimension 0 differ never meet, unless in a `ragged` dimension: each such
    *layout* has a queue of its own by `options`, and the queues take turns. At most `most_layouts` queues are kept; for
    a new one the oldest in which nothing waits goes, and where all have tasks, a task of a new layout finds no room.

    Thread-safe, and usable from any number of event loops. Close it, or use it in a `with` or `async with` statement,
    which drain. In a process that was forked it is closed, as threads do not come along.

    Args:
        function: of arrays; what it raises, the tasks that make it do so get, or each of the batch if it always does.
        options: of each layout's queue.
        threads: that run batches, 1 unless a scheduler is given; with 0 somebody has to call `step`.
        scheduler: whose threads run the batches, in turn with those of whoever else uses it. It stays its owner's, who
            closes it after the batchers.
        name: what queues and errors call it; the function's own name unless given.
        ragged: which dimensions may differ among the tasks of a batch, and how they are padded; None: none. Results
            are a task's own rows and not cut in other dimensions: how long those are may depend on the batch.
        max_enqueued_bytes: of the arrays that wait, in all layouts' queues; None: only their rows are bounded. What
            runs does not count, nor does padding, nor what objects lead to.
        bisect: whether a batch that fails is searched for the tasks at fault; without it each task of the batch fails,
            and the function is called once for each batch.

    Raises:
        InvalidOptions: both threads and a scheduler, or a number out of range.

    A pad value that is none of its array's dtype raises InvalidOptions where the first such task is put in.
    """

    def __init__(  # noqa: PLR0913 - its options, each by its name
        self,
        function: Callable[[A], R],
        options: QueueOptions | None = None,
        *,
        threads: int | None = None,
        scheduler: SharedScheduler | None = None,
        name: str | None = None,
        most_layouts: int = MOST_LAYOUTS,
        ragged: Ragged | None = None,
        max_enqueued_bytes: int | None = None,
        bisect: bool = True,
    ) -> None:
        if scheduler is not None and threads is not None:
            raise errors.InvalidOptions("give either threads or a scheduler, which has its own, and not both")
        if most_layouts < 1:
            raise errors.InvalidOptions(f"most_layouts must be at least 1, not {most_layouts}")
        self.name = name if name is not None else getattr(function, "__name__", type(function).__name__)
        self.options = options if options is not None else QueueOptions()
        if self.options.shared_room:
            raise errors.InvalidOptions("the queues of a batcher have no family to share room with")
        byte_room = None if max_enqueued_bytes is None else ByteRoom(self.name, max_enqueued_bytes)
        self._function = function
        self._bisect = bisect
        self._ragged = ragged
        self._owns_scheduler = scheduler is None
        self.scheduler = scheduler or SharedScheduler(1 if threads is None else threads, name=self.name)
        self._has_threads = self.scheduler.statistics().threads > 0
        self._queues = LayoutQueues(
            self.name,
            self.options,
            most_layouts,
            self.scheduler,
            self._run,
            ragged=ragged,
            byte_room=byte_room,
        )
        self._forked = False
        _all.add(self)

    def __call__(self, value: A, *, timeout_seconds: float | None = None) -> R:
        """Return the function's result for these rows; wait for it, and before that for room in the queue.

        Without batch threads it runs batches itself meanwhile. Not for coroutines: it keeps their loop waiting.

        Raises:
            TimeoutError: there is no result after that time; the task does not run, or its result is dropped.
            QueueFull: there was no room in all that time.
            InvalidTask, TaskTooLarge, QueueClosed: as `submit`.
            RuntimeError: called by a function on a thread of the same scheduler, which would wait for itself.
            Exception: what the function raised.
        """
        if getattr(_running, "scheduler", None) is self.scheduler:
            raise RuntimeError(
                f"{self.name!r} is called by a function that runs on its own scheduler's thread, which would wait for "
                "itself: give one of the two a scheduler of its own"
            )
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        task = ArrayTask(value, None, self._ragged)
        turn = None
        while (turn := self._queues.offer(task, turn)) is not None:
            try:
                self._wait(turn, deadline)
            except BaseException:
                turn.leave()
                raise
            if not turn.done():
                turn.leave()
                self._queues.schedule(task)  # which says what there is no room for
                break
        pending = task.pending
        try:
            self._wait(pending, deadline)
            if not pending.done():
                raise TimeoutError(
                    f"{self.name!r} gave no result for {task.rows} rows within {timeout_seconds:g} s"
                )
            return cast("R", pending.result())
        finally:
            pending.cancel()  # nobody waits for it now; nothing where it has ended
            del pending, task  # the error's traceback names this frame, which would name the error

    def submit(self, value: A, *, timeout_seconds: float | None = None) -> Pending[R]:
        """Queue a task and return its result to come, which threads wait for and coroutines await. Never waits.

        The arrays must not be changed before the task has ended. A task that has not begun after `timeout_seconds` does
        not run: its future fails with DeadlineExceeded at that moment, and its room is free again. One that has begun
        then gives its result. A batch is run earlier than by its time-out where a task would miss its time otherwise.

        Raises:
            DeadlineExceeded: it has no time at all.
            InvalidTask: it is no arrays with equal rows, at least one; the message says which array is at fault.
            QueueFull: there is no room now (retriable); `put` and a call wait for it.
            TaskTooLarge: it has more rows than the queue can ever hold, or more bytes.
            QueueClosed: the batcher, or its scheduler, has been closed.
        """
        deadline = None if timeout_seconds is None else self.scheduler.now() + timeout_seconds
        task = ArrayTask(value, deadline, self._ragged)
        self._queues.schedule(task)
        return task.pending

    async def put(self, value: A, *, timeout_seconds: float | None = None) -> Pending[R]:
        """Wait for room without keeping the loop waiting; queue a task and return its result to come, as `submit`.

        Who waits longest is let in first; `submit` does not stand in line.

        Raises:
            QueueFull: there was no room in all that time.
            InvalidTask, TaskTooLarge, QueueClosed: as `submit`.
        """
        task = ArrayTask(value, None, self._ragged)
        turn = None
        try:
            async with asyncio.timeout(timeout_seconds):
                while (turn := self._queues.offer(task, turn)) is not None:
                    await turn
        except TimeoutError:
            if turn is not None:
                turn.leave()
            self._queues.schedule(task)  # which says what there is no room for
        except BaseException:
            if turn is not None:
                turn.leave()
            raise
        return task.pending

    def step(self) -> bool:
        """Run one batch that is due, on the calling thread, as `SharedScheduler.step`; return whether there was one."""
        return self.scheduler.step()

    def close(self, *, drain: bool = True, wait: bool = True) -> None:
        """Take no more tasks; run those that wait (`drain`) or fail them with QueueClosed; wait for the end (`wait`).

        May be called again, for instance to wait. A scheduler that was given goes on.

        Raises:
            RuntimeError: it would wait for the very thread that calls it, a batch thread.
        """
        if self._forked:
            return  # its threads are the parent's
        for task in self._queues.close("it has been closed", drain=drain):
            task.fail(errors.QueueClosed(f"{self.name!r} was closed before this task could run"))
        if self._owns_scheduler:
            self.scheduler.close(wait=wait)
        elif wait:
            self._queues.join()

    async def aclose(self, *, drain: bool = True) -> None:
        """As `close`, and waits for the end without keeping the loop waiting."""
        await asyncio.to_thread(self.close, drain=drain)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        state = "closed" if self._queues.closed else "open"
        return f"<Batcher {self.name!r} {state}: {len(self._queues)} layouts>"

    def _run(self, batch: Batch[ArrayTask]) -> None:
        outer = getattr(_running, "scheduler", None)
        _running.scheduler = self.scheduler
        try:
            array_batches.run(self._function, batch, self.options.allowed_batch_rows, bisect=self._bisect)
        finally:
            _running.scheduler = outer

    def _wait(self, pending: Pending[Any], deadline: float | None) -> None:
        """Wait for its end, running batches meanwhile where nobody else does, or until the deadline."""
        while not pending.done():
            remaining = None if deadline is None else deadline - time.monotonic()
            if remaining is not None and remaining <= 0:
                return
            if not self._has_threads:
                if self.scheduler.step():
                    continue
                due = self.scheduler.seconds_until_due()
                if due is not None:
                    remaining = due if remaining is None else min(due, remaining)
            futures.wait((pending,), None if remaining is None else min(remaining, threading.TIMEOUT_MAX))


_all: weakref.WeakSet[Batcher[Any, Any]] = weakref.WeakSet()


def _after_fork() -> None:
    for batcher in _all:
        batcher._queues.forget(_FORKED)  # noqa: SLF001 - the other half of the class
        batcher._forked = True  # noqa: SLF001 - likewise
    _running.__dict__.clear()


os.register_at_fork(after_in_child=_after_fork)
