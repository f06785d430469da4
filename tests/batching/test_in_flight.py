"""Limits of how many batches are with their callbacks: how they move, and that a scheduler keeps them."""

import heapq
import itertools
import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batching import errors
from batching.batch import Batch
from batching.dispatcher import Dispatcher
from batching.in_flight import AdaptiveLimit, InFlightLimit, Ran, SerialDeviceLimit
from batching.lane import Lane
from batching.options import QueueOptions
from batching.shared_scheduler import SharedScheduler
from batching.task_queue import TaskQueue
from tests.batching.bench import Rows
from tests.fakes.clock import FakeClock
from tests.kit.waiting import PATIENCE_SECONDS, wait_until

THREADS = 8
BATCHES = 20

RunSeconds = Callable[[int], float]
"""How long a batch runs on the host and the device, with so many in flight when it begins."""


class Simulation:
    """A dispatcher with threads that are told what to do, and requesters who ask again when they are answered."""

    def __init__(self, limit: InFlightLimit, host_seconds: RunSeconds, device_seconds: float = 0.0) -> None:
        self.clock = FakeClock()
        self.limit = limit
        self.most_in_flight = 0
        self.done = 0
        self._host_seconds = host_seconds
        self._device_seconds = device_seconds
        self._device_free_at = 0.0
        self._thread = 0
        self._dispatcher = Dispatcher(
            self.clock, self.clock.condition, threads=THREADS, limit=limit, thread=lambda: self._thread
        )
        queue: TaskQueue[Rows] = TaskQueue("q", QueueOptions(max_batch_rows=1, max_enqueued_batches=1000))
        self._lane = Lane(queue, lambda batch: None)
        self._dispatcher.add(self._lane)
        self._free = list(range(THREADS))
        self._ends: list[tuple[float, int, int, Batch[Rows], float, float]] = []
        self._numbers = itertools.count()

    def run(self, batches: int, outstanding: int = 32) -> None:
        """Let so many batches be done, with so many tasks waiting or running all the time."""
        for _ in range(outstanding):
            self._ask()
        for _ in range(batches):
            self._start_what_may()
            ends_at, _, thread, batch, began_at, idle = heapq.heappop(self._ends)
            self.clock.advance(ends_at - self.clock())
            self._thread = thread
            self._dispatcher.finish(self._lane, idle, 1, ends_at - began_at, batch.enqueued_at)
            self._free.append(thread)
            self.done += 1
            self._ask()

    def _ask(self) -> None:
        self._dispatcher.schedule(self._lane, Rows("a", 1))

    def _start_what_may(self) -> None:
        while self._free:
            self._thread = self._free[-1]
            taken = self._dispatcher.poll_batch()
            if taken is None:
                assert self._ends, "nothing runs, so that something must be taken"
                return
            self._free.pop()
            now, in_flight = self.clock(), len(self._ends) + 1
            self.most_in_flight = max(self.most_in_flight, in_flight)
            on_device_at = now + self._host_seconds(in_flight)
            ends_at = on_device_at
            if self._device_seconds:
                ends_at = self._device_free_at = (
                    max(on_device_at, self._device_free_at) + self._device_seconds
                )
            entry = (ends_at, next(self._numbers), self._thread, taken[1], now, ends_at - on_device_at)
            heapq.heappush(self._ends, entry)


def in_each_others_way(best: int) -> RunSeconds:
    """Up to so many run beside each other; more take their time from all, and more than that."""
    return lambda in_flight: (
        1.0 if in_flight <= best else (in_flight / best) * (1 + 0.25 * (in_flight - best))
    )


@pytest.mark.parametrize("best", [1, 2, 4, 8])
@pytest.mark.parametrize("start", [1, 3, 8])
def test_the_adaptive_limit_climbs_to_where_tasks_wait_least(best: int, start: int) -> None:
    """From wherever it begins; and rests there, but for trials of a step."""
    limit = AdaptiveLimit(THREADS, start, BATCHES)
    simulation = Simulation(limit, in_each_others_way(best))
    simulation.run(150 * BATCHES)
    seen = []
    for _ in range(200):
        simulation.run(BATCHES, outstanding=0)
        seen.append(limit.now)

    assert seen.count(best) > 0.8 * len(seen)
    assert all(abs(each - best) <= 1 for each in seen)


def test_the_adaptive_limit_follows_a_device_that_changes() -> None:
    """A pause is no end."""
    limit = AdaptiveLimit(THREADS, 3, BATCHES)
    best = 2
    simulation = Simulation(limit, lambda in_flight: in_each_others_way(best)(in_flight))  # noqa: PLW0108 - it changes
    simulation.run(300 * BATCHES)
    assert abs(limit.now - 2) <= 1
    best = 6
    simulation.run(600 * BATCHES, outstanding=0)
    assert abs(limit.now - 6) <= 1


@pytest.mark.parametrize(
    ("host", "device", "wanted"),
    [
        (0.0, 1.0, 2),  # all of it is the device's: one that runs and one that is next
        (1.0, 1.0, 3),  # and one that is made ready
        (4.0, 1.0, 6),
        (1.0, 0.0, THREADS),  # no device at all: whatever there is
    ],
)
def test_the_serial_device_limit_keeps_two_at_the_device(host: float, device: float, wanted: int) -> None:
    """However long the others take on their threads."""
    limit = SerialDeviceLimit(THREADS, 3, BATCHES)
    simulation = Simulation(limit, lambda _: host, device)
    simulation.run(100 * BATCHES)

    assert abs(limit.now - wanted) <= 1
    assert simulation.most_in_flight <= THREADS


