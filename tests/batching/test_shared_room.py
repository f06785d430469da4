"""Room that queues of a family share, on a fake clock, by 0, 1 and 3 threads: who goes for whom, and who does not."""

import logging
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batching import errors
from batching.batch_queue import BatchQueue
from batching.batcher import Batcher
from batching.options import QueueOptions
from batching.shared_scheduler import SharedScheduler
from tests.batching.bench import Bench, Rows

LOW, MIDDLE, HIGH = 0, 4, 9
ROWS = 8


class Room:
    """Three queues of a family with room for eight rows together, in which nothing is due."""

    def __init__(self, scheduler: SharedScheduler, batches: list[Any], **options: Any) -> None:
        self.evicted: list[tuple[str, int, int]] = []
        """Name, first row and rows of each task, in the order in which they went."""
        usual: dict[str, Any] = {
            "max_batch_rows": 4,
            "max_enqueued_batches": 2,
            "batch_timeout_seconds": 60.0,
        }
        self.high, self.middle, self.low = (
            scheduler.add_queue(
                name,
                QueueOptions(**{**usual, "priority": priority, "shared_room": True, **options}),
                batches.append,
                family="model",
                expired=self.evict,
                evicted=self.evict,
            )
            for name, priority in (("high", HIGH), ("middle", MIDDLE), ("low", LOW))
        )

    def evict(self, task: Rows) -> None:
        """Keep it."""
        self.evicted.append((task.name, task.start, task.rows))

    @property
    def waiting(self) -> dict[str, int]:
        """Rows by queue."""
        return {each.name: each.enqueued_rows for each in (self.high, self.middle, self.low)}


@pytest.fixture
def room(bench: Bench) -> Room:
    """That of a scheduler whose threads sleep."""
    return Room(bench.scheduler, bench.batches)


def put(queue: BatchQueue[Rows], *rows: int, cut: int = 0) -> None:
    """Tasks of so many rows each, named after their queue, which count its rows."""
    for number, each in enumerate(rows):
        queue.schedule(Rows(queue.name, each, cut, number))


def test_the_newest_of_the_lowest_priority_go_first(bench: Bench, room: Room) -> None:
    """As many as it takes, and no more; a task of the middle only when no lower one is left."""
    with bench.all_threads_busy():
        put(room.low, 1, 1, 1)
        put(room.middle, 1, 1, 1, 1, 1)
        put(room.high, 2)
        assert room.evicted == [("low", 2, 1), ("low", 1, 1)]
        put(room.high, 2)
        assert room.evicted[2:] == [("low", 0, 1), ("middle", 4, 1)]
        assert room.waiting == {"high": 4, "middle": 4, "low": 0}
        assert [each.statistics().evicted_tasks for each in (room.high, room.middle, room.low)] == [0, 1, 3]


def test_whole_tasks_go(bench: Bench, room: Room) -> None:
    """Which may be more than was missing."""
    with bench.all_threads_busy():
        put(room.low, 3, 3)
        put(room.middle, 2)
        put(room.high, 1)
        assert room.evicted == [("low", 1, 3)]
        assert room.waiting == {"high": 1, "middle": 2, "low": 3}


def test_nobody_goes_where_that_would_not_be_enough(bench: Bench, room: Room) -> None:
    """The task is refused, and everything waits as it did."""
    with bench.all_threads_busy():
        put(room.high, 3, 3)
        put(room.low, 2)
        with pytest.raises(
            errors.QueueFull, match=r"'high' shares room for 8 rows, of which 3 too few .*; 2 are of"
        ):
            put(room.high, 3)
        assert room.evicted == []
        assert room.waiting == {"high": 6, "middle": 0, "low": 2}


@pytest.mark.parametrize("name", ["middle", "low"])
def test_nobody_goes_for_one_of_the_same_priority_or_a_lower_one(bench: Bench, room: Room, name: str) -> None:
    """There is one room: what is full of urgent tasks refuses others."""
    queue = {"middle": room.middle, "low": room.low}[name]
    with bench.all_threads_busy():
        put(room.high, 4)
        put(queue, 4)
        with pytest.raises(errors.QueueFull):
            put(queue, 1)
        assert room.evicted == []
        assert queue.capacity_rows == 0
        assert room.high.capacity_rows == 4


def test_what_never_fits_evicts_nobody(bench: Bench, room: Room) -> None:
    """Nor does what is wrong, or comes when all is closed."""
    with bench.all_threads_busy():
        put(room.low, 4, 4)
        for rows in (5, 9, 0):
            with pytest.raises((errors.TaskTooLarge, errors.InvalidTask, errors.QueueFull)):
                put(room.high, rows)
        assert room.high.close(drain=True, wait=False) == ()
        with pytest.raises(errors.QueueClosed):
            put(room.high, 1)
        assert room.evicted == []
        assert room.waiting["low"] == 8


