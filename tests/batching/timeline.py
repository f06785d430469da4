"""Any sequence of tasks, priorities, deadlines, failures and changed options, on a fake clock that runs take time of.

A callback sleeps by the bench's clock, so that a run takes as long as its queue says; without batch threads it moves
the clock itself, and what comes meanwhile comes while it runs.
"""

import math
from dataclasses import dataclass, field

from batching import errors
from batching.batch import Batch
from batching.batch_queue import BatchQueue
from batching.options import Filling, QueueOptions, TimeoutAction
from tests.batching.bench import Bench, Rows

TICK_SECONDS = 0.125
MOST_TICKS_LEFT = 2_000
"""In which whatever waits has long been run."""


@dataclass(frozen=True)
class Way:
    """How a queue forms its batches, in ticks of the clock, and how long each of them runs."""

    max_batch_rows: int = 8
    timeout_ticks: int = 0
    max_enqueued_batches: int = 3
    padded: bool = False
    priority: int = 4
    ageing_ticks: int = 4
    filling: Filling = Filling.ALLOWED
    run_ticks: int = 1
    late_ticks: int | None = None
    """After so many more than its time-out a task has waited for too long; None: it never does."""
    late: TimeoutAction = TimeoutAction.REJECT

    @property
    def late_seconds(self) -> float:
        """How long a task may wait; infinite for ever."""
        if self.late_ticks is None:
            return math.inf
        return (self.timeout_ticks + self.late_ticks) * TICK_SECONDS

    @property
    def delays(self) -> bool:
        """Whether tasks that have waited for too long let later ones go first."""
        return self.options.delays

    @property
    def options(self) -> QueueOptions:
        """As a queue takes them."""
        return QueueOptions(
            max_batch_rows=self.max_batch_rows,
            batch_timeout_seconds=self.timeout_ticks * TICK_SECONDS,
            max_enqueued_batches=self.max_enqueued_batches,
            allowed_batch_rows=(2, self.max_batch_rows) if self.padded else (),
            priority=self.priority,
            ageing_seconds=self.ageing_ticks * TICK_SECONDS,
            filling=self.filling,
            queue_timeout_seconds=self.late_seconds,
            timeout_action=self.late,
        )


@dataclass(frozen=True)
class Arrival:
    """A task comes to one of the places."""

    place: int
    rows: int
    cut: int = 1
    ticks_left: int | None = None
    """Its time; None: any."""
    fails: bool = False
    """Whether the callback raises for a batch with its rows."""


@dataclass(frozen=True)
class Change:
    """The options of one of the places change: a new queue takes its tasks from now on, the old one ends."""

    place: int
    way: Way
    drain: bool = True


Event = Arrival | Change


@dataclass
class Queue:
    """One queue, from its first task to its last: its number is the name of its tasks."""

    number: int
    way: Way
    queue: BatchQueue[Rows]
    rows: int = 0
    deadlines: list[float | None] = field(default_factory=list)
    """Of each row that was taken."""
    came: list[float] = field(default_factory=list)
    """When each row was taken."""
    failing: set[int] = field(default_factory=set)
    """Rows for which the callback raises."""
    given_back: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Taken:
    """A batch that was handed to the callback of a queue, and when."""

    queue: Queue
    batch: Batch[Rows]
    at: float

    @property
    def aged_at(self) -> float:
        """When it had let others go first for long enough."""
        way = self.queue.way
        waits_seconds = way.late_seconds if way.delays else way.timeout_ticks * TICK_SECONDS
        return self.batch.enqueued_at[0] + waits_seconds + way.ageing_ticks * TICK_SECONDS


