"""What holds for any sequence of priorities, deadlines, failures and changed options, with 0, 1 and 3 batch threads.

The tasks of a queue come beside those of others of its family, runs take time, and options change while tasks wait.
"""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batching import padding
from batching.batch import CloseReason
from batching.options import Filling, TimeoutAction
from tests.batching.bench import THREAD_COUNTS
from tests.batching.timeline import TICK_SECONDS, Arrival, Change, Event, Taken, Timeline, Way, rows_of

PLACES = 3
LOW, HIGH = 0, 9

WAYS = st.builds(
    Way,
    max_batch_rows=st.sampled_from([4, 8]),
    timeout_ticks=st.sampled_from([0, 1, 5]),
    max_enqueued_batches=st.sampled_from([2, 5]),
    padded=st.sampled_from([True, True, False]),
    priority=st.sampled_from([LOW, 4, HIGH]),
    ageing_ticks=st.sampled_from([0, 2, 6]),
    filling=st.sampled_from(Filling),
    run_ticks=st.sampled_from([0, 1, 2, 4]),
    late_ticks=st.sampled_from([None, None, 1, 3]),
    late=st.sampled_from(TimeoutAction),
)
ARRIVALS = st.builds(
    Arrival,
    place=st.integers(0, PLACES - 1),
    rows=st.one_of(st.integers(1, 3), st.integers(1, 12)),
    cut=st.integers(0, 2),
    ticks_left=st.sampled_from([None, None, 1, 2, 5]),
    fails=st.sampled_from([False] * 5 + [True]),
)
CHANGES = st.builds(
    Change, place=st.integers(0, PLACES - 1), way=WAYS, drain=st.sampled_from([True] * 3 + [False])
)
BURSTS = st.tuples(st.integers(0, 12), st.lists(ARRIVALS, min_size=1, max_size=6))
EVENTS = st.lists(
    st.one_of(BURSTS, BURSTS, st.tuples(st.integers(0, 12), CHANGES.map(lambda change: [change]))),
    min_size=3,
    max_size=16,
)
"""What happens at which tick. Little is told by a device that is never busy."""
BOTH_PRIORITIES: list[tuple[int, Event]] = [
    (0, Change(0, Way(priority=LOW, run_ticks=0))),
    (0, Change(1, Way(priority=HIGH, run_ticks=0))),
    (0, Arrival(0, 1)),
    (0, Arrival(1, 1)),
]
"""Tasks age from when a scheduler has had two priorities: these come first."""


def check_each_row(played: Timeline) -> None:
    """Each ends once: a callback finished it, or it expired, or it was given back; and in the order of its queue."""
    ended = Counter((queue.number, row) for queue, row in played.finished)
    ended.update((int(task.name), row) for _, task in played.bench.expired for row in rows_of(task))
    ended.update((queue.number, row) for queue in played.queues for row in queue.given_back)
    assert ended == Counter((queue.number, row) for queue in played.queues for row in range(queue.rows))

    for queue in played.queues:
        pieces = sorted(
            (task.start, task.rows, each.at, place)
            for place, each in enumerate(played.taken)
            for task in each.batch.tasks
            if task.name == str(queue.number)
        )
        for (start, rows, at, place), (next_start, _, next_at, next_place) in pairwise(pieces):
            assert start + rows <= next_start
            if queue.way.delays:
                late_seconds = queue.way.late_seconds
                overtaken = (
                    queue.came[start] + late_seconds <= next_at < queue.came[next_start] + late_seconds
                )
                assert at <= next_at or overtaken, (
                    "what was late has let what was not go first, and nothing else"
                )
                continue
            assert at <= next_at, "the rows before it were taken no later"
            assert played.bench.threads > 1 or place <= next_place
    for each in played.taken:
        for one, other in pairwise(each.batch.tasks):
            in_order = one.name != other.name or one.start < other.start
            assert in_order or played.queues[int(one.name)].way.delays, "in one batch in their order, too"


def check_limits(each: Taken, played: Timeline) -> None:
    """No batch is empty or larger than it may be, runs at another size, or holds what it may not."""
    way, batch = each.queue.way, each.batch
    allowed = way.options.allowed_batch_rows
    assert 1 <= batch.rows == sum(task.rows for task in batch.tasks) <= way.max_batch_rows
    assert batch.padded_rows == padding.next_allowed(batch.rows, allowed)
    assert len(batch.tasks) == len(batch.enqueued_at)
    numbers = [int(task.name) for task in batch.tasks]
    own = numbers.count(each.queue.number)
    assert numbers[:own] == [each.queue.number] * own, "its own come first"
    assert own
    for number in numbers[own:]:
        other = played.queues[number].way
        assert other.priority < way.priority or other.filling is way.filling is Filling.MERGE
    own_rows = sum(task.rows for task in batch.tasks[:own])
    if way.filling is Filling.NONE:
        assert batch.rows == own_rows
    elif way.filling is Filling.ALLOWED:
        assert batch.padded_rows == padding.next_allowed(own_rows, allowed)
    if batch.close_reason is CloseReason.TIMEOUT and way.filling is not Filling.MERGE and not way.delays:
        # Where others are late, what is not leaves at once and before them, whether they fit beside it or not.
        assert batch.waited_seconds >= way.timeout_ticks * TICK_SECONDS > 0


