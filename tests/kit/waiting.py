"""Waiting for what must come to be, with a deadline and a sentence for when it does not."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_SECONDS = 120.0
"""Real time after which a wait fails instead of hanging: many times what a slow machine takes for anything awaited."""


def wait_until(
    condition: Callable[[], T],
    what: str | Callable[[], str],
    *,
    within_seconds: float = PATIENCE_SECONDS,
    every_seconds: float = 0.05,
) -> T:
    """Ask until the answer is true, and return it; *what* says what was waited for, when it never is.

    Raises:
        AssertionError: it did not come to that in time.
    """
    end = time.monotonic() + within_seconds
    pause = threading.Event()
    while True:
        late = time.monotonic() >= end
        if answer := condition():
            return answer
        assert not late, f"after {within_seconds:g} s still not: {what() if callable(what) else what}"
        pause.wait(every_seconds)
