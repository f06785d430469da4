"""The front door: a function of arrays that many call at once, and that is run on all of their rows together."""

import asyncio
import functools
import os
import threading
import time
import weakref
from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any, Generic, Self, TypeVar, cast

from batching import array_batches, arrays, errors
from batching.array_task import ArrayTask
from batching.arrays import Layout
from batching.batch import Batch
from batching.batch_queue import BatchQueue
from batching.options import QueueOptions
from batching.pending import Pending
from batching.room import Room, Turn
from batching.shared_scheduler import SharedScheduler

A = TypeVar("A")
R = TypeVar("R")

MOST_LAYOUTS = 64
"""Enough for a model with buckets of lengths; far more at a time means that hardly any rows can share a batch."""

_FORKED = "this process was forked, and batch threads do not come along: make one here"

_running = threading.local()  # `.scheduler`: whose batch this thread runs


@dataclass(slots=True, eq=False)
class Bucket:
    """The tasks of one layout, and those who wait for room among them."""

    queue: BatchQueue[ArrayTask] = field(init=False)
    room: Room = field(default_factory=Room)


class Batcher(Generic[A, R]):
    """Calls `function` with the rows of many callers at once, and gives each caller its own rows of the result.

    A task is an array with rows first, a tuple of arrays, or a mapping of names to arrays, with equal rows; the
    function takes the same with more rows (a mapping as a dict) and returns any of the three with as many rows as it
    got. It must not depend on which rows it gets together. It runs on the batch threads, on several at a time where
    there are several, and must not change what it is given: a task that is alone in its batch is not copied.

    Tasks whose names, dtypes or shapes after dimension 0 differ never meet: each such *layout* has a queue of its own
    by `options`, and the queues take turns. At most `most_layouts` queues are kept; for a new one the oldest in which
    nothing waits goes, and where all have tasks, a task of a new layout finds no room.

    Thread-safe, and usable from any number of event loops. Close it, or use it in a `with` or `async with` statement,
    which drain. In a process that was forked it is closed, as threads do not come along.

    Args:
        function: of arrays; what it raises, each task of that batch gets.
        options: of each layout's queue.
        threads: that run batches, 1 unless a scheduler is given; with 0 somebody has to call `step`.
        scheduler: whose threads run the batches, in turn with those of whoever else uses it. It stays its owner's, who
            closes it after the batchers.
        name: what queues and errors call it; the function's own name unless given.

    Raises:
        InvalidOptions: both threads and a scheduler, or a number out of range.
    """

    def __init__(
        self,
        function: Callable[[A], R],
        options: QueueOptions | None = None,
        *,
        threads: int | None = None,
        scheduler: SharedScheduler | None = None,
        name: str | None = None,
        most_layouts: int = MOST_LAYOUTS,
    ) -> None:
        if scheduler is not None and threads is not None:
            raise errors.InvalidOptions("give either threads or a scheduler, which has its own, and not both")
        if most_layouts < 1:
            raise errors.InvalidOptions(f"most_layouts must be at least 1, not {most_layouts}")
        self.name = name if name is not None else getattr(function, "__name__", type(function).__name__)
        self.options = options if options is not None else QueueOptions()
        self._function = function
        self._most_layouts = most_layouts
        self._owns_scheduler = scheduler is None
        self.scheduler = scheduler or SharedScheduler(1 if threads is None else threads, name=self.name)
        self._has_threads = self.scheduler.statistics().threads > 0
        self._lock = threading.Lock()  # guards changes of what follows; looking a bucket up takes none
        self._buckets: dict[Layout, Bucket] = {}
        self._ending: list[BatchQueue[ArrayTask]] = []  # closed queues whose batches may still run
        self._closed: str | None = None  # why
        self._room = Room()  # for one more layout
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
        task = ArrayTask(value)
        turn: Turn | None = None
        while (turn := self._offer(task, turn)) is not None:
            try:
                self._wait(turn, deadline)
            except BaseException:
                turn.leave()
                raise
            if not turn.done():
                turn.leave()
                self._schedule(task)  # which says what there is no room for
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

    def submit(self, value: A) -> Pending[R]:
        """Queue a task and return its result to come, which threads wait for and coroutines await. Never waits.

        The arrays must not be changed before the task has ended.

        Raises:
            InvalidTask: it is no arrays with equal rows, at least one; the message says which array is at fault.
            QueueFull: there is no room now (retriable); `put` and a call wait for it.
            TaskTooLarge: it has more rows than the queue can ever hold.
            QueueClosed: the batcher, or its scheduler, has been closed.
        """
        task = ArrayTask(value)
        self._schedule(task)
        return task.pending

    async def put(self, value: A, *, timeout_seconds: float | None = None) -> Pending[R]:
        """Wait for room without keeping the loop waiting; queue a task and return its result to come, as `submit`.

        Who waits longest is let in first; `submit` does not stand in line.

        Raises:
            QueueFull: there was no room in all that time.
            InvalidTask, TaskTooLarge, QueueClosed: as `submit`.
        """
        task = ArrayTask(value)
        turn: Turn | None = None
        try:
            async with asyncio.timeout(timeout_seconds):
                while (turn := self._offer(task, turn)) is not None:
                    await turn
        except TimeoutError:
            if turn is not None:
                turn.leave()
            self._schedule(task)  # which says what there is no room for
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
        with self._lock:
            if self._closed == _FORKED:
                return
            self._closed = "it has been closed"
            buckets, self._buckets = tuple(self._buckets.values()), {}
            self._ending += [bucket.queue for bucket in buckets]
            ending = tuple(self._ending)
        for queue in ending:
            for task in queue.close(drain=drain, wait=False):
                task.fail(errors.QueueClosed(f"{self.name!r} was closed before this task could run"))
        for bucket in buckets:
            bucket.room.let_all_in()
        self._room.let_all_in()
        if self._owns_scheduler:
            self.scheduler.close(wait=wait)
        elif wait:
            for queue in ending:
                queue.join()

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
        state = "open" if self._closed is None else "closed"
        return f"<Batcher {self.name!r} {state}: {len(self._buckets)} layouts>"

    def _schedule(self, task: ArrayTask) -> None:
        layout = task.layout
        while True:
            bucket = self._buckets.get(layout) or self._add_bucket(layout)
            try:
                bucket.queue.schedule(task)
            except errors.QueueClosed:
                if self._buckets.get(layout) is bucket:
                    raise  # by the scheduler
                # It made room for another layout, or the batcher was closed, between the two lines.
            else:
                return

    def _add_bucket(self, layout: Layout) -> Bucket:
        with self._lock:
            if self._closed is not None:
                raise errors.QueueClosed(f"{self.name!r} takes no task: {self._closed}")
            if (found := self._buckets.get(layout)) is not None:
                return found
            if len(self._buckets) >= self._most_layouts:
                self._remove_idle(layout)
            bucket = Bucket()
            bucket.queue = self.scheduler.add_queue(
                f"{self.name} {arrays.describe(layout)}",
                self.options,
                functools.partial(self._process, bucket),
                owner=self,
            )
            self._buckets[layout] = bucket
            return bucket

    def _remove_idle(self, wanted: Layout) -> None:
        """Make room for one more layout. Requires: the lock."""
        for layout, bucket in self._buckets.items():
            if not bucket.queue.enqueued_tasks:
                del self._buckets[layout]
                bucket.queue.close(wait=False)  # whatever comes in before this line is still run
                bucket.room.let_all_in()
                self._ending = [queue for queue in self._ending if not _has_ended(queue)]
                self._ending.append(bucket.queue)
                return
        raise errors.QueueFull(
            f"{self.name!r} has tasks of {len(self._buckets)} layouts waiting, as many as most_layouts allows, and "
            f"none of {arrays.describe(wanted)}"
        )

    def _offer(self, task: ArrayTask, turn: Turn | None) -> Turn | None:
        """Queue a task, after a turn in line or the first time; without room return a turn to wait for."""
        try:
            self._schedule(task)
        except errors.QueueFull:
            bucket = self._buckets.get(task.layout)
            again = (self._room if bucket is None else bucket.room).line_up(first=turn is not None)
            try:
                self._schedule(task)  # there may be room since; from now on its turn tells
            except errors.QueueFull:
                return again
            except BaseException:
                again.leave()
                raise
            again.leave()
        if turn is not None:
            turn.room.let_one_in()  # there may be room for more than one
        return None

    def _process(self, bucket: Bucket, batch: Batch[ArrayTask]) -> None:
        """Run a batch. Its queue has room since it left."""
        bucket.room.let_one_in()
        self._room.let_one_in()
        outer = getattr(_running, "scheduler", None)
        _running.scheduler = self.scheduler
        try:
            array_batches.run(self._function, batch, self.options.allowed_batch_rows)
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
            futures.wait((pending,), remaining)

    def _forget_parent(self) -> None:
        """Refuse tasks in a forked process, where locks may be held by threads that are not there."""
        self._lock, self._room = threading.Lock(), Room()
        self._buckets, self._ending = {}, []
        self._closed = _FORKED


def _has_ended(queue: BatchQueue[ArrayTask]) -> bool:
    seen = queue.statistics()
    return not seen.enqueued_batches and not seen.running_batches


_all: weakref.WeakSet[Batcher[Any, Any]] = weakref.WeakSet()


def _after_fork() -> None:
    for batcher in _all:
        batcher._forget_parent()  # noqa: SLF001 - the other half of the class
    _running.__dict__.clear()


os.register_at_fork(after_in_child=_after_fork)
