"""The contract of the fake clock, and of its conditions beside the real ones."""

import functools
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes.clock import FakeClock, FakeCondition
from tests.kit.waiting import PATIENCE_SECONDS


@pytest.fixture
def clock() -> FakeClock:
    """A clock at 0."""
    return FakeClock()


def start(target: Callable[[], object]) -> threading.Thread:
    """Run a function in a thread."""
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    return thread


def test_the_clock_stands_still_until_advanced(clock: FakeClock) -> None:
    """Time is what the test says, to the nanosecond, however small the steps."""
    assert clock() == clock() == 0.0

    for _ in range(10):
        clock.advance(1e-6)

    assert clock() == 1e-5


def test_the_clock_does_not_go_back(clock: FakeClock) -> None:
    """Like a monotonic clock."""
    clock.advance(1.0)

    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(-0.5)
    assert clock() == 1.0


class RealTime:
    """The real condition, for which time passes by itself."""

    def condition(self) -> Any:
        """Return one on a lock of its own."""
        return threading.Condition(threading.Lock())

    def pass_time(self) -> None:
        """Do nothing: it passes."""


class FakeTime:
    """The fake condition, whose time is passed by hand."""

    def __init__(self) -> None:
        self.clock = FakeClock()

    def condition(self) -> Any:
        """Return one on a lock of its own."""
        return self.clock.condition()

    def pass_time(self) -> None:
        """Wait for the sleeper, then end its time."""
        self.clock.wait_for_sleepers(1)
        self.clock.advance(0.01)


@pytest.fixture(params=[RealTime, FakeTime])
def times(request: pytest.FixtureRequest) -> RealTime | FakeTime:
    """Both kinds of time: what holds for one holds for the other."""
    return request.param()  # type: ignore[no-any-return]


def test_a_sleeper_is_woken_by_a_notification(times: RealTime | FakeTime) -> None:
    """`wait` says that it was notified, and holds the lock again."""
    condition = times.condition()
    results: list[tuple[object, bool]] = []
    waiting = threading.Event()

    def sleep() -> None:
        with condition:
            waiting.set()
            results.append((condition.wait(PATIENCE_SECONDS), condition._lock.locked()))

    sleeper = start(sleep)
    assert waiting.wait(PATIENCE_SECONDS)
    with condition:  # free only once the sleeper waits
        condition.notify()
    sleeper.join(PATIENCE_SECONDS)

    assert results == [(True, True)]


def test_a_sleeper_wakes_when_its_time_is_up(times: RealTime | FakeTime) -> None:
    """`wait` says that nobody notified it."""
    condition = times.condition()
    results: list[object] = []

    def sleep() -> None:
        with condition:
            results.append(condition.wait(0.01))

    sleeper = start(sleep)
    times.pass_time()
    sleeper.join(PATIENCE_SECONDS)

    assert results == [False]


def test_no_time_is_no_sleep(times: RealTime | FakeTime) -> None:
    """A time-out of 0 or less returns at once."""
    condition = times.condition()
    with condition:
        assert not condition.wait(0)


def test_as_many_wake_as_are_notified(times: RealTime | FakeTime) -> None:
    """`notify(n)` wakes n of the sleepers and leaves the others asleep; `notify_all` wakes the rest."""
    condition = times.condition()
    asleep, awake = threading.Semaphore(0), threading.Semaphore(0)

    def sleep() -> None:
        with condition:
            asleep.release()
            condition.wait()
        awake.release()

    sleepers = [start(sleep) for _ in range(3)]
    for _ in sleepers:
        assert asleep.acquire(timeout=PATIENCE_SECONDS)
    with condition:
        condition.notify(2)
    for _ in range(2):
        assert awake.acquire(timeout=PATIENCE_SECONDS)
    assert sum(sleeper.is_alive() for sleeper in sleepers) >= 1

    with condition:
        condition.notify_all()
    for sleeper in sleepers:
        sleeper.join(PATIENCE_SECONDS)
    assert not any(sleeper.is_alive() for sleeper in sleepers)


def test_waiting_for_a_predicate(times: RealTime | FakeTime) -> None:
    """`wait_for` returns what the predicate says at the end of the time, or when it holds."""
    condition = times.condition()
    results: list[bool] = []

    def sleep() -> None:
        with condition:
            results.append(condition.wait_for(lambda: False, 0.01))

    sleeper = start(sleep)
    times.pass_time()
    sleeper.join(PATIENCE_SECONDS)
    with condition:
        results.append(condition.wait_for(lambda: True))

    assert results == [False, True]


def test_a_notification_needs_the_lock(times: RealTime | FakeTime) -> None:
    """Waiting or notifying without the lock is a mistake that shows."""
    condition = times.condition()
    for misuse in (condition.wait, condition.notify):
        with pytest.raises(RuntimeError):
            misuse()


def test_time_wakes_only_those_whose_time_has_come(clock: FakeClock) -> None:
    """Earlier sleepers wake, later ones and those without a time-out sleep on."""
    condition = clock.condition()
    woken: list[float | None] = []

    def sleep(timeout: float | None) -> None:
        with condition:
            condition.wait(timeout)
            woken.append(timeout)

    sleepers = []
    for count, timeout in enumerate((0.5, 0.25, None), 1):
        sleepers.append(start(functools.partial(sleep, timeout)))
        clock.wait_for_sleepers(count)

    clock.advance(0.25)
    sleepers[1].join(PATIENCE_SECONDS)
    assert (woken, clock.asleep, clock.wakes) == ([0.25], 2, 1)

    clock.advance(0.25)
    sleepers[0].join(PATIENCE_SECONDS)
    assert (woken, clock.asleep, clock.wakes) == ([0.25, 0.5], 1, 2)
    with condition:
        condition.notify()
    sleepers[2].join(PATIENCE_SECONDS)
    assert clock.asleep == 0


def test_a_woken_thread_no_longer_counts_as_asleep(clock: FakeClock) -> None:
    """It is awake from the moment of the notification, so that a test never mistakes it for settled."""
    condition = clock.condition()
    start(lambda: wait_once(condition))
    clock.wait_for_sleepers(1)

    with condition:
        condition.notify()
        assert clock.asleep == 0


def wait_once(condition: FakeCondition) -> None:
    """Sleep until notified."""
    with condition:
        condition.wait()


def test_the_real_clock_can_stand_in(clock: FakeClock) -> None:
    """Both are called alike."""
    clocks: list[Callable[[], float]] = [clock, time.monotonic]

    assert all(isinstance(read(), float) for read in clocks)