class Timeline:
    """Plays events, each at its tick, and remembers what became of each row."""

    def __init__(self, threads: int, ways: tuple[Way, ...], events: list[tuple[int, Event]]) -> None:
        self.bench = Bench(threads)
        self._sleep = self.bench.clock.condition()
        self._events = sorted(events, key=lambda event: event[0])
        self._tick = 0
        self.queues: list[Queue] = []
        self.places = [self._add(way) for way in ways]
        self.taken: list[Taken] = []
        self.ended: list[Batch[Rows]] = []
        self.finished: list[tuple[Queue, int]] = []
        """Each row for which a callback has come to its end, whichever."""

    def play(self) -> None:
        """Play everything, wait until nothing is left, and close."""
        last = self._events[-1][0] if self._events else 0
        self._happen()
        while self._tick <= last or self._at_work():
            self.bench.settle()
            self._check_that_nobody_is_idle()
            self._pass_tick()
            assert self._tick < last + MOST_TICKS_LEFT, "some task waits for ever"
        self.bench.scheduler.close()

    def _at_work(self) -> bool:
        waiting = any(each.queue.enqueued_tasks for each in self.queues)
        return waiting or len(self.ended) < len(self.taken)

    def _check_that_nobody_is_idle(self) -> None:
        """While a thread is free no batch waits that is due, and no more wait than may.

        One that is not full waits besides for its share of a run, where several threads take batches.
        """
        threads = max(1, self.bench.threads)
        idle = threads > len(self.taken) - len(self.ended)
        for each in self.queues:
            seen = each.queue.statistics()
            most_batches = each.way.max_enqueued_batches
            assert seen.enqueued_batches <= (2 * most_batches if each.way.delays else most_batches)
            started_at = max((taken.at for taken in self.taken if taken.queue is each), default=-1.0)
            share_seconds = each.way.run_ticks * TICK_SECONDS / threads
            spaced = threads > 1 and self.bench.clock() < started_at + share_seconds
            if each.way.filling is Filling.MERGE:  # by the runs of those that it leaves together with
                spaced = self.bench.clock() < each.queue._lane.queue.not_before
            if idle and seen.enqueued_tasks and not spaced:
                assert seen.oldest_seconds < each.way.timeout_ticks * TICK_SECONDS
                assert not seen.closed

    def _pass_tick(self) -> None:
        """A moment later things happen, whatever runs."""
        self._tick += 1
        self.bench.clock.advance(TICK_SECONDS)
        if self.bench.threads:
            self.bench.settle()
        self._happen()

    def _happen(self) -> None:
        while self._events and self._events[0][0] <= self._tick:
            _, event = self._events.pop(0)
            if isinstance(event, Arrival):
                self._arrive(event)
            else:
                self._change(event)

    def _arrive(self, event: Arrival) -> None:
        own = self.places[event.place % len(self.places)]
        task = Rows(str(own.number), event.rows, event.cut, own.rows)
        seconds = None if event.ticks_left is None else event.ticks_left * TICK_SECONDS
        now = self.bench.clock()
        if event.fails:  # known before it comes, as a thread may take it at once
            own.failing.add(own.rows)
        try:
            self.bench.schedule(own.queue, task, seconds)
        except (errors.QueueFull, errors.TaskTooLarge):
            own.failing.discard(own.rows)
            return
        own.rows += event.rows
        own.came += [now] * event.rows
        deadline = math.inf if seconds is None else now + seconds
        if own.way.options.rejects:
            deadline = min(deadline, now + own.way.late_seconds)
        own.deadlines += [None if deadline == math.inf else deadline] * event.rows

    def _change(self, event: Change) -> None:
        place = event.place % len(self.places)
        old = self.places[place]
        for task in old.queue.close(drain=event.drain, wait=False):
            old.given_back += range(task.start, task.start + task.rows)
        self.places[place] = self._add(event.way)

    def _add(self, way: Way) -> Queue:
        number = len(self.queues)
        queue: BatchQueue[Rows] = self.bench.scheduler.add_queue(
            str(number),
            way.options,
            lambda batch: self._process(self.queues[number], batch),
            family="family",
            expired=self.bench.expire,
        )
        self.queues.append(Queue(number, way, queue))
        return self.queues[number]

    def _process(self, own: Queue, batch: Batch[Rows]) -> None:
        """Run for the queue's time, finish each task, and raise where one of them is bad."""
        self.taken.append(Taken(own, batch, self.bench.clock()))
        if self.bench.threads:
            with self._sleep:
                self._sleep.wait(own.way.run_ticks * TICK_SECONDS)
        else:
            for _ in range(own.way.run_ticks):
                self._pass_tick()
        rows = [(self.queues[int(task.name)], row) for task in batch.tasks for row in rows_of(task)]
        self.finished += rows
        self.ended.append(batch)
        if any(row in queue.failing for queue, row in rows):
            raise FloatingPointError("a bad row")


def rows_of(task: Rows) -> range:
    """The numbers of its rows among those of its queue."""
    return range(task.start, task.start + task.rows)
