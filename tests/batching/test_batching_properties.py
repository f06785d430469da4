"""What holds for any sequence of tasks and times, with 0, 1 and 3 batch threads."""

from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from batching import errors, padding
from batching.batch import NEVER, Batch, CloseReason
from tests.batching.bench import THREAD_COUNTS, Bench, Rows

MAX_BATCH_ROWS = 8
TICK_SECONDS = 0.125
TIMEOUT_TICKS = (0, 1, 3)


@dataclass(frozen=True)
class Arrival:
    """A task comes to one of the queues."""

    queue: int
    rows: int
    cut: int
    ticks_left: float | None = None
    """Its time; None: any."""


@dataclass(frozen=True)
class Pause:
    """Time goes by, one tick after another."""

    ticks: int


@dataclass(frozen=True)
class Burst:
    """Tasks come while no thread is free."""

    arrivals: tuple[Arrival, ...]
    ticks: int


ARRIVALS = st.builds(
    Arrival,
    queue=st.integers(0, len(TIMEOUT_TICKS) - 1),
    rows=st.integers(1, 20),
    cut=st.integers(0, 3),
    ticks_left=st.sampled_from([None, None, None, 0.5, 1, 1.5, 2.5, 4]),
)
EVENTS = st.lists(
    st.one_of(
        ARRIVALS,
        st.builds(Pause, st.integers(1, 4)),
        st.builds(Burst, st.lists(ARRIVALS, max_size=8).map(tuple), st.integers(0, 4)),
    ),
    max_size=30,
)


class Run:
    """Plays events against a bench and remembers which tasks were taken."""

    def __init__(self, threads: int, allowed: tuple[int, ...]) -> None:
        self.bench = Bench(threads)
        self.allowed = allowed
        self.accepted: list[list[Rows]] = [[] for _ in TIMEOUT_TICKS]
        self.batches: list[list[Batch[Rows]]] = [[] for _ in TIMEOUT_TICKS]
        self.deadlines: list[list[float | None]] = [[] for _ in TIMEOUT_TICKS]
        """Of each row that was taken."""
        self.queues = [
            self.bench.queue(
                str(number),
                max_batch_rows=MAX_BATCH_ROWS,
                batch_timeout_seconds=ticks * TICK_SECONDS,
                max_enqueued_batches=3,
                allowed_batch_rows=allowed,
            )
            for number, ticks in enumerate(TIMEOUT_TICKS)
        ]

    def arrive(self, arrival: Arrival) -> None:
        """Schedule a task; one that can be cut anywhere must be taken exactly when there is capacity."""
        queue, accepted = self.queues[arrival.queue], self.accepted[arrival.queue]
        task = Rows(str(arrival.queue), arrival.rows, arrival.cut, sum(task.rows for task in accepted))
        before = (queue.enqueued_tasks, queue.enqueued_rows, queue.capacity_rows)
        try:
            seconds = None if arrival.ticks_left is None else arrival.ticks_left * TICK_SECONDS
            self.bench.schedule(queue, task, seconds)
        except errors.BatchingError:
            assert (queue.enqueued_tasks, queue.enqueued_rows, queue.capacity_rows) == before
            taken = False
        else:
            accepted.append(task)
            deadline = None if seconds is None else self.bench.clock() + seconds
            self.deadlines[arrival.queue] += [deadline] * arrival.rows
            taken = True
        if arrival.cut == 1 and not self.bench.threads and not self.has_late_tasks():
            assert taken == (arrival.rows <= before[2])

    def has_late_tasks(self) -> bool:
        """Whether tasks may wait that would make room for others."""
        return any(at is not None and at <= self.bench.clock() for own in self.deadlines for at in own)

    def play(self, events: list[Arrival | Pause | Burst]) -> None:
        """Play all events, then close."""
        for event in events:
            match event:
                case Arrival():
                    self.arrive(event)
                    self.bench.settle()
                case Pause():
                    self.pass_time(event.ticks)
                case Burst():
                    with self.bench.all_threads_busy():
                        for arrival in event.arrivals:
                            self.arrive(arrival)
                        self.bench.clock.advance(event.ticks * TICK_SECONDS)
            self.check_that_nothing_is_overdue()
        self.bench.scheduler.close()

    def pass_time(self, ticks: int) -> None:
        """Advance tick by tick, so that a batch that is due is seen when it is due."""
        for _ in range(ticks):
            self.bench.advance(TICK_SECONDS)
            self.check_that_nothing_is_overdue()

    def check_that_nothing_is_overdue(self) -> None:
        """While threads are free, no task has waited for its queue's time-out."""
        for queue, ticks in zip(self.queues, TIMEOUT_TICKS, strict=True):
            assert not queue.enqueued_rows or queue.statistics().oldest_seconds < ticks * TICK_SECONDS

    def check_batches(self) -> None:
        """Each batch is within its limits, of one queue, and padded to its size."""
        for batch in self.bench.batches:
            assert 1 <= batch.rows == sum(task.rows for task in batch.tasks) <= MAX_BATCH_ROWS
            assert batch.padded_rows == padding.next_allowed(batch.rows, self.allowed)
            assert len({task.name for task in batch.tasks}) == 1
            ticks = TIMEOUT_TICKS[int(batch.tasks[0].name)]
            if batch.close_reason is CloseReason.TIMEOUT:
                assert batch.waited_seconds >= ticks * TICK_SECONDS > 0
            if batch.close_reason is CloseReason.IDLE:
                assert ticks == 0
            if batch.close_reason is CloseReason.DEADLINE:
                assert batch.waited_seconds < ticks * TICK_SECONDS
                assert batch.deadline < NEVER

    def check_delivery(self) -> None:
        """Each row of each task taken is in exactly one batch, in the order in which it came, or has expired once."""
        batches = sorted(self.bench.batches, key=lambda batch: batch.tasks[0].start)
        for number, accepted in enumerate(self.accepted):
            delivered = [row for batch in batches for task in batch.tasks for row in rows_of(task, number)]
            expired = [row for _, task in self.bench.expired for row in rows_of(task, number)]
            assert delivered == sorted(delivered)
            assert sorted(delivered + expired) == list(range(sum(task.rows for task in accepted)))

    def check_deadlines(self) -> None:
        """No row began out of time, and none that had time expired; who was told, was told when it was so."""
        for batch in self.bench.batches:
            taken_at = batch.enqueued_at[0] + batch.waited_seconds
            for number, deadlines in enumerate(self.deadlines):
                for task in batch.tasks:
                    for row in rows_of(task, number):
                        deadline = deadlines[row]
                        assert deadline is None or taken_at < deadline
        for at, task in self.bench.expired:
            for number, deadlines in enumerate(self.deadlines):
                for row in rows_of(task, number):
                    deadline = deadlines[row]
                    assert deadline is not None
                    assert at >= deadline


