"""Promises of `batching.ready_order`: whose turn it is, without lock, clock or thread."""

from typing import Any

from batching.options import QueueOptions
from batching.ready_order import Lane, ReadyOrder
from batching.task_queue import TaskQueue
from tests.batching.bench import Rows


class CountingQueue(TaskQueue[Rows]):
    """Counts how often it is asked when it is due, or for a batch."""

    asked = 0

    @property
    def due_at(self) -> float | None:
        """Count the question."""
        self.asked += 1
        return super().due_at


class Order:
    """An order with lanes by name, and a time that goes by."""

    def __init__(self, timeout_seconds: float = 0.0) -> None:
        self.order = ReadyOrder()
        self.now = 0.0
        self.options = QueueOptions(max_batch_rows=4, batch_timeout_seconds=timeout_seconds)
        self.lanes: dict[str, Lane[Any]] = {}

    def add(self, name: str, rows: int = 4) -> None:
        """Put a task into the lane of that name."""
        lane = self.lanes.setdefault(name, Lane(CountingQueue(name, self.options), print))
        lane.queue.add(Rows(name, rows), self.now)
        self.order.update(lane, self.now)

    def take_all(self) -> str:
        """Take until nothing is due; return the lanes' names."""
        names = ""
        self.order.promote(self.now)
        while (taken := self.order.take(self.now)) is not None:
            names += taken[0].queue.name
        return names


def test_lanes_take_turns() -> None:
    """A lane with many batches gets one, then waits for each of the others."""
    order = Order()
    for name in "aaaabbc":
        order.add(name)

    assert order.take_all() == "abcabaa"


def test_a_lane_that_becomes_due_goes_to_the_end() -> None:
    """Time-outs are served in their order, after what was due before."""
    order = Order(timeout_seconds=0.5)
    order.add("late", rows=1)
    order.now = 0.25
    order.add("later", rows=1)
    order.now = 1.0
    order.add("full")

    assert order.take_all() == "fulllatelater"


def test_an_open_batch_behind_a_full_one_is_timed() -> None:
    """What remains in a lane after its full batches has been taken is due at its own time."""
    order = Order(timeout_seconds=0.5)
    order.add("a", rows=3)
    order.now = 0.25
    order.add("a", rows=3)
    assert order.take_all() == "a"

    assert order.order.seconds_until_due(order.now) == 0.5
    order.now = 0.75
    assert order.take_all() == "a"


def test_the_next_time_is_that_of_a_batch_that_still_waits() -> None:
    """A batch that filled up before its time leaves no time at which somebody wakes for nothing."""
    order = Order(timeout_seconds=0.5)
    order.add("a", rows=1)
    order.now = 0.25
    order.add("b", rows=1)
    order.add("a", rows=3)
    assert order.take_all() == "a"
    assert order.order.next_due_at() == 0.75

    order.add("a", rows=1)
    order.add("b", rows=3)
    assert order.take_all() == "b"
    assert order.order.next_due_at() == 0.75
    order.add("a", rows=3)
    assert order.take_all() == "a"
    assert order.order.next_due_at() is None


def test_due_lanes_need_no_waiting() -> None:
    """Without a time-out, or with a full batch, the next batch is due now."""
    order = Order()
    assert order.order.seconds_until_due(0.0) is None

    order.add("a", rows=1)

    assert order.order.seconds_until_due(0.0) == 0.0


def test_available_batches_are_counted_over_all_lanes() -> None:
    """The count follows each task, each turn and the time."""
    order = Order(timeout_seconds=0.5)
    order.add("a")
    order.add("a")
    order.add("b", rows=1)
    assert order.order.available_batches == 2

    order.now = 0.5
    order.order.promote(order.now)
    assert order.order.available_batches == 3

    order.take_all()
    assert order.order.available_batches == 0


def test_a_lane_emptied_out_of_turn_is_passed_over() -> None:
    """A lane that was abandoned while it was due takes nobody's turn."""
    order = Order()
    order.add("a")
    order.add("b")
    order.lanes["a"].queue.close()
    order.lanes["a"].queue.abandon()
    order.order.update(order.lanes["a"], 0.0)

    assert order.order.available_batches == 1
    assert order.take_all() == "b"


def test_thousands_of_idle_lanes_are_not_looked_at() -> None:
    """Finding the next batch asks only the lane that has one, however many there are."""
    order = Order(timeout_seconds=0.5)
    for number in range(2000):
        order.add(f"idle{number}", rows=1)
    before = {name: lane.queue.asked for name, lane in order.lanes.items()}  # type: ignore[attr-defined]

    order.now = 0.25
    order.add("busy")
    taken = order.take_all()

    assert taken == "busy"
    assert [n for n, asked in before.items() if order.lanes[n].queue.asked > asked] == []  # type: ignore[attr-defined]


def test_the_heap_stays_as_small_as_the_number_of_lanes() -> None:
    """Batches that fill up before their time do not pile up behind it."""
    order = Order(timeout_seconds=3600.0)
    for _ in range(1000):
        order.add("a", rows=1)
        order.take_all()

    assert len(order.order._heap) == 1
