"""What is compared: the batching of this project, which is TensorFlow's with other options too, and Triton's.

The first is the real scheduler without threads: the simulation takes its batches and gives it the time. A task is a row
of requests that follow each other, as a worker's blocks are; the simulation hands over in one what may be handed over
in one without any difference to requests that come one by one (`tests/benchmarks/test_policy_simulation.py`).
"""

import threading
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, Self

import numpy as np

from batching.batch_queue import BatchQueue
from batching.dispatcher import Dispatcher
from batching.lane import Lane
from batching.options import QueueOptions
from batching.task_queue import TaskQueue
from benchmarks.policy_arrivals import Arrivals, Integers


class Requests:
    """Requests that follow each other, as a batch task (`batching.task`): it is cut between two of them."""

    __slots__ = ("_arrivals", "_numbers", "first", "rows", "stop")

    def __init__(self, arrivals: Arrivals, first: int, stop: int, numbers: Integers | None = None) -> None:
        """With *numbers* the arrivals are some of all, with these numbers."""
        self._arrivals = arrivals
        self._numbers = numbers
        self.first = first
        self.stop = stop
        self.rows = arrivals.rows(first, stop)

    def __len__(self) -> int:
        return self.stop - self.first

    @property
    def numbers(self) -> slice | Integers:
        """Which of all requests these are, as an index."""
        if self._numbers is None:
            return slice(self.first, self.stop)
        return self._numbers[self.first : self.stop]

    def split(self, rows: int) -> tuple[Self, Self] | None:
        """As many whole requests as have no more than so many rows, and the others."""
        at = self._arrivals.fitting(self.first, rows)
        if at == self.first:
            return None
        make = type(self)
        return (
            make(self._arrivals, self.first, at, self._numbers),
            make(self._arrivals, at, self.stop, self._numbers),
        )


class Batcher(Protocol):
    """Gathers requests that come in their order, and says when which of them are a batch."""

    def add(self, stop: int, now: float) -> None:
        """Take the requests up to before *stop*, all of which have come by now; those before are known."""

    def take(self, now: float) -> Sequence[Requests]:
        """The requests of the batch that an idle device gets now; none when it is to wait."""

    def finished(self, tasks: Sequence[Requests], now: float, seconds: float) -> None:
        """A device is done with a batch, for which it took so long."""

    def due_at(self, now: float) -> float | None:
        """Until when an idle device waits, where no more requests come and none is done; None where nothing waits."""

    @property
    def rows_to_next(self) -> int:
        """Where something waits: how many rows more have to come to make a batch earlier."""


