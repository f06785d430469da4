"""Promises of `batching.ready_order`: whose turn it is, without lock, clock or thread."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batching.lane import Lane
from batching.options import QueueOptions
from batching.ready_order import URGENT_SECONDS, ReadyOrder
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

    def add(self, name: str, rows: int = 4, **options: Any) -> None:
        """Put a task into the lane of that name, which has these options from the first time on."""
        lane = self.lanes.setdefault(name, Lane(CountingQueue(name, replace(self.options, **options)), print))
        lane.queue.add(Rows(name, rows), self.now)
        self.order.update(lane, self.now)

    def take(self) -> str:
        """Take one batch; return its lane's name, nothing where none is due."""
        self.order.promote(self.now)
        taken = self.order.take(self.now)
        return "" if taken is None else taken[0].queue.name

    def take_all(self) -> str:
        """Take until nothing is due; return the lanes' names."""
        names = ""
        while name := self.take():
            names += name
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


def test_higher_priorities_go_first() -> None:
    """Whatever came first; within one priority in turns."""
    order = Order()
    for name, priority in zip("lmlmhnhm", (0, 4, 0, 4, 9, 4, 9, 4), strict=True):
        order.add(name, priority=priority)

    assert order.take_all() == "hhmnmmll"


def test_a_batch_that_is_not_due_lets_lower_priorities_go() -> None:
    """A high priority that waits for more rows keeps nobody from a free device."""
    order = Order()
    order.add("h", rows=1, priority=9, batch_timeout_seconds=0.5)
    order.add("l", priority=0)
    assert order.take_all() == "l"

    order.now = 0.5
    order.add("l")
    assert order.take_all() == "hl"


def test_what_has_aged_goes_before_higher_priorities() -> None:
    """Past its time-out and its ageing limit a batch has its turn; what is behind it in its queue has its own age."""
    order = Order()
    order.add("l", priority=0, batch_timeout_seconds=1.0, ageing_seconds=2.0)
    order.now = 2.0
    order.add("l")
    taken = ""
    for now in (2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0):
        order.now = now
        order.add("h", priority=9)
        taken += order.take()

    assert taken == "hhlhhhl"


def test_those_that_aged_go_by_their_age() -> None:
    """Not by priority any more: a flood of one that ages early starves nobody either."""
    order = Order()
    order.add("a", priority=1, ageing_seconds=2.0)
    order.now = 0.5
    order.add("b", priority=3, ageing_seconds=1.0)
    order.add("h", priority=9)
    order.now = 2.25

    assert order.take_all() == "bah"


def test_a_lane_does_not_keep_the_age_of_a_batch_that_has_left() -> None:
    """What came after a batch that went in its turn is as old as it is, and waits for what is older."""
    order = Order()
    order.add("h", priority=9)
    order.add("m", priority=4, ageing_seconds=1.0)
    assert order.take_all() == "hm"
    order.now = 0.5
    order.add("l", priority=0, ageing_seconds=1.0)
    order.now = 1.0
    order.add("m")
    order.now = 2.5

    assert order.take_all() == "lm"


@pytest.mark.parametrize("alone", [True, False], ids=["one priority then", "two"])
def test_a_lane_that_was_emptied_in_its_round_ages_again(alone: bool) -> None:
    """What comes after all tasks have left in others' batches, or expired, does not starve."""
    order = Order()
    order.add("l", priority=0, ageing_seconds=1.0)
    if not alone:
        order.add("h", priority=9)
    order.lanes["l"].queue.give(4)
    order.order.update(order.lanes["l"], order.now)
    order.now = 1.0
    order.add("h", priority=9)
    assert order.take() == "h"

    taken = ""
    for now in (2.0, 2.5, 3.0, 3.5):
        order.now = now
        order.add("h", priority=9)
        if now == 2.0:
            order.add("l")
        taken += order.take()
    assert taken == "hhlh"


def test_where_all_have_aged_none_goes_before_those_that_came_earlier() -> None:
    """A device that the high priority alone overloads serves both by their age: neither starves the other."""
    order = Order()
    for _ in range(3):
        for name, priority in (("h", 9), ("l", 0)):
            order.add(name, priority=priority, ageing_seconds=1.0)
        order.now += 0.25
    order.now = 9.0

    assert order.take_all() == "hlhlhl"


def test_a_priority_that_comes_later_lets_what_waits_age() -> None:
    """A batch that had nobody above it when it became due ages all the same."""
    order = Order()
    order.add("l", priority=0, ageing_seconds=1.0)
    order.add("h", priority=9)
    order.now = 1.0

    assert order.take_all() == "lh"


def test_a_batch_out_of_turn_waits_for_higher_priorities() -> None:
    """Who works ahead of a device leaves the lower priority where it is while a higher one is due, or was of late."""
    order = Order()
    order.now = 5.0
    order.add("l", priority=0)
    order.add("m", priority=4)
    assert not order.order.may_go_ahead(order.lanes["l"], 5.0)
    assert order.order.may_go_ahead(order.lanes["m"], 5.0)

    assert order.take() == "m"
    assert not order.order.may_go_ahead(order.lanes["l"], 5.0)
    assert not order.order.may_go_ahead(order.lanes["l"], 5.0 + URGENT_SECONDS / 2)
    assert order.order.may_go_ahead(order.lanes["l"], 5.0 + URGENT_SECONDS)


def test_ageing_entries_do_not_pile_up() -> None:
    """A lane that is taken before it has aged leaves one entry behind for each lane, however often."""
    order = Order()
    for _ in range(1000):
        order.add("h", priority=9)
        order.add("l", priority=0, ageing_seconds=3600.0)
        assert order.take_all() == "hl"

    assert len(order.order._ageing) == 2


AGEING_SECONDS = 2.0
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 4), st.integers(1, 4)),
        st.tuples(st.just("wait"), st.sampled_from([0.25, 0.5, 1.0])),
        st.tuples(st.just("take")),
    ),
    max_size=60,
)


@given(steps=STEPS)
def test_the_batch_taken_is_always_one_that_is_first(steps: list[tuple[Any, ...]]) -> None:
    """The oldest that has aged; where none has, one of the highest priority that is due; none only if none is due."""
    order = Order(timeout_seconds=0.5)
    for step in steps:
        if step[0] == "add":
            number, rows = step[1:]
            order.add(str(number), rows, priority=2 * number, ageing_seconds=AGEING_SECONDS)
        elif step[0] == "wait":
            order.now += step[1]
        else:
            queues = {name: lane.queue for name, lane in order.lanes.items()}
            due = [q for q in queues.values() if q.due_at is not None and q.due_at <= order.now]
            ages = {q.name: q.ages_at for q in due if q.ages_at is not None and q.ages_at <= order.now}
            highest = max((q.options.priority for q in due), default=None)
            several = len({q.options.priority for q in queues.values()}) > 1
            name = order.take()
            if ages and several:
                assert ages[name] == min(ages.values())
            elif due:
                assert queues[name].options.priority == highest
            else:
                assert name == ""