def test_the_serial_device_limit_has_a_target() -> None:
    """More at the device, where its work is short and comes unevenly."""
    limit = SerialDeviceLimit(THREADS, 3, BATCHES, target=5.0)
    Simulation(limit, lambda _: 0.0, 1.0).run(100 * BATCHES)
    assert limit.now == 5


RANS = st.builds(
    Ran,
    st.integers(1, THREADS),
    st.lists(st.floats(0, 1e6), max_size=3),
    st.floats(0, 1e6),
    st.floats(0, 1e6),
    st.floats(-1.0, 1e6),
)


@given(st.integers(1, THREADS), st.integers(1, 2 * THREADS), st.integers(1, 4), st.lists(RANS, max_size=200))
def test_no_limit_ever_leaves_its_bounds(most: int, start: int, batches: int, rans: list[Ran]) -> None:
    """Whatever it is told."""
    limits: list[InFlightLimit] = [
        AdaptiveLimit(most, start, batches),
        SerialDeviceLimit(most, start, batches),
    ]
    for limit in limits:
        assert 1 <= limit.now <= most
        for ran in rans:
            limit.ran(ran)
            assert 1 <= limit.now <= most


@pytest.mark.parametrize("kind", [AdaptiveLimit, SerialDeviceLimit])
def test_numbers_out_of_range_are_refused(kind: type[AdaptiveLimit]) -> None:
    """By name."""
    for numbers, name in (((0,), "most"), ((1, 0), "start"), ((1, 1, 0), "batches")):
        with pytest.raises(errors.InvalidOptions, match=name):
            kind(*numbers)
    with pytest.raises(errors.InvalidOptions, match="target"):
        SerialDeviceLimit(1, target=0.0)


class Given:
    """A limit that is told."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.rans: list[Ran] = []

    def ran(self, batch: Ran) -> None:
        """Keep it."""
        self.rans.append(batch)


def test_real_threads_keep_the_limit_and_go_on_when_it_moves() -> None:
    """No more callbacks at a time than it says; nobody sleeps through room that there is."""
    limit = Given(2)
    gate, lock = threading.Semaphore(0), threading.Lock()
    inside: list[int] = []
    done: list[int] = []

    def hold(batch: Batch[Rows]) -> None:
        with lock:
            inside.append(1)
        assert gate.acquire(timeout=PATIENCE_SECONDS)
        with lock:
            inside.pop()
            done.extend(task.rows for task in batch.tasks)

    def settled(running: int, finished: int) -> None:
        wait_until(
            lambda: (len(inside), len(done)) == (running, finished),
            lambda: f"{running} running and {finished} done, but {len(inside)} and {len(done)}",
        )

    with SharedScheduler(4, in_flight=limit) as scheduler:
        queue = scheduler.add_queue("q", QueueOptions(max_batch_rows=1, max_enqueued_batches=100), hold)
        try:
            for _ in range(20):
                queue.schedule(Rows("a", 1))
            settled(2, 0)
            limit.now = 4
            gate.release()  # who comes back takes the next one and wakes others for those that follow
            settled(4, 1)
            limit.now = 1
            gate.release(3)
            settled(1, 4)
            for finished in range(5, 21):
                gate.release()
                settled(1 if finished < 20 else 0, finished)
        finally:
            gate.release(20)
    assert len(done) == 20
    assert max(ran.in_flight for ran in limit.rans) == 4
    assert all(len(ran.enqueued_at) == 1 for ran in limit.rans)


def test_a_stuck_batch_does_not_count() -> None:
    """Another thread stands in for its own, and may take batches."""
    release = threading.Event()
    done: list[str] = []
    clock = FakeClock()

    def run(batch: Batch[Rows]) -> None:
        if batch.tasks[0].name == "stuck":
            assert release.wait(PATIENCE_SECONDS)
        done.append(batch.tasks[0].name)

    with SharedScheduler(1, in_flight=Given(1), stuck_seconds=1.0, clock=clock) as scheduler:
        first, second = (
            scheduler.add_queue(name, QueueOptions(max_batch_rows=1), run, owner=name)
            for name in ("one", "two")
        )
        first.schedule(Rows("stuck", 1))
        wait_until(lambda: first.statistics().running_batches == 1, "the first batch runs")
        second.schedule(Rows("free", 1))
        clock.advance(2.0)
        scheduler.relieve()
        wait_until(lambda: done == ["free"], "the other batch is done")
        release.set()
    assert done == ["free", "stuck"]


def test_a_scheduler_without_threads_steps_as_ever() -> None:
    """One batch a step, which is within any limit."""
    limit = Given(1)
    batches: list[Batch[Rows]] = []
    scheduler = SharedScheduler(0, in_flight=limit)
    queue = scheduler.add_queue("q", QueueOptions(max_batch_rows=2), batches.append)
    for _ in range(3):
        queue.schedule(Rows("a", 1))
    while scheduler.step():
        pass
    scheduler.close()

    assert [batch.rows for batch in batches] == [2, 1]
    assert [len(ran.enqueued_at) for ran in limit.rans] == [2, 1]
