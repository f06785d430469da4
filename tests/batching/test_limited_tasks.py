"""Tasks of pieces with deadlines of their own, with 0, 1 and 3 batch threads: they leave piece by piece."""

import math
from dataclasses import dataclass
from typing import Any, Self, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batching import errors
from batching.batch_queue import BatchQueue
from batching.options import QueueOptions
from batching.task_queue import TaskQueue
from tests.batching.bench import Bench, Rows

TIMEOUT_SECONDS = 64.0
SECONDS = 0.25
NEVER = math.inf


@dataclass(frozen=True)
class Pieces:
    """A task of one row for each piece: its name, and its deadline."""

    pieces: tuple[tuple[str, float], ...]

    @property
    def rows(self) -> int:
        """One for each."""
        return len(self.pieces)

    @property
    def deadline(self) -> float:
        """The earliest."""
        return min(deadline for _, deadline in self.pieces)

    @property
    def names(self) -> str:
        """Of letters."""
        return "".join(name for name, _ in self.pieces)

    def split(self, rows: int) -> tuple[Self, Self] | None:
        """Between any two pieces."""
        return type(self)(self.pieces[:rows]), type(self)(self.pieces[rows:])

    def expire(self, now: float) -> tuple[Self | None, Self | None]:
        """Part it."""
        late = tuple(piece for piece in self.pieces if piece[1] <= now)
        rest = tuple(piece for piece in self.pieces if piece[1] > now)
        return (type(self)(late) if late else None), (type(self)(rest) if rest else None)


class Raising(Pieces):
    """One that cannot be asked."""

    def expire(self, now: float) -> tuple[Self | None, Self | None]:
        """Break the protocol."""
        raise RuntimeError(f"nobody knows what is late at {now}")


class Losing(Pieces):
    """One that loses what is not late."""

    def expire(self, now: float) -> tuple[Self | None, Self | None]:
        """Break the protocol."""
        return super().expire(now)[0], None


def pieces(bench: Bench, **seconds: float) -> Pieces:
    """A task of pieces with so many seconds of time."""
    return Pieces(tuple((name, bench.clock() + left) for name, left in seconds.items()))


def schedule(bench: Bench, queue: BatchQueue[Rows], task: Pieces) -> None:
    """Schedule a task with its own deadline."""
    bench.schedule(queue, cast("Rows", task), task.deadline - bench.clock())


def ran(bench: Bench) -> list[list[str]]:
    """Each batch as the names of its tasks' pieces."""
    return [[cast("Pieces", task).names for task in batch.tasks] for batch in bench.batches]


def expired(bench: Bench) -> list[tuple[float, str]]:
    """When, and which."""
    return [(at, cast("Pieces", task).names) for at, task in bench.expired]


def test_each_piece_leaves_at_its_own_deadline(bench: Bench) -> None:
    """The rest keeps its place before those that came later, and runs."""
    queue = bench.queue(max_batch_rows=8)
    with bench.all_threads_busy():
        schedule(bench, queue, pieces(bench, a=SECONDS, b=NEVER, c=2 * SECONDS, d=NEVER, e=SECONDS))
        schedule(bench, queue, pieces(bench, f=NEVER, g=2 * SECONDS))
        for _ in range(2):
            bench.clock.advance(SECONDS)
            if bench.threads:
                bench.clock.wait_for_sleepers(1)
            else:
                bench.scheduler._keeper.hand_over()
                bench.scheduler.seconds_until_due()
        if bench.threads:
            assert expired(bench) == [(SECONDS, "ae"), (2 * SECONDS, "c"), (2 * SECONDS, "g")]
            assert (queue.enqueued_tasks, queue.enqueued_rows) == (2, 3)

    assert sorted("".join(names for _, names in expired(bench))) == list("aceg")
    assert ran(bench) == [["bd", "f"]]


def test_a_task_that_has_lost_pieces_makes_room(bench: Bench) -> None:
    """For those of the batch behind it, and for as many rows that come."""
    queue = bench.queue(max_batch_rows=4, max_enqueued_batches=2)
    with bench.all_threads_busy():
        schedule(bench, queue, pieces(bench, a=SECONDS, b=NEVER, c=NEVER, d=SECONDS))
        schedule(bench, queue, pieces(bench, e=NEVER, f=NEVER, g=NEVER, h=SECONDS))
        with pytest.raises(errors.QueueFull):
            queue.schedule(Rows("more", 1))
        bench.clock.advance(SECONDS)
        schedule(bench, queue, pieces(bench, i=9 * SECONDS))
        assert (queue.enqueued_rows, queue.capacity_rows) == (6, 0)

    assert sorted(ran(bench)) == [["bc", "ef"], ["g", "i"]]
    assert [names for _, names in expired(bench)] == ["ad", "h"]


