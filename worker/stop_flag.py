"""What a signal sets and others wait for."""

import math
import queue
import time

LOOK_SECONDS = 0.2
"""A signal that comes in the last moment before its thread falls asleep in the system does not wake it: Python calls
the handler when it wakes. So nobody sleeps for longer at a time."""


class StopFlag:
    """As `threading.Event`, but `set` may be called anywhere, from a signal handler too.

    A handler runs on the main thread in the middle of whatever that does. Where it waits for an event, it may have the
    event's lock just then, and `set` would wait for it for ever: the process would not end when it is told to.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()  # the one thing whose `put` is reentrant

    def is_set(self) -> bool:
        """Whether it has been set."""
        return self._is_set

    def set(self) -> None:
        """Set it, for good, and wake who waits."""
        self._is_set = True
        self._bell.put(None)

    def wait(self, seconds: float = math.inf) -> bool:
        """Wait until it is set, or for so long; whether it is set."""
        end = time.monotonic() + seconds
        while not self._is_set and (left := end - time.monotonic()) > 0:
            try:
                self._bell.get(timeout=min(left, LOOK_SECONDS))
            except queue.Empty:
                continue
            self._bell.put(None)  # for whoever else waits
        return self._is_set
