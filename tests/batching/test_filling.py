"""Batches that are not full, and tasks of lower priorities of their family; on a fake clock, by 0, 1 and 3 threads."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batching import padding
from batching.batch_queue import BatchQueue
from batching.options import Filling, QueueOptions
from batching.task_queue import TaskQueue
from tests.batching.bench import Bench, Rows, rows_taken

SIZES = (2, 4, 8)
LOW, HIGH = 0, 9


def pair(bench: Bench, filling: Filling, **options: Any) -> tuple[BatchQueue[Rows], BatchQueue[Rows]]:
    """A queue of a high and one of a low priority, of one family."""
    usual: dict[str, Any] = {"max_batch_rows": 8, "allowed_batch_rows": SIZES, "filling": filling}
    high, low = (
        bench.scheduler.add_queue(
            name,
            QueueOptions(priority=priority, **(usual | options)),
            bench.batches.append,
            family="model",
        )
        for name, priority in (("high", HIGH), ("low", LOW))
    )
    return high, low


def put(queue: BatchQueue[Rows], *rows: int, cut: int = 0) -> None:
    """Tasks of so many rows each."""
    for each in rows:
        queue.schedule(Rows(queue.name, each, cut))


@pytest.mark.parametrize(
    ("filling", "first", "others"),
    [
        (Filling.NONE, [("high", 3)], [("low", 1)] * 4),
        (Filling.ALLOWED, [("high", 3), ("low", 1)], [("low", 1)] * 3),
        (Filling.MAX, [("high", 3), *[("low", 1)] * 4], []),
    ],
)
def test_a_batch_takes_what_its_options_say(
    bench: Bench, filling: Filling, first: list[tuple[str, int]], others: list[tuple[str, int]]
) -> None:
    """Nothing; the rows that it would be padded by; all that there is room for. Its own tasks come first."""
    high, low = pair(bench, filling)
    with bench.all_threads_busy():
        put(low, 1, 1, 1, 1)
        put(high, 3)

    batches = bench.contents()
    assert sorted(batches) == sorted(each for each in (first, others) if each)
    (own,) = [batch for batch in bench.batches if batch.tasks[0].name == "high"]
    assert own.padded_rows == padding.next_allowed(own.rows, SIZES)
    assert low.enqueued_tasks == low.enqueued_rows == 0


def test_without_allowed_sizes_there_is_nothing_to_fill_for_free(bench: Bench) -> None:
    """No batch is padded then."""
    high, low = pair(bench, Filling.ALLOWED, allowed_batch_rows=())
    with bench.all_threads_busy():
        put(low, 1)
        put(high, 3)

    assert sorted(bench.contents()) == [[("high", 3)], [("low", 1)]]


def test_a_task_is_cut_where_it_can_be(bench: Bench) -> None:
    """What does not fit waits on, in its place and with its time."""
    high, low = pair(bench, Filling.ALLOWED, batch_timeout_seconds=1.0)
    with bench.all_threads_busy():
        put(low, 4, 1, cut=1)
        bench.clock.advance(0.5)
        put(high, 3)
        bench.clock.advance(1.0)

    (own,) = [batch for batch in bench.batches if batch.tasks[0].name == "high"]
    assert [(task.name, task.rows) for task in own.tasks] == [("high", 3), ("low", 1)]
    (rest,) = [batch for batch in bench.batches if batch.tasks[0].name == "low"]
    assert [(task.start, task.rows) for task in rest.tasks] == [(1, 3), (0, 1)]
    assert rest.enqueued_at[0] == own.enqueued_at[1] == own.enqueued_at[0] - 0.5


def test_a_task_that_cannot_be_cut_stays_and_those_behind_it(bench: Bench) -> None:
    """Their order is kept, whatever would have fitted."""
    high, low = pair(bench, Filling.ALLOWED)
    with bench.all_threads_busy():
        put(low, 2, 1)
        put(high, 3)

    assert sorted(bench.contents()) == [[("high", 3)], [("low", 2), ("low", 1)]]


def test_room_in_the_lower_queue_is_there_again(bench: Bench) -> None:
    """A full queue that has given rows away takes as many new ones."""
    high, low = pair(bench, Filling.MAX, max_enqueued_batches=1, batch_timeout_seconds=60.0)
    put(low, *[1] * 7)
    assert low.capacity_rows == 1
    put(high, 1)
    with bench.all_threads_busy():
        pass
    assert low.capacity_rows == 1
    put(high, 6, cut=1)  # seven are not full: they wait
    bench.settle()
    assert (high.enqueued_rows, low.enqueued_rows) == (7, 7)

    put(high, 1)  # eight are, and leave no room
    bench.settle()
    assert (high.enqueued_rows, low.enqueued_rows) == (0, 7)
    put(high, 2)
    bench.advance(60.0)

    assert (high.enqueued_rows, low.enqueued_rows) == (0, 0)
    assert low.capacity_rows == 8


def test_lower_priorities_take_nothing_of_higher_ones(bench: Bench) -> None:
    """A low batch that is due leaves what is urgent, and not due, where it is."""
    high, low = pair(bench, Filling.MAX, batch_timeout_seconds=1.0)
    with bench.all_threads_busy():
        put(low, 1)
        bench.clock.advance(0.75)
        put(high, 1)
        bench.clock.advance(0.25)
    assert bench.contents() == [[("low", 1)]]

    bench.advance(0.75)
    assert bench.contents() == [[("low", 1)], [("high", 1)]]


def test_another_family_gives_nothing(bench: Bench) -> None:
    """Tasks of another function never come into a batch."""
    high, _ = pair(bench, Filling.MAX)
    other = bench.queue("other", max_batch_rows=8, priority=LOW)
    with bench.all_threads_busy():
        put(other, 1)
        put(high, 1)

    assert sorted(bench.contents()) == [[("high", 1)], [("other", 1)]]


def test_a_queue_that_is_closing_empties_itself(bench: Bench) -> None:
    """Whoever waits for the end of it waits for its own batches."""
    high, low = pair(bench, Filling.MAX)
    with bench.all_threads_busy():
        put(low, 1)
        put(high, 1)
        low.close(wait=False)
    low.join()

    assert sorted(bench.contents()) == [[("high", 1)], [("low", 1)]]


def test_deadlines_stay_with_their_tasks() -> None:
    """What has left for another batch is out of no time; what stayed is when its own deadline comes."""
    queue = TaskQueue[Rows]("low", QueueOptions(max_batch_rows=8))
    for number in range(3):
        queue.add(Rows(f"{number}", 2, cut=1), 0.0, 1.0 + number)

    given, _ = queue.give(3)
    assert [(task.name, task.rows) for task in given] == [("0", 2), ("1", 1)]
    assert queue.deadline == 2.0
    assert queue.expire(1.0) == []
    assert [(task.name, task.start, task.rows) for task in queue.expire(2.0)] == [("1", 1, 1)]
    assert queue.deadline == 3.0
    assert [task.name for task in queue.expire(3.0)] == ["2"]
    assert (queue.enqueued_tasks, queue.enqueued_rows, queue.enqueued_batches) == (0, 0, 0)


def test_a_closed_queue_is_forgotten_by_its_family(bench: Bench) -> None:
    """What waited in it was drained, and nobody looks there any more."""
    high, low = pair(bench, Filling.MAX)
    low.close()
    put(high, 1)
    bench.settle()

    assert bench.contents() == [[("high", 1)]]
    assert len(bench.scheduler._dispatcher._order._families["model"]) == 1
    high.close()
    assert bench.scheduler._dispatcher._order._families == {}


class Unwilling(Rows):
    """A task whose split raises, once it is in its queue."""

    def split(self, rows: int) -> Any:
        """Fail."""
        raise RuntimeError(f"{self.name} is not cut at {rows}")


def test_a_task_whose_split_raises_runs_whole(bench: Bench) -> None:
    """Nobody who could be told is there, and no batch thread ends by it."""
    high, low = pair(bench, Filling.MAX)
    with bench.all_threads_busy():
        low.schedule(Unwilling("low", 8))
        put(high, 1)

    assert sorted(bench.contents()) == [[("high", 1)], [("low", 8)]]


@given(
    tasks=st.lists(
        st.tuples(st.integers(0, 2), st.integers(1, 8), st.integers(0, 2), st.integers(0, 2)), max_size=25
    ),
    filling=st.sampled_from(Filling),
)
def test_each_row_leaves_once_and_in_order(tasks: list[tuple[int, int, int, int]], filling: Filling) -> None:
    """Whatever comes, in whichever queue, when: no batch is too large, nothing is lost or repeated."""
    bench = Bench(0)
    queues = [
        bench.scheduler.add_queue(
            f"{priority}",
            QueueOptions(
                max_batch_rows=8,
                allowed_batch_rows=SIZES,
                batch_timeout_seconds=1.0,
                max_enqueued_batches=100,
                priority=priority,
                filling=filling,
            ),
            bench.batches.append,
            family="model",
        )
        for priority in range(3)
    ]
    given_rows = [0, 0, 0]
    for priority, rows, cut, ticks in tasks:
        queues[priority].schedule(Rows(f"{priority}", rows, cut, given_rows[priority]))
        given_rows[priority] += rows
        bench.advance(ticks * 0.5)
    bench.scheduler.close()

    for batch in bench.batches:
        priorities = [int(task.name) for task in batch.tasks]
        assert priorities == sorted(priorities, reverse=True)
    taken = rows_taken(bench.batches, queues[0].options, len(queues))
    assert taken == [list(range(rows)) for rows in given_rows]
    assert [(queue.enqueued_tasks, queue.enqueued_rows) for queue in queues] == [(0, 0)] * 3


def test_a_batch_that_gave_tasks_away_is_filled_from_those_behind_it(bench: Bench) -> None:
    """Else each that fills itself would leave a smaller one behind, which costs a device as much as a full one."""
    high, low = pair(bench, Filling.MAX, allowed_batch_rows=(), max_enqueued_batches=4)
    with bench.all_threads_busy():
        put(low, *[8] * 3, cut=1)
        put(high, 3)

    assert sorted(sum(rows) for rows in bench.row_counts()) == [3, 8, 8, 8]
    assert (low.enqueued_tasks, low.enqueued_rows) == (0, 0)


def test_a_batch_that_gave_nothing_away_is_not_filled() -> None:
    """What did not fit into it when it closed does not fit now."""
    queue: TaskQueue[Rows] = TaskQueue("q", QueueOptions(max_batch_rows=8))
    for rows in (5, 5, 2):
        queue.add(Rows("a", rows), 0.0)
    taken = [queue.take(1.0) for _ in range(2)]

    assert [[task.rows for task in batch.tasks] for batch in taken if batch] == [[5], [5, 2]]