class SimulatedClock:
    """The time of the simulation, which moves it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """As a clock is asked."""
        return self.now


class Stream:
    """Requests that go into one queue of `batching`, in their order, as far as there is room.

    What a full queue refuses waits, as records wait in their topic.

    Args:
        numbers: which of all requests these are; None: each of them.
    """

    def __init__(
        self,
        arrivals: Arrivals,
        queue: BatchQueue[Requests],
        clock: SimulatedClock,
        numbers: Integers | None = None,
    ) -> None:
        self._arrivals = arrivals
        self._queue = queue
        self._clock = clock
        self._numbers = numbers
        self._most_rows = queue.options.max_batch_rows
        self._come = 0
        self._inside = 0  # requests before this one are in the queue, or have left it

    @property
    def refused(self) -> bool:
        """Whether any wait for room."""
        return self._inside < self._come

    @property
    def rows_to_next(self) -> int:
        """What the open batch still takes."""
        return self._queue.capacity_rows % self._most_rows

    def add(self, stop: int, now: float) -> None:
        """Take those before *stop*, counted among all."""
        refused = self.refused
        self._come = stop if self._numbers is None else int(np.searchsorted(self._numbers, stop))
        self.fill(now if refused else None)

    def fill(self, entered: float | None) -> None:
        """Put in what there is room for, at most a batch at a time; None: each enters when it has come.

        The first request of a batch sets its time, so no task holds the first of one behind others.
        """
        arrivals, queue = self._arrivals, self._queue
        while self._inside < self._come and (capacity := queue.capacity_rows):
            first = self._inside
            stop = arrivals.fitting(first, capacity % self._most_rows)
            if stop == first:  # it begins a batch
                if capacity < self._most_rows:
                    return
                stop = arrivals.fitting(first, self._most_rows)
            stop = min(stop, self._come)
            self._clock.now = arrivals.time(first) if entered is None else entered
            queue.schedule(Requests(arrivals, first, stop, self._numbers))
            self._inside = stop


class ScheduledQueues:
    """Queues of `batching` with these options: one, or one for each priority. The simulation moves their clock.

    With a time-out, and not spaced, it is TensorFlow's policy: `docs/behaviours.md` says which of the tests of
    TensorFlow's SharedBatchScheduler it passes.

    Args:
        priorities: that of each level of the requests, from the highest on; none: all requests go into one queue.
        devices: how many take batches.
        spaced: whether they start evenly, as they do for threads (`batching.spacing`).
    """

    def __init__(
        self,
        arrivals: Arrivals,
        options: QueueOptions,
        priorities: Sequence[int] = (),
        devices: int = 1,
        *,
        spaced: bool = True,
    ) -> None:
        self._clock = SimulatedClock()
        self._device = 0
        self._idle = list(range(devices))
        self._running: dict[Requests, tuple[int, Lane[Requests], int]] = {}
        self._dispatcher = Dispatcher(
            self._clock, threading.Condition, threads=devices if spaced else 0, thread=lambda: self._device
        )
        self._streams: list[Stream] = []
        if not priorities:
            self._add_stream(arrivals, options, None)
            return
        assert arrivals.levels is not None, "requests without levels need no queue for each"
        for level, priority in enumerate(priorities):
            numbers = np.flatnonzero(arrivals.levels == level)
            of_these = Arrivals(arrivals.times[numbers], arrivals.row_counts[numbers])
            self._add_stream(of_these, replace(options, priority=priority), numbers)

    def add(self, stop: int, now: float) -> None:
        """See `Batcher`."""
        for stream in self._streams:
            stream.add(stop, now)

    def take(self, now: float) -> Sequence[Requests]:
        """See `Batcher`."""
        self._clock.now = now
        self._device = self._idle[-1]
        taken = self._dispatcher.poll_batch()
        if taken is None:
            return ()
        lane, batch = taken
        self._running[batch.tasks[0]] = self._idle.pop(), lane, batch.padded_rows
        for stream in self._streams:
            if stream.refused:
                stream.fill(now)
        return batch.tasks

    def finished(self, tasks: Sequence[Requests], now: float, seconds: float) -> None:
        """See `Batcher`."""
        self._clock.now = now
        self._device, lane, rows = self._running.pop(tasks[0])
        self._idle.append(self._device)
        self._dispatcher.finish(lane, 0.0, rows, seconds)

    def due_at(self, now: float) -> float | None:
        """See `Batcher`."""
        self._clock.now = now
        seconds = self._dispatcher.seconds_until_due()
        return None if seconds is None else now + seconds

    @property
    def rows_to_next(self) -> int:
        """See `Batcher`; which queue the next request goes into is not known where there are several."""
        return self._streams[0].rows_to_next if len(self._streams) == 1 else 1

    def _add_stream(self, arrivals: Arrivals, options: QueueOptions, numbers: Integers | None) -> None:
        lane: Lane[Requests] = Lane(TaskQueue("simulated", options), _nothing, "simulated")
        self._dispatcher.add(lane)
        queue = BatchQueue(lane, self._dispatcher, lambda *_: False, _nothing)  # nobody closes it
        self._streams.append(Stream(arrivals, queue, self._clock, numbers))


def _nothing(*_: object) -> None:
    """What a thread would do: the simulation does it."""


class PreferredSizes:
    """Triton's dynamic batcher: an idle device gets the largest preferred size that waits, or waits for one.

    It waits until the oldest request has waited for *delay_seconds*; then, or where that is 0 and no preferred size is
    reached, it gets all that waits, up to *most_rows*. What does not fit under the largest preferred size does not make
    it wait either. Without *preferred* the only preferred size is the largest, as in Triton. Batches are made when a
    device is idle, from as many requests as come: Triton's queue has no limit by default.
    """

    def __init__(
        self, arrivals: Arrivals, most_rows: int, preferred: Sequence[int] = (), delay_seconds: float = 0.0
    ) -> None:
        self._arrivals = arrivals
        self._most_rows = most_rows
        self._preferred = sorted(preferred or (most_rows,))
        self._delay_seconds = delay_seconds
        self._head = 0  # requests from this one on wait
        self._come = 0

    def add(self, stop: int, now: float) -> None:  # noqa: ARG002 - requests know their own times
        """See `Batcher`."""
        self._come = stop

    def take(self, now: float) -> Sequence[Requests]:
        """See `Batcher`."""
        head, come = self._head, self._come
        if head == come:
            return ()
        delay = self._delay_seconds
        exceeded = delay > 0 and now - self._arrivals.time(head) >= delay
        largest = min(max(self._arrivals.fitting(head, self._most_rows), head + 1), come)
        stop = 0 if exceeded else self._preferred_stop(largest)
        waits = largest == come and delay > 0 and not exceeded and self._waiting_rows < self._preferred[-1]
        if not stop:
            if waits:
                return ()
            stop = largest
        self._head = stop
        return (Requests(self._arrivals, head, stop),)

    def finished(self, tasks: Sequence[Requests], now: float, seconds: float) -> None:
        """See `Batcher`: it does not matter here."""

    def due_at(self, now: float) -> float | None:  # noqa: ARG002 - the oldest request's time says it
        """See `Batcher`."""
        if self._head == self._come:
            return None
        return self._arrivals.time(self._head) + self._delay_seconds

    @property
    def rows_to_next(self) -> int:
        """See `Batcher`: what lacks to the next preferred size."""
        waiting = self._waiting_rows
        return self._preferred[bisect_right(self._preferred, waiting)] - waiting

    @property
    def _waiting_rows(self) -> int:
        return self._arrivals.rows(self._head, self._come)

    def _preferred_stop(self, largest: int) -> int:
        """Before which request a batch of preferred size ends; 0 where there is none."""
        arrivals, head = self._arrivals, self._head
        for size in reversed(self._preferred):
            stop = arrivals.fitting(head, size)
            if head < stop <= largest and arrivals.rows(head, stop) == size:
                return stop
        fitting = max(arrivals.fitting(head, self._preferred[-1]), head + 1)
        return fitting if fitting < self._come else 0
