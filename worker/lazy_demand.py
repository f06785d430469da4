"""Which lazy models are asked for: noted by the poll thread, which routes requests, and read by the control thread."""

import threading
import time
from collections.abc import Callable

WANTED_SECONDS = 2.0
"""For so long a request stands for others to come. One that is held asks twenty times a second for as long as it waits;
what nobody asks for any more is not loaded."""


class LazyDemand:
    """What is noted costs a block one write. Every operation on the dictionaries is atomic, so there is no lock.

    Attributes:
        watched: whether any model is lazy, so that it is worth while to wait for news.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is asked for yet; *clock* is monotonic, the same as the control thread's."""
        self.watched = False
        self._clock = clock
        self._asked_at: dict[str, float] = {}
        self._wanted: dict[str, None] = {}  # a dictionary for its order
        self._news = threading.Event()

    def use(self, name: str) -> None:
        """A lazy model answers a request."""
        self._asked_at[name] = self._clock()

    def want(self, name: str) -> None:
        """A request waits for a lazy model."""
        self._asked_at[name] = self._clock()
        if name not in self._wanted:
            self._wanted[name] = None
            self._news.set()

    def wanted(self, now: float) -> list[str]:
        """The models that requests wait for, in the order of asking."""
        for name in list(self._wanted):
            if now - self.asked_at(name) > WANTED_SECONDS:
                self._wanted.pop(name, None)
        return list(self._wanted)

    def asked_at(self, name: str) -> float:
        """When a model was last asked for; before all times where it was not."""
        return self._asked_at.get(name, float("-inf"))

    def grant(self, name: str) -> None:
        """What the requests wait for has begun."""
        self._wanted.pop(name, None)

    def forget(self, name: str) -> None:
        """It is no lazy model any more."""
        self._wanted.pop(name, None)
        self._asked_at.pop(name, None)

    def give_up(self) -> None:
        """No request waits any more, since the worker ends or begins anew."""
        self._wanted.clear()

    def nudge(self) -> None:
        """Have the control thread look, whatever there is; any thread."""
        self._news.set()

    def wait(self, seconds: float) -> None:
        """Until there is news, or at most so long; for the control thread."""
        self._news.wait(seconds)
        self._news.clear()
