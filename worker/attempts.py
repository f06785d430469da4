"""How often a batch is run whose model fails in a way that may pass."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from lifecycle.errors import ExecutionFailed


@dataclass(frozen=True, slots=True)
class Attempts:
    """The bounds.

    Attributes:
        most: runs of the whole batch, the first included.
        within_seconds: no further one begins later than that after the first.
        first_pause_seconds: the pause before the second; each next one is twice as long.
        wait: waits so many seconds.
    """

    most: int = 3
    within_seconds: float = 2.0
    first_pause_seconds: float = 0.05
    wait: Callable[[float], object] = threading.Event().wait


class Tries:
    """The attempts of one batch, the first of which begins now."""

    def __init__(self, bounds: Attempts, clock: Callable[[], float]) -> None:
        self._bounds = bounds
        self._clock = clock
        self._began = clock()
        self._made = 1

    def another(self) -> bool:
        """Whether the batch may be run once more; waits before that."""
        bounds = self._bounds
        pause = bounds.first_pause_seconds * 2 ** (self._made - 1)
        if self._made >= bounds.most or self._clock() - self._began + pause > bounds.within_seconds:
            return False
        self._made += 1
        bounds.wait(pause)
        return True


def may_pass(error: Exception) -> bool:
    """Whether the same call may succeed in a moment: a device was busy, memory ran out, the call was cut off."""
    return isinstance(error, ExecutionFailed) and error.retriable
