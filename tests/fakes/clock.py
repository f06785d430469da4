"""A clock that a test moves by hand, and conditions that sleep by it: threads are tested without sleeping."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

from tests.kit.waiting import PATIENCE_SECONDS

NANOSECONDS = 1_000_000_000


class FakeClock:
    """Callable like `time.monotonic`; starts at 0 and moves only by `advance`. Thread-safe.

    It counts whole nanoseconds, so that steps add up exactly. Where sleeping threads compare sums of times,
    powers of two (0.25, 0.125 …) keep the floating point exact, too.
    """

    def __init__(self) -> None:
        self._nanoseconds = 0
        self._conditions: list[FakeCondition] = []
        self._asleep = 0  # threads in `FakeCondition.wait` that nothing has woken
        self.wakes = 0
        """How many sleeping threads have been woken, by a notification or by their time."""
        self._changed = threading.Condition()  # guards all of the above; always the last lock taken

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self._nanoseconds / NANOSECONDS

    def advance(self, seconds: float) -> None:
        """Move forward and wake every sleeper whose time has come. The caller holds no condition's lock.

        Raises:
            ValueError: time does not go back.
        """
        if seconds < 0:
            raise ValueError(f"a clock does not go back, not even by {-seconds} s")
        with self._changed:
            self._nanoseconds += round(seconds * NANOSECONDS)
            conditions = tuple(self._conditions)
        for condition in conditions:
            with condition:
                condition.wake_due(self._nanoseconds)

    def condition(self, lock: "threading.Lock | None" = None) -> "FakeCondition":
        """Return a condition on `lock` whose time-outs are this clock's."""
        condition = FakeCondition(self, threading.Lock() if lock is None else lock)
        with self._changed:
            self._conditions.append(condition)
        return condition

    @property
    def asleep(self) -> int:
        """Threads that wait on this clock's conditions and have not been woken."""
        return self._asleep

    def wait_for_sleepers(self, count: int) -> None:
        """Wait until exactly `count` threads sleep; one that has been woken no longer counts.

        Raises:
            AssertionError: after a long real time, which only a defect takes.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._asleep == count, PATIENCE_SECONDS):
                raise AssertionError(f"{self._asleep} threads are asleep, expected {count}")

    def count_sleepers(self, change: int) -> None:
        """For `FakeCondition`: one thread more, or fewer, sleeps."""
        with self._changed:
            self._asleep += change
            self.wakes += change < 0
            self._changed.notify_all()

    def deadline_nanoseconds(self, timeout: float) -> int:
        """For `FakeCondition`: when a sleep that starts now ends."""
        return self._nanoseconds + round(timeout * NANOSECONDS)


@dataclass(eq=False)
class Sleeper:
    """One thread in `wait`."""

    deadline_nanoseconds: int | None
    notified: bool = False
    gate: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))


class FakeCondition:
    """The part of `threading.Condition` that this project uses, on a fake clock."""

    def __init__(self, clock: FakeClock, lock: threading.Lock) -> None:
        self._clock = clock
        self._lock = lock
        self._sleepers: list[Sleeper] = []

    def __enter__(self) -> bool:
        return self._lock.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lock.__exit__(kind, error, traceback)

    def wait(self, timeout: float | None = None) -> bool:
        """Sleep until notified (True) or until the clock has been advanced by `timeout` (False)."""
        self._require_lock()
        if timeout is not None and timeout <= 0:
            return False
        sleeper = Sleeper(None if timeout is None else self._clock.deadline_nanoseconds(timeout))
        self._sleepers.append(sleeper)
        self._clock.count_sleepers(+1)
        self._lock.release()
        try:
            sleeper.gate.acquire()
        finally:
            self._lock.acquire()
        return sleeper.notified

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        """Sleep until the predicate holds, or the time is up; return what it says then."""
        deadline = None if timeout is None else self._clock() + timeout
        while not predicate():
            remaining = None if deadline is None else deadline - self._clock()
            if remaining is not None and remaining <= 0:
                return predicate()
            self.wait(remaining)
        return True

    def notify(self, n: int = 1) -> None:
        """Wake those `n` that sleep longest."""
        self._require_lock()
        for sleeper in self._sleepers[:n]:
            sleeper.notified = True
            self._wake(sleeper)

    def notify_all(self) -> None:
        """Wake all."""
        self.notify(len(self._sleepers))

    def wake_due(self, now_nanoseconds: int) -> None:
        """For the clock: wake those whose time has come."""
        for sleeper in tuple(self._sleepers):
            if sleeper.deadline_nanoseconds is not None and sleeper.deadline_nanoseconds <= now_nanoseconds:
                self._wake(sleeper)

    def _wake(self, sleeper: Sleeper) -> None:
        self._sleepers.remove(sleeper)
        self._clock.count_sleepers(-1)
        sleeper.gate.release()

    def _require_lock(self) -> None:
        if not self._lock.locked():
            raise RuntimeError("the condition's lock is not held")