def rows_of(task: Rows, queue: int) -> range:
    """Return the rows of a task that came to this queue."""
    return range(task.start, task.start + task.rows) if task.name == str(queue) else range(0)


@pytest.mark.parametrize("threads", THREAD_COUNTS)
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@example(
    events=[Arrival(2, 1, 0), Arrival(1, 17, 1), Pause(1)], allowed=(), measured=False
)  # the timekeeper was left uninformed
@given(events=EVENTS, allowed=st.sampled_from([(), (2, 4, 8)]), measured=st.booleans())
def test_any_sequence_of_tasks_and_times_is_batched_rightly(
    threads: int, events: list[Arrival | Pause | Burst], allowed: tuple[int, ...], measured: bool
) -> None:
    """Each row is delivered once and in order, or expires in time; no batch is too large or empty, none is late."""
    run = Run(threads, allowed)
    for queue in run.queues if measured else ():
        run.bench.learn(queue)
    run.play(events)

    run.check_batches()
    run.check_delivery()
    run.check_deadlines()


@settings(deadline=None)
@given(events=EVENTS)
def test_without_threads_a_queue_keeps_its_order(events: list[Arrival | Pause | Burst]) -> None:
    """Stepped by hand, the batches themselves leave each queue in order."""
    run = Run(0, ())
    run.play(events)

    starts = [(batch.tasks[0].name, batch.tasks[0].start) for batch in run.bench.batches]
    for number in range(len(TIMEOUT_TICKS)):
        own = [start for name, start in starts if name == str(number)]
        assert own == sorted(own)
