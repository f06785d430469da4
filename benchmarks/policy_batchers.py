"""What is compared: the batching of this project, which is TensorFlow's with other options too, and Triton's.

The first is the real scheduler without threads: the simulation takes its batches and gives it the time. A task is a row
of requests that follow each other, as a worker's blocks are; the simulation hands over in one what may be handed over
in one without any difference to requests that come one by one (`tests/benchmarks/test_policy_simulation.py`).
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Protocol, Self

from batching.batch import Batch
from batching.options import QueueOptions
from batching.shared_scheduler import SharedScheduler
from benchmarks.policy_arrivals import Arrivals


class Requests:
    """Requests that follow each other, as a batch task (`batching.task`): it is cut between two of them."""

    __slots__ = ("_arrivals", "first", "rows", "stop")

    def __init__(self, arrivals: Arrivals, first: int, stop: int) -> None:
        self._arrivals = arrivals
        self.first = first
        self.stop = stop
        self.rows = arrivals.rows(first, stop)

    def split(self, rows: int) -> tuple[Self, Self] | None:
        """As many whole requests as have no more than so many rows, and the others."""
        at = self._arrivals.fitting(self.first, rows)
        if at == self.first:
            return None
        make = type(self)
        return make(self._arrivals, self.first, at), make(self._arrivals, at, self.stop)


class Batcher(Protocol):
    """Gathers requests that come in their order, and says when which of them are a batch."""

    def add(self, stop: int, now: float) -> None:
        """Take the requests up to before *stop*, all of which have come by now; those before are known."""

    def take(self, now: float) -> Sequence[Requests]:
        """The requests of the batch that an idle device gets now; none when it is to wait."""

    def due_at(self, now: float) -> float | None:
        """Until when an idle device waits, where no more requests come; None where nothing waits."""

    @property
    def rows_to_next(self) -> int:
        """Where something waits: how many rows more have to come to make a batch earlier."""


class ScheduledQueue:
    """A queue of `batching`, with these options, on a clock that the simulation moves.

    With a time-out it is TensorFlow's policy: `docs/behaviours.md` says which of the tests of TensorFlow's
    SharedBatchScheduler it passes. What a full queue refuses waits, in its order, until there is room, as records wait
    in their topic.
    """

    def __init__(self, arrivals: Arrivals, options: QueueOptions) -> None:
        self._arrivals = arrivals
        self._now = 0.0
        self._most_rows = options.max_batch_rows
        self._scheduler = SharedScheduler(0, clock=self._clock)
        self._queue = self._scheduler.add_queue("simulated", options, self._process)
        self._come = 0
        self._inside = 0  # requests before this one are in the queue, or have left it
        self._taken: Sequence[Requests] = ()

    def add(self, stop: int, now: float) -> None:
        """See `Batcher`."""
        refused = self._inside < self._come
        self._come = stop
        self._fill(now if refused else None)

    def take(self, now: float) -> Sequence[Requests]:
        """See `Batcher`."""
        self._now = now
        self._taken = ()
        if self._scheduler.step() and self._inside < self._come:
            self._fill(now)
        return self._taken

    def due_at(self, now: float) -> float | None:
        """See `Batcher`."""
        self._now = now
        seconds = self._scheduler.seconds_until_due()
        return None if seconds is None else now + seconds

    @property
    def rows_to_next(self) -> int:
        """See `Batcher`: what the open batch still takes."""
        return self._queue.capacity_rows % self._most_rows

    def _fill(self, entered: float | None) -> None:
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
            self._now = arrivals.time(first) if entered is None else entered
            queue.schedule(Requests(arrivals, first, stop))
            self._inside = stop

    def _process(self, batch: Batch[Requests]) -> None:
        self._taken = batch.tasks

    def _clock(self) -> float:
        return self._now


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
