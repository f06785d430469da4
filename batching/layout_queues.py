"""A queue for each layout of arrays, so that tasks of unlike shape never meet, with a bound on how many there are."""

import functools
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from batching import arrays, errors
from batching.array_task import ArrayTask
from batching.arrays import Layout
from batching.batch import Batch
from batching.batch_queue import BatchQueue
from batching.byte_room import ByteRoom, BytesFull
from batching.options import QueueOptions
from batching.ragged import Ragged
from batching.room import Room, Turn
from batching.shared_scheduler import SharedScheduler


@dataclass(slots=True, eq=False)
class Bucket:
    """The tasks of one layout, and those who wait for room among them."""

    queue: BatchQueue[ArrayTask] = field(init=False)
    room: Room = field(default_factory=Room)


class LayoutQueues:
    """Thread-safe. For a new layout the oldest queue in which nothing waits goes, once there are `most`.

    A queue is made again in microseconds, so that it matters little which one goes. A refusal would be worse: with
    inputs of many lengths, of which few are there at a time, it would come for good after the first `most`.

    Args:
        name: what queues and errors call it.
        options: of each queue.
        most: queues that there are at a time.
        run: called with each batch, on the scheduler's threads.
        ragged: which dimensions do not tell layouts apart; None: all do.
        byte_room: bounds the bytes of what waits in all of them; None: only rows are bounded.
    """

    def __init__(  # noqa: PLR0913 - what it is made of, the optional by name
        self,
        name: str,
        options: QueueOptions,
        most: int,
        scheduler: SharedScheduler,
        run: Callable[[Batch[ArrayTask]], None],
        *,
        ragged: Ragged | None = None,
        byte_room: ByteRoom | None = None,
    ) -> None:
        self._name = name
        self._options = options
        self._most = most
        self._scheduler = scheduler
        self._run = run
        self._ragged = ragged
        self._lock = threading.Lock()  # guards changes of what follows; looking a bucket up takes none
        self._buckets: dict[Layout, Bucket] = {}
        self._ending: list[BatchQueue[ArrayTask]] = []  # closed queues whose batches may still run
        self._closed: str | None = None  # why
        self._room = Room()  # for one more layout
        self._byte_room = byte_room

    def __len__(self) -> int:
        return len(self._buckets)

    @property
    def closed(self) -> bool:
        """Whether tasks are refused for good."""
        return self._closed is not None

    def schedule(self, task: ArrayTask) -> None:
        """Queue a task, or raise as `BatchQueue.schedule` and leave it. Never waits."""
        if self._byte_room is None:
            self._schedule(task)
            return
        self._byte_room.take(task.size_bytes)
        try:
            self._schedule(task)
        except BaseException:
            self._byte_room.give(task.size_bytes)
            raise

    def _schedule(self, task: ArrayTask) -> None:
        layout = task.layout
        while True:
            bucket = self._buckets.get(layout) or self._add(layout)
            try:
                bucket.queue.schedule(task, deadline=task.deadline)
            except errors.QueueClosed:
                if self._buckets.get(layout) is bucket:
                    raise  # the scheduler was closed
                # It made room for another layout, or all were closed, between the two lines.
            else:
                return

    def offer(self, task: ArrayTask, turn: Turn | None) -> Turn | None:
        """Queue a task, at first or when its *turn* has come; without room return a turn to wait for."""
        again = self._queue_or_line_up(task, turn)
        if turn is not None and (again is None or again.room is not turn.room):
            turn.room.let_one_in()  # there may be room for more than one, or it is another room that there is none of
        return again

    def close(self, why: str, *, drain: bool) -> list[ArrayTask]:
        """Refuse tasks, which are told why; return those that will not be run: none when draining. May be repeated."""
        with self._lock:
            self._closed = self._closed or why
            buckets, self._buckets = tuple(self._buckets.values()), {}
            self._ending += [bucket.queue for bucket in buckets]
            ending = tuple(self._ending)
        tasks = [task for queue in ending for task in queue.close(drain=drain, wait=False)]
        self._left(tasks)
        for bucket in buckets:
            bucket.room.let_all_in()
        self._room.let_all_in()
        if self._byte_room is not None:
            self._byte_room.room.let_all_in()
        return tasks

    def join(self) -> None:
        """Wait until each task is run. Requires: closed. Raises as `BatchQueue.join`."""
        for queue in tuple(self._ending):
            queue.join()

    def forget(self, why: str) -> None:
        """Refuse tasks in a forked process, where locks may be held by threads that are not there."""
        self._lock, self._room, self._byte_room = threading.Lock(), Room(), None
        self._buckets, self._ending = {}, []
        self._closed = why

    def _queue_or_line_up(self, task: ArrayTask, turn: Turn | None) -> Turn | None:
        again: Turn | None = None
        while True:
            try:
                self.schedule(task)  # once it is in line there may be room; from then on its turn tells
            except errors.QueueFull as full:
                room = self._room_for(task, full)
                if again is not None and again.room is room:
                    return again
                if again is not None:
                    again.leave()
                again = room.line_up(first=turn is not None and turn.room is room)
            except BaseException:
                if again is not None:
                    again.leave()
                raise
            else:
                if again is not None:
                    again.leave()
                return None

    def _room_for(self, task: ArrayTask, full: errors.QueueFull) -> Room:
        """The line to wait in for what there was none of."""
        if self._byte_room is not None and isinstance(full, BytesFull):
            return self._byte_room.room
        bucket = self._buckets.get(task.layout)
        return self._room if bucket is None else bucket.room

    def _left(self, tasks: Iterable[ArrayTask]) -> None:
        """Count tasks as waiting no more."""
        if self._byte_room is not None and (size_bytes := sum(task.size_bytes for task in tasks)):
            self._byte_room.give(size_bytes)

    def _add(self, layout: Layout) -> Bucket:
        with self._lock:
            if self._closed is not None:
                raise errors.QueueClosed(f"{self._name!r} takes no task: {self._closed}")
            if (found := self._buckets.get(layout)) is not None:
                return found
            if self._ragged is not None:
                for key, (dtype, _) in zip(arrays.keys_of(layout[0]), layout[1], strict=True):
                    self._ragged.check(key, dtype)
            if len(self._buckets) >= self._most:
                self._remove_idle(layout)
            bucket = Bucket()
            bucket.queue = self._scheduler.add_queue(
                f"{self._name} {arrays.describe(layout)}",
                self._options,
                functools.partial(self._process, bucket),
                owner=self,
                expired=functools.partial(self._expire, bucket),
            )
            self._buckets[layout] = bucket
            return bucket

    def _remove_idle(self, wanted: Layout) -> None:
        """Make room for one more layout. Requires: the lock."""
        for layout, bucket in self._buckets.items():
            if not bucket.queue.enqueued_tasks:
                del self._buckets[layout]
                bucket.queue.close(wait=False)  # whatever came in before this line is still run
                bucket.room.let_all_in()
                self._ending = [queue for queue in self._ending if not _has_ended(queue)]
                self._ending.append(bucket.queue)
                return
        raise errors.QueueFull(
            f"{self._name!r} has tasks of {len(self._buckets)} layouts waiting, as many as most_layouts allows, and "
            f"none of {arrays.describe(wanted)}"
        )

    def _expire(self, bucket: Bucket, task: ArrayTask) -> None:
        rows = f"{task.rows} rows of a task" if task.is_piece else f"a task of {task.rows} rows"
        task.fail(errors.DeadlineExceeded(f"{self._name!r} had not begun {rows} when its time was up"))
        self._left([task])
        bucket.room.let_one_in()
        self._room.let_one_in()

    def _process(self, bucket: Bucket, batch: Batch[ArrayTask]) -> None:
        # There is room since the batch has left its queue.
        self._left(batch.tasks)
        bucket.room.let_one_in()
        self._room.let_one_in()
        self._run(batch)


def _has_ended(queue: BatchQueue[ArrayTask]) -> bool:
    seen = queue.statistics()
    return not seen.enqueued_batches and not seen.running_batches