def test_a_batch_closes_for_the_most_urgent_piece_that_is_left() -> None:
    """Those without a deadline wait for their time-out, once the urgent ones have gone."""
    options = QueueOptions(max_batch_rows=8, batch_timeout_seconds=TIMEOUT_SECONDS)
    queue: TaskQueue[Pieces] = TaskQueue("q", options)
    queue.costs.note(8, 0.0)
    queue.add(Pieces((("a", 1.0), ("b", 8.0), ("c", NEVER))), 0.0, 1.0)
    before, expired_then = queue.due_at, queue.expire(1.0)
    after, rest = queue.due_at, queue.expire(8.0)

    assert before is not None
    assert before <= 1.0
    assert after is not None
    assert 1.0 < after <= 8.0
    assert [task.names for task in (*expired_then, *rest)] == ["a", "b"]
    assert queue.due_at == TIMEOUT_SECONDS
    assert queue.deadline == NEVER


def test_pieces_of_a_split_task_have_their_own_deadlines() -> None:
    """Each batch is as urgent as what is in it."""
    queue: TaskQueue[Pieces] = TaskQueue(
        "q", QueueOptions(max_batch_rows=2, batch_timeout_seconds=TIMEOUT_SECONDS)
    )
    queue.add(Pieces((("a", NEVER), ("b", 9.0), ("c", 5.0), ("d", NEVER), ("e", NEVER))), 0.0, 5.0)

    assert [batch.deadline for batch in queue._batches] == [9.0, 5.0, NEVER]
    assert [task.names for task in queue.expire(5.0)] == ["c"]
    assert [task.names for task in queue.expire(9.0)] == ["b"]
    assert (queue.enqueued_tasks, queue.enqueued_rows) == (3, 3)


@pytest.mark.parametrize("broken", [Raising, Losing])
def test_a_task_that_cannot_be_parted_runs(bench: Bench, broken: type[Pieces]) -> None:
    """No row of it is lost, and no thread of the scheduler ends of it."""
    queue = bench.queue(max_batch_rows=8)
    with bench.all_threads_busy():
        schedule(bench, queue, broken((("a", bench.clock() + SECONDS), ("b", NEVER))))
        schedule(bench, queue, pieces(bench, c=SECONDS))
        bench.clock.advance(SECONDS)

    assert ran(bench) == [["ab"]]
    assert [names for _, names in expired(bench)] == ["c"]


TASKS = st.lists(
    st.lists(st.sampled_from([1.0, 2.0, 3.0, 5.0, NEVER]), min_size=1, max_size=6).map(tuple),
    min_size=1,
    max_size=8,
)


@given(TASKS, st.lists(st.sampled_from(["take", "wait"]), max_size=12), st.integers(1, 4), st.booleans())
def test_each_piece_runs_or_expires_once(
    tasks: list[tuple[float, ...]], steps: list[str], largest: int, closed: bool
) -> None:
    """Whatever is taken meanwhile: those that expire do so in time, those that run are not late, and in order."""
    queue: TaskQueue[Pieces] = TaskQueue("q", QueueOptions(max_batch_rows=largest, max_enqueued_batches=99))
    sent: dict[str, float] = {}
    now = 0.0
    for deadlines in tasks:
        named = tuple((chr(ord("a") + len(sent) + n), deadline) for n, deadline in enumerate(deadlines))
        sent.update(named)
        task = Pieces(named)
        queue.add(task, now, None if task.deadline == NEVER else task.deadline)
    if closed:
        queue.close()
    run, gone = "", ""
    for step in [*steps, *["take"] * 99]:
        late = "".join(task.names for task in queue.expire(now))
        assert all(sent[name] <= now for name in late)
        gone += late
        if step == "wait":
            now += 1.0
            continue
        batch: Any = queue.take(now)
        if batch is not None:
            assert 1 <= batch.rows == sum(task.rows for task in batch.tasks) <= largest
            names = "".join(task.names for task in batch.tasks)
            assert all(sent[name] > now for name in names)
            run += names

    assert run == "".join(sorted(run))
    assert sorted(run + gone) == sorted(sent)
    assert (queue.enqueued_tasks, queue.enqueued_rows) == (0, 0)
