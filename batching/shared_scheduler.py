"""The batch scheduler: batch threads shared by all queues, after TensorFlow's `SharedBatchScheduler`."""

import logging
import math
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, Self

from batching import errors, queue_statistics
from batching.batch import Batch
from batching.batch_queue import BatchQueue
from batching.deadline_keeper import DeadlineKeeper
from batching.dispatcher import Dispatcher
from batching.in_flight import InFlightLimit
from batching.lane import Lane
from batching.observer import BatchObserver, SilentObserver
from batching.options import QueueOptions
from batching.queue_statistics import SchedulerStatistics
from batching.running import Stuck
from batching.task import T
from batching.task_queue import TaskQueue
from batching.waiting import ConditionFactory

logger = logging.getLogger(__name__)

MOST_STAND_INS = 16
"""Threads that stand in for stuck ones, at most: past that many stuck models something else is wrong."""
LOOK_SHARE = 0.25
"""`relieve` looks four times in the time in which a batch may be with its callback."""


class SharedScheduler:
    """Batches from many queues, in turns, on `threads` threads that it starts at once; thread-safe.

    It guarantees that

    1. each task accepted is handed to its queue's callback once, in the order of its queue (but for late ones where its
       options delay those), or returned by `close`, or
       handed to `expired` at its deadline, where it waits then, or to `evicted`, when it goes for another;
    2. no batch has more than its queue's `max_batch_rows`, and none is empty;
    3. a batch is handed over as soon as it is full, or timed out, or a task of it would be late otherwise, and a
       thread is free, wherever other queues stand;
    4. neither a callback nor an observer that raises stops a thread.

    Turns are fair by time: of owners whose queues have the same priority, the one whose batches have taken least is
    next; owners that take the same, or as good as no time, have one batch each in turn. Where several threads take
    batches and all are busy, those of a queue that are not full start evenly: the next one waits, besides, until its
    share of a run is over (`batching.spacing`), or until nothing of its queue runs.

    With `overlap_seconds` one more thread works ahead. Where a queue's batches keep their thread waiting for so long,
    of late and on average (time in which it uses no processor: the callback waits for a device), the queue's next
    batch, once it is full, is handed over while the one before is still with its callback. Batches that are not full
    go on filling, so none is smaller than without.

    A callback that does not return keeps its thread. With `stuck_seconds`, `relieve`, which somebody has to call now
    and then, starts a thread to stand in for each that is with one callback for so long while batches of other queues
    wait, up to `MOST_STAND_INS`; an owner of queues that has `threads` of them stuck gets no further one. Who stands in
    ends when the one that was stuck is back.

    It does not finish tasks, retry, or give results back: that is the callback's. With `threads=0` nothing
    happens by itself: `step` processes one batch on the caller's thread. Close it, or use it in a `with`
    statement, which drains; the threads are daemons, so that a scheduler that was forgotten keeps no process
    alive.
    """

    def __init__(  # noqa: PLR0913 - what tests put in place of threads and time is among them
        self,
        threads: int = 1,
        *,
        clock: Callable[[], float] = time.monotonic,
        observer: BatchObserver | None = None,
        name: str = "batching",
        overlap_seconds: float = math.inf,
        stuck_seconds: float = math.inf,
        in_flight: InFlightLimit | None = None,
        make_condition: ConditionFactory = threading.Condition,
        thread_clock: Callable[[], float] = time.thread_time,
    ) -> None:
        """Start `threads` (0 or more) batch threads, and one more for overlaps where there are any and it is asked for.

        With `in_flight` only so many of them are with batches at a time as it says (`batching.in_flight`), which learns
        from each, and nobody works ahead; give each scheduler one of its own.

        A test's `make_condition` must sleep by its `clock`; `thread_clock` tells the processor time of its caller.
        """
        if threads < 0:
            raise errors.InvalidOptions(f"threads must be at least 0, not {threads}")
        self.name = name
        self._observer = observer if observer is not None else SilentObserver()
        self._clock = clock
        self._thread_clock = thread_clock
        self._stuck_seconds = stuck_seconds
        self._next_look = clock() + stuck_seconds
        self._dispatcher = Dispatcher(clock, make_condition, overlap_seconds, threads, in_flight)
        works = {f"{name}-{number}": self._work for number in range(threads)}
        self._works_ahead = threads > 0 and overlap_seconds < math.inf and in_flight is None
        self._asks_idleness = self._works_ahead or in_flight is not None
        if self._works_ahead:
            works[f"{name}-ahead"] = self._work_ahead
        self._fixed_threads = len(works)
        self._stood_in = 0
        self._threads: list[threading.Thread] = []
        self._keeper = DeadlineKeeper(self._dispatcher.expiry, f"{name}-deadlines")
        for own, work in works.items():
            self._start(own, work)

    def add_queue(  # noqa: PLR0913 - what a queue is, each by its name
        self,
        name: str,
        options: QueueOptions,
        process: Callable[[Batch[T]], None],
        owner: Hashable = None,
        family: Hashable = None,
        expired: Callable[[T], None] | None = None,
        *,
        evicted: Callable[[T], None] | None = None,
    ) -> BatchQueue[T]:
        """Add a queue, at any time, from any thread; `BatchQueue.close` removes it again.

        Queues of one *owner* are stuck together: give those the same that lead to the same model or device. Queues of
        one *family* have callbacks that take each other's tasks: a batch may have some of others (its `filling`).

        `process` is called with each batch, on a batch thread, by several threads at a time where there are
        several. It owns the batch: it has to finish each task in it, whatever happens. If it raises, the
        observer hears of it and the scheduler goes on; nobody else finishes those tasks.

        `expired` is called with each task whose time was up while it waited (its deadline, or the queue's options),
        outside every lock, and has to finish it, quickly: one thread, which starts with the first deadline, calls it
        for all queues. `evicted` likewise with each that went for one of a higher priority
        (`QueueOptions.shared_room`), by the thread that scheduled that.

        Raises:
            QueueClosed: the scheduler has been closed.
            InvalidOptions: the queue shares its room, and there is no `evicted` to tell; or it rejects what is late,
                and there is no `expired`.
        """
        lane = Lane(
            TaskQueue[T](name, options), process, family, owner=owner, expired=expired, evicted=evicted
        )
        self._dispatcher.add(lane)
        return BatchQueue(lane, self._dispatcher, self._join, self._keep_deadlines)

    def now(self) -> float:
        """Return the seconds on its clock, in which deadlines are meant."""
        return self._clock()

    def relieve(self) -> None:
        """Start threads to stand in for those that are stuck, where batches wait. From one thread; it never waits."""
        if self._clock() < self._next_look or not self._threads:
            return
        self._next_look = self._clock() + self._stuck_seconds * LOOK_SHARE
        for _ in range(self._dispatcher.relieve(self._stuck_seconds, MOST_STAND_INS)):
            self._stood_in += 1
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            self._start(f"{self.name}-stands-in-{self._stood_in}", self._stand_in)

    def stuck(self, seconds: float) -> list[Stuck]:
        """The batches that are with their callbacks for so long, the longest first; any thread."""
        return self._dispatcher.stuck(seconds)

    def all_stuck(self, seconds: float) -> list[Stuck]:
        """As `stuck`, where every thread that takes batches has such a one, stand-ins too; else empty. Any thread.

        No batch is taken then until a callback returns.
        """
        takers = sum(thread.is_alive() for thread in tuple(self._threads)) - self._works_ahead
        found = self._dispatcher.stuck(seconds)
        return found if len(found) >= takers > 0 else []

    def step(self) -> bool:
        """Process one batch that is due, and hand over what is out of time; whether there was one. Never waits."""
        taken = self._dispatcher.poll_batch()
        self._keeper.hand_over()
        if taken is None:
            return False
        self._process(*taken)
        return True

    def seconds_until_due(self) -> float | None:
        """How long until `step` finds a batch or a deadline: 0 when there is one, None when no task waits."""
        return self._dispatcher.seconds_until_due()

    def close(self, *, drain: bool = True, wait: bool = True) -> tuple[Any, ...]:
        """Close every queue, as `BatchQueue.close` does one, and end the threads when nothing is left.

        Returns the tasks that will never be processed: none when draining.

        Raises:
            RuntimeError: it would wait for the very thread that calls it, a batch thread.
        """
        tasks = self._dispatcher.close(drain=drain)
        if wait:
            self.join()
        return tuple(tasks)

    def join(self, timeout_seconds: float | None = None) -> bool:
        """Wait until the closed scheduler has processed every task; return whether it has in the time.

        Raises:
            RuntimeError: as `close`.
        """
        finished = self._join(None, timeout_seconds)
        if finished:
            for thread in self._threads:
                thread.join()
            self._keeper.join()
        return finished

    def statistics(self) -> SchedulerStatistics:
        """Return a snapshot of each queue; the lock is free between them, so that thousands delay nobody."""
        read = self._dispatcher.read
        queues = tuple(read(lane, queue_statistics.read) for lane in self._dispatcher.lanes())
        return SchedulerStatistics(threads=self._fixed_threads, queues=queues)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<SharedScheduler {self.name!r}: {len(self._threads)} threads, {self._dispatcher!r}>"

    def _join(self, lane: Lane[Any] | None, timeout_seconds: float | None) -> bool:
        if threading.current_thread() in (*self._threads, self._keeper.thread):
            raise RuntimeError(
                "a batch thread cannot wait for batches, its own among them: close with wait=False"
            )
        if self._threads:
            return self._dispatcher.wait_until_finished(lane, timeout_seconds)
        if lane is None:
            while self.step():
                pass
        else:
            while (batch := self._dispatcher.poll_lane(lane)) is not None:
                self._keeper.hand_over()
                self._process(lane, batch)
            self._keeper.hand_over()
        return self._dispatcher.wait_until_finished(lane, 0)

    def _work(self) -> None:
        """Process batches until the scheduler is closed and empty. What a batch thread runs."""
        while (taken := self._dispatcher.next_batch()) is not None:
            self._process(*taken)
            # A thread that sleeps must not keep the last batch, and all its arrays, alive.
            del taken

    def _stand_in(self) -> None:
        """Process batches until the thread that this one stands in for is back."""
        while (taken := self._dispatcher.next_batch(stands_in=True)) is not None:
            self._process(*taken)
            del taken  # as above

    def _keep_deadlines(self) -> None:
        """See to it that deadlines are kept, where there are threads."""
        if self._threads:
            self._keeper.start()

    def _start(self, name: str, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work_ahead(self) -> None:
        """Process batches behind those that wait for a device. What the thread that works ahead runs."""
        while (taken := self._dispatcher.next_ahead()) is not None:
            self._process(*taken)
            del taken  # as above

    def _process(self, lane: Lane[T], batch: Batch[T]) -> None:
        """Hand a batch over. A batch thread's outermost frame: whatever the callback raises ends here."""
        name = lane.queue.name
        before = self._idle_seconds()
        rows, padded_rows, enqueued_at = 0, batch.padded_rows, batch.enqueued_at
        self._tell(self._observer.batch_formed, name, batch)
        start = self._clock()
        try:
            lane.process(batch)
            rows = padded_rows
        except BaseException as error:
            self._tell(self._observer.process_failed, name, batch, error)
            if not isinstance(error, Exception) and threading.current_thread() not in self._threads:
                # Ctrl-C during `step` is for the caller; in a batch thread there is no caller.
                raise
        finally:
            idle, seconds = self._idle_seconds() - before, self._clock() - start
            self._dispatcher.finish(lane, idle, rows, seconds, enqueued_at)

    def _idle_seconds(self) -> float:
        """The calling thread's time in which it used no processor, from no certain moment; 0 where nobody asks."""
        return self._clock() - self._thread_clock() if self._asks_idleness else 0.0

    @staticmethod
    def _tell(hook: Callable[..., None], *facts: object) -> None:
        try:
            hook(*facts)
        except Exception:
            logger.exception("an observer of the batch scheduler raised; its batch goes on")
