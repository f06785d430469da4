"""Where those who schedule tasks and those who process batches meet: one lock, under which all is decided.

One more thread may work *ahead*: it takes closed batches, and only those behind a running batch that leaves its own
thread idle. A device that is busy then never waits for Python, and no batch is smaller for it.
"""

import math
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from batching import errors, shared_room
from batching.ahead import Ahead
from batching.batch import NEVER, Batch
from batching.expiry import Expiry
from batching.in_flight import InFlightLimit, Ran
from batching.lane import Lane
from batching.ready_order import ReadyOrder
from batching.running import Running, Stuck
from batching.shared_room import Evicted
from batching.sleepers import Sleepers
from batching.spacing import Spacing
from batching.task import T
from batching.waiting import Condition, ConditionFactory

R = TypeVar("R")


class Dispatcher:
    """Thread-safe; starts no thread, calls no callback, holds its lock for decisions only.

    Every private attribute is guarded by the lock. Threads that take batches sleep in `sleepers`, those who wait for an
    end on `drained`; the one that works ahead and the one that keeps deadlines have their own.

    Args:
        idle_seconds: a queue whose batches leave their threads idle for so long is one to work ahead on.
        threads: how many take batches, stand-ins and the one that works ahead not counted.
        limit: how many of them may be with a batch at a time; None: all.
        thread: tells its caller's thread.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        make_condition: ConditionFactory,
        idle_seconds: float = math.inf,
        threads: int = 0,
        limit: InFlightLimit | None = None,
        thread: Callable[[], int] = threading.get_ident,
    ) -> None:
        self._clock = clock
        self._thread = thread
        self._lock = threading.Lock()
        self._drained: Condition = make_condition(self._lock)
        self._ahead = Ahead(make_condition(self._lock), idle_seconds)
        self._order = ReadyOrder()
        self._sleepers = Sleepers(self._lock, clock, make_condition, self._order, self._room)
        self._lanes: dict[Lane[Any], None] = {}
        self._closed = False
        self._threads = threads
        self._limit = limit
        self._running = Running(threads)
        self._spacing = Spacing()
        self.expiry = Expiry(
            self._lock, clock, make_condition, self._order, self._sleepers.wake_enough, self._forget
        )

    def add(self, lane: Lane[T]) -> None:
        """Take a queue into the order. Raises QueueClosed after `close`."""
        with self._lock:
            if self._closed:
                raise errors.QueueClosed(f"no queue {lane.queue.name!r} can be added: it is closed")
            self._lanes[lane] = None
            self._order.add(lane)
            lane.held = lane.owner in self._running.held

    def schedule(self, lane: Lane[T], task: T, deadline: float | None = None) -> list[Evicted]:
        """Put a task into its queue and wake a thread for each batch to take; raises as the queue does.

        Returns the tasks that have gone for it, which are to be told.
        """
        with self._lock:
            now = self._clock()
            missing = self._missing_rows(lane, task, now) if lane.shares_room else 0
            try:
                lane.queue.add(task, now, deadline)
            except errors.QueueFull:
                if not self.expiry.look(now):
                    raise
                lane.queue.add(task, now, deadline)
            if deadline is not None or lane.queue.rejects:
                self.expiry.note(lane, lane.queue.times_out_at(now, deadline))
            evicted = shared_room.evict(lane, missing) if missing else []
            for other in {each: None for each, _ in evicted}:
                self._order.update(other, now)
            self._order.update(lane, now)
            self._sleepers.wake_enough()
            self._ahead.wake(lane)
            return evicted

    def next_batch(self, *, stands_in: bool = False) -> tuple[Lane[Any], Batch[Any]] | None:
        """Wait for a batch and return it with its lane; None when closed and nothing is left.

        None too for a thread that *stands_in* for one that is back.
        """
        with self._lock:
            taken = None
            while not (stands_in and self._running.lets_one_go()):
                if (taken := self._take()) is not None or self._closed:
                    break
                self._sleepers.sleep()
            self._sleepers.wake_enough()
            return taken

    def relieve(self, stuck_seconds: float, most: int) -> int:
        """See who is stuck for so long; how many more threads are to stand in, *most* in all, while batches wait."""
        with self._lock:
            now = self._clock()
            if self._running.look(now, stuck_seconds):
                self._hold(now)
            if self._running.too_many:  # who stands in, and need no longer, may be among the sleeping
                self._sleepers.wake_all()
            self._order.promote(now)
            return self._running.stand_ins_wanted(most) if self._order.available_batches else 0

    def stuck(self, seconds: float) -> list[Stuck]:
        """The batches that are with their callbacks for so long, the longest first."""
        with self._lock:
            return self._running.longer_than(self._clock(), seconds)

    def next_ahead(self) -> tuple[Lane[Any], Batch[Any]] | None:
        """Wait for a closed batch behind one that leaves its thread idle; None when closed. For one thread only."""
        with self._lock:
            while (taken := self._take_ahead()) is None and not self._closed:
                self._ahead.sleep()
            return taken

    def poll_batch(self) -> tuple[Lane[Any], Batch[Any]] | None:
        """Return the next batch, or None when none is due. Never waits."""
        with self._lock:
            taken = self._take()
            self._sleepers.wake_enough()
            return taken

    def poll_lane(self, lane: Lane[T]) -> Batch[T] | None:
        """Return one lane's next batch out of turn, or None. The order finds out later that it is gone."""
        with self._lock:
            now = self._clock()
            self.expiry.look(now)
            batch = lane.queue.take(now)
            if batch is not None:
                self._started(lane, batch)
                self._order.update(lane, now)
            return batch

    def finish(
        self,
        lane: Lane[Any],
        idle_seconds: float = 0.0,
        rows: int = 0,
        seconds: float = 0.0,
        enqueued_at: Sequence[float] = (),
    ) -> None:
        """Count a batch as processed, whatever became of it, and how long its thread had nothing to do meanwhile.

        One that has not failed has *rows*, padded, and has run for *seconds*; its tasks were *enqueued_at* these times.
        """
        with self._lock:
            if self._limit is not None and rows:
                self._limit.ran(Ran(self._running.count, enqueued_at, self._clock(), seconds, idle_seconds))
            lane.note_run(idle_seconds, rows, seconds)
            self._order.charge(lane, seconds)
            lane.running_batches -= 1
            # What its batches take may be more than it was, or nothing of it runs any more.
            if self._spacing.finished(lane) or lane.expires_at < NEVER:
                self._order.update(lane, self._clock())
                self._sleepers.wake_enough()
            if self._running.finished(self._thread()):
                self._hold(self._clock())
            if not lane.running_batches:
                self._ahead.finished(lane)
            self._forget(lane)

    def close_lane(self, lane: Lane[T], *, drain: bool) -> list[T]:
        """Take no more tasks for a lane; let what waits be processed, or return it."""
        with self._lock:
            tasks = self._close(lane, drain=drain)
            self._sleepers.wake_enough()
            return tasks

    def close(self, *, drain: bool) -> list[Any]:
        """Close every lane, and let the threads end when nothing is left."""
        with self._lock:
            self._closed = True
            tasks = [task for lane in tuple(self._lanes) for task in self._close(lane, drain=drain)]
            self._sleepers.wake_all()
            self._ahead.end()
            if not self._lanes:
                self.expiry.end()
            return tasks

    def wait_until_finished(self, lane: Lane[Any] | None, timeout_seconds: float | None) -> bool:
        """Wait until a closed lane (None: each) is finished, or for `timeout_seconds`; return whether it is."""
        with self._lock:
            deadline = None if timeout_seconds is None else self._clock() + timeout_seconds
            while not (lane.finished if lane is not None else self._closed and not self._lanes):
                remaining = None if deadline is None else deadline - self._clock()
                if remaining is not None and remaining <= 0:
                    return False
                self._drained.wait(remaining)
            return True

    def seconds_until_due(self) -> float | None:
        """How long until a batch can be taken or a task is out of time; None when nothing waits."""
        with self._lock:
            now = self._clock()
            due = self._order.seconds_until_due(now)
            return due if due is None else max(0.0, min(due, self.expiry.next_at - now))

    def lanes(self) -> tuple[Lane[Any], ...]:
        """Return every lane that is not finished."""
        with self._lock:
            return tuple(self._lanes)

    def read(self, lane: Lane[T], reader: Callable[[Lane[T], float], R]) -> R:
        """Return what a quick and pure reader sees of a lane at one moment."""
        with self._lock:
            return reader(lane, self._clock())

    def __repr__(self) -> str:
        # Without the lock: see BatchQueue.
        return (
            f"{self._sleepers.count} of them asleep, {len(self._lanes)} queues, "
            f"{self._order.available_batches} batches to take{', closed' if self._closed else ''}"
        )

    def _take(self) -> tuple[Lane[Any], Batch[Any]] | None:
        now = self._clock()
        self.expiry.look(now)
        self._order.promote(now)
        taken = self._order.take(now) if self._room() else None
        if taken is not None:
            self._started(*taken)
        return taken

    def _take_ahead(self) -> tuple[Lane[Any], Batch[Any]] | None:
        now = self._clock()
        self.expiry.look(now)
        return self._ahead.take(self._order, now)

    def _started(self, lane: Lane[Any], batch: Batch[Any]) -> None:
        """Count a batch that a thread has taken; the next one has to wait, or is worked on ahead, where that helps."""
        now = self._clock()
        lane.running_batches += 1
        lane.dispatched_batches += 1
        self._running.started(self._thread(), lane, now)
        threads = self._threads if self._limit is None else min(self._threads, self._limit.now)
        if self._spacing.started(lane, batch.padded_rows, self._running.count, threads, now):
            self._order.update(lane, now)
        self._ahead.started(lane)

    def _room(self) -> float:
        """How many batches more may be taken, were there any; whoever finishes one comes by `next_batch` itself."""
        return math.inf if self._limit is None else max(0, self._limit.now - self._running.at_work)

    def _missing_rows(self, lane: Lane[T], task: T, now: float) -> int:
        """How many rows have to go for a task, once what is out of time has gone. Raises QueueFull: too few may."""
        missing = 0 if lane.queue.closed else shared_room.missing_rows(lane, task.rows)
        if missing and self.expiry.look(now):
            missing = shared_room.missing_rows(lane, task.rows)
        if missing:
            shared_room.refuse_if_too_little_may_go(lane, missing)
        return missing

    def _hold(self, now: float) -> None:
        """Let the batches of stuck owners wait, and those of others go on."""
        for lane in self._lanes:
            self._order.hold(lane, lane.owner in self._running.held, now)
        self._sleepers.wake_enough()

    def _close(self, lane: Lane[T], *, drain: bool) -> list[T]:
        lane.queue.close()
        tasks = [] if drain else lane.queue.abandon()
        self._order.update(lane, self._clock())
        self._forget(lane)
        return tasks

    def _forget(self, lane: Lane[Any]) -> None:
        if lane.finished:
            self._lanes.pop(lane, None)
            self._order.forget(lane)
            self.expiry.remove(lane)
            self._drained.notify_all()
            if self._closed and not self._lanes:
                self.expiry.end()
