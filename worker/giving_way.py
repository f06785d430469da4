"""Lets a batch thread that comes out of a model give way to one that is still in it.

A model that takes one batch at a time, such as a device behind a lock, is free the moment a run ends. The thread of the
next batch stands in that lock and needs the interpreter to go on, which the thread of the batch before goes on holding
while it encodes and sends replies: up to the interpreter's switch interval, in which the device does nothing.
"""

import threading
from collections.abc import Callable

PAUSE_SECONDS = 0.00005  # a thread that has been woken needs about as long to ask for the interpreter


def pause() -> None:
    """Leave the interpreter to others for a moment."""
    threading.Event().wait(PAUSE_SECONDS)


class GivingWay:
    """Counts who is in a model; called on the batch threads.

    Args:
        least_seconds: a run that has not taken so long is no reason to pause: its model does not wait for a device.
        pause: leaves the interpreter to others.
    """

    def __init__(self, least_seconds: float, pause: Callable[[], None] = pause) -> None:
        self._least_seconds = least_seconds
        self._pause = pause
        self._lock = threading.Lock()
        self._inside = 0

    def enter(self) -> None:
        """A thread begins a run; it leaves, whatever becomes of that."""
        with self._lock:
            self._inside += 1

    def leave(self, seconds: float) -> None:
        """Its run has ended after so long; gives way when another thread is in a run."""
        with self._lock:
            self._inside -= 1
            alone = not self._inside
        if not alone and seconds >= self._least_seconds:
            self._pause()
