"""What threads wait on here, as a protocol, so that tests can wait on a clock of their own."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Condition(Protocol):
    """The part of `threading.Condition` that is used. Each method requires the lock that it was made with.

    No spurious wake-ups: `wait` without a time-out returns only after a notification meant for it.
    """

    def wait(self, timeout: float | None = None) -> object:
        """Release the lock, sleep until notified or for `timeout` seconds, take the lock again."""

    def notify(self, n: int = 1) -> None:
        """Wake at most `n` of those that wait."""

    def notify_all(self) -> None:
        """Wake all that wait."""


ConditionFactory = Callable[[threading.Lock], Condition]
"""`threading.Condition` itself; in tests the fake clock's."""


@dataclass(slots=True, eq=False)
class Watch:
    """One sleep of the timekeeper; the next one is another object, so that a late waker cannot end it."""

    until: float