def test_what_is_out_of_time_makes_room_first(bench: Bench, room: Room) -> None:
    """So that nobody goes for want of room that there is."""
    with bench.all_threads_busy():
        bench.schedule(room.low, Rows("low", 4, start=0), seconds=1.0)
        put(room.middle, 4)
        bench.clock.advance(2.0)
        put(room.high, 4)
        assert room.middle.enqueued_rows == 4
    assert room.evicted == [("low", 0, 4)]
    assert room.low.statistics().evicted_tasks == 0


def test_a_task_that_goes_takes_its_deadline_along(bench: Bench, room: Room) -> None:
    """Nobody is told twice; those that stay have theirs."""
    bench.learn(room.low)
    bench.schedule(room.low, Rows("low", 2, start=0), seconds=5.0)
    bench.schedule(room.low, Rows("low", 1, start=1), seconds=1.0)
    bench.settle()
    put(room.middle, 3)
    put(room.high, 3)
    bench.settle()
    assert room.evicted == [("low", 1, 1)]
    bench.advance(2.0)
    assert room.evicted == [("low", 1, 1)]


def test_a_closed_queue_loses_nothing(bench: Bench, room: Room) -> None:
    """It is being emptied, and somebody may wait for its end; until then it takes room."""
    with bench.all_threads_busy():
        put(room.low, 4, 4)
        room.low.close(wait=False)
        with pytest.raises(errors.QueueFull):
            put(room.high, 1)
    assert room.evicted == []


def test_a_callback_that_raises_stops_nothing(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, the others are told, and the newcomer is in."""
    room = Room(bench.scheduler, bench.batches)

    def fail(task: Rows) -> None:
        room.evict(task)
        raise ValueError("no")

    room.low._lane.evicted = fail
    with bench.all_threads_busy(), caplog.at_level(logging.ERROR):
        put(room.low, 4, 4)
        put(room.high, 4)
        put(room.high, 4)
    assert len(room.evicted) == len(caplog.records) == 2
    assert "`evicted` of queue 'low' raised" in caplog.records[0].getMessage()


def test_rooms_of_their_own_are_the_default_and_need_nobody_to_tell(bench: Bench) -> None:
    """Who shares room says whom to tell, and a batcher has no family."""
    with pytest.raises(errors.InvalidOptions, match="shares its room, and has no `evicted`"):
        bench.scheduler.add_queue("q", QueueOptions(shared_room=True), bench.batches.append)
    with pytest.raises(errors.InvalidOptions, match="no family"):
        Batcher(lambda x: x, QueueOptions(shared_room=True), threads=0)
    alone = bench.scheduler.add_queue(
        "q", QueueOptions(2, 60.0, 2, shared_room=True), bench.batches.append, evicted=print
    )
    with bench.all_threads_busy():
        put(alone, 2, 2)
        with pytest.raises(errors.QueueFull):
            put(alone, 1)


ONE = st.tuples(st.sampled_from(["high", "middle", "low"]), st.integers(1, 9), st.integers(0, 2))
TASKS = st.lists(ONE, max_size=60)


@given(tasks=TASKS, steps=st.sets(st.integers(0, 60)))
def test_each_row_leaves_once_and_never_are_there_too_many(
    tasks: list[tuple[str, int, int]], steps: set[int]
) -> None:
    """Run, evicted or refused; a refusal takes nobody with it, and no higher priority goes for a lower one."""
    batches: list[Any] = []
    scheduler = SharedScheduler(0)
    room = Room(scheduler, batches, batch_timeout_seconds=0.0)
    queues = {"high": room.high, "middle": room.middle, "low": room.low}
    taken: Counter[str] = Counter()
    for number, (name, rows, cut) in enumerate(tasks):
        before, gone = room.waiting, len(room.evicted)
        capacity = queues[name].capacity_rows
        try:
            queues[name].schedule(Rows(name, rows, cut))
        except (errors.QueueFull, errors.TaskTooLarge):
            assert room.waiting == before
            assert len(room.evicted) == gone
            assert cut != 1 or rows > capacity
        else:
            taken[name] += rows
            assert rows <= capacity
        order = ["high", "middle", "low"]
        assert all(order.index(each) > order.index(name) for each, *_ in room.evicted[gone:])
        assert sum(room.waiting.values()) <= ROWS
        if number in steps:
            scheduler.step()
    while scheduler.step():
        pass
    left = Counter(dict.fromkeys(queues, 0))
    for batch in batches:
        for task in batch.tasks:
            left[task.name] += task.rows
    for name, _, rows in room.evicted:
        left[name] += rows
    assert {name: count for name, count in left.items() if count} == {
        name: n for name, n in taken.items() if n
    }
    scheduler.close()