def check_times(played: Timeline) -> None:
    """Nothing runs out of time, or expires before it is, and who is told is told then where a thread can."""
    for each in played.taken:
        for task in each.batch.tasks:
            queue = played.queues[int(task.name)]
            for row in rows_of(task):
                deadline = queue.deadlines[row]
                assert deadline is None or each.at < deadline
    for at, task in played.bench.expired:
        for row in rows_of(task):
            deadline = played.queues[int(task.name)].deadlines[row]
            assert deadline is not None
            assert at == deadline if played.bench.threads else at >= deadline


def check_waiting(played: Timeline) -> None:
    """No task waits past time-out, ageing limit and one run, but for the runs of batches that aged before its own."""
    threads = max(1, played.bench.threads)
    run_seconds = max((each.queue.way.run_ticks for each in played.taken), default=0) * TICK_SECONDS
    for each in played.taken:
        assert each.at == each.batch.enqueued_at[0] + each.batch.waited_seconds
        before = [other for other in played.taken if each.aged_at < other.at < each.at]
        assert all(other.aged_at <= each.aged_at for other in before), (
            "nobody younger goes before what has aged"
        )
        assert each.at <= each.aged_at + run_seconds * (1 + len(before) / threads)


def check_delays(played: Timeline) -> None:
    """A batch begins with what is late only where no other task of the queue waits, or when it has aged."""
    taken_at = {(name, row): each.at for each in played.taken for name, row in rows_in(each)}
    expired_at = {(task.name, row): at for at, task in played.bench.expired for row in rows_of(task)}
    for each in played.taken:
        queue, first = each.queue, each.batch.enqueued_at[0]
        if (
            not queue.way.delays
            or queue.given_back
            or not first + queue.way.late_seconds <= each.at < each.aged_at
        ):
            continue
        for row, came in enumerate(queue.came):
            if came < each.at < came + queue.way.late_seconds:
                place = str(queue.number), row
                left_at = taken_at.get(place, expired_at.get(place, 0.0))
                assert left_at <= each.at, f"row {row} of queue {queue.number} was not late, and stood behind"


def rows_in(each: Taken) -> list[tuple[str, int]]:
    """The rows of a batch, each with the name of its queue."""
    return [(task.name, row) for task in each.batch.tasks for row in rows_of(task)]


def check_failures(played: Timeline) -> None:
    """Exactly the batches whose callbacks raised are reported, each once."""
    failed = Counter(id(batch) for _, batch, _ in played.bench.observer.failed)
    assert failed == Counter(
        id(each.batch)
        for each in played.taken
        if any(
            row in played.queues[int(task.name)].failing for task in each.batch.tasks for row in rows_of(task)
        )
    )
    assert all(queue.queue.statistics().running_batches == 0 for queue in played.queues)


@pytest.mark.parametrize("threads", THREAD_COUNTS)
@settings(max_examples=150)
@given(ways=st.tuples(*[WAYS] * PLACES), events=EVENTS)
def test_any_sequence_with_priorities_failures_and_changed_options(
    threads: int, ways: tuple[Way, ...], events: list[tuple[int, list[Event]]]
) -> None:
    """Each task ends once, with its own rows in its own order; no batch exceeds its limits; nothing waits too long."""
    changed = [(1, Change(place, way)) for place, way in enumerate(ways)]
    happening = [(1 + tick, event) for tick, together in events for event in together]
    played = Timeline(threads, ways, [*BOTH_PRIORITIES, *changed, *happening])
    played.play()

    check_each_row(played)
    for each in played.taken:
        check_limits(each, played)
    check_times(played)
    check_waiting(played)
    check_delays(played)
    check_failures(played)


@pytest.mark.parametrize("threads", THREAD_COUNTS)
@settings(max_examples=30)
@given(
    run_ticks=st.integers(1, 4),
    timeout_ticks=st.integers(0, 3),
    ageing_ticks=st.integers(0, 8),
    filling=st.sampled_from(Filling),
    fails=st.booleans(),
)
def test_nothing_waits_longer_than_its_timeout_and_ageing_and_one_run(
    threads: int, run_ticks: int, timeout_ticks: int, ageing_ticks: int, filling: Filling, fails: bool
) -> None:
    """Behind more urgent work than all threads can do, which fails or not: no sooner than it has aged, and no later."""
    bound_ticks = timeout_ticks + ageing_ticks + run_ticks
    flood = Way(
        max_batch_rows=4,
        max_enqueued_batches=5,
        priority=HIGH,
        ageing_ticks=10_000,
        filling=filling,
        run_ticks=run_ticks,
    )
    low = Way(timeout_ticks=timeout_ticks, ageing_ticks=ageing_ticks, priority=LOW, run_ticks=run_ticks)
    ends = 4 * bound_ticks + 4
    events: list[tuple[int, Event]] = [
        (tick, Arrival(1, 4, fails=fails)) for tick in range(ends) for _ in range(5)
    ]
    events += [(1 + count * (bound_ticks + 1), Arrival(0, 1)) for count in range(3)]
    played = Timeline(threads, (low, flood), events)
    played.play()

    check_each_row(played)
    check_failures(played)
    waited = [each.at - each.batch.enqueued_at[0] for each in played.taken if each.queue.way is low]
    assert len(waited) == 3
    for seconds in waited:
        assert timeout_ticks + ageing_ticks <= seconds / TICK_SECONDS <= bound_ticks
