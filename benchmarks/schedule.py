"""Sending on schedule: when each request is due, and waits that end when they should."""

import ctypes
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Seconds = npt.NDArray[np.float64]

_PR_SET_TIMERSLACK = 29
_TIMER_SLACK_NANOSECONDS = 1_000  # the kernel may let a usual thread's wait run over by 50,000


def due_times(start: float, rate: float, requests: int) -> Seconds:
    """When each request is due: the n-th n intervals after the start, never counted from the one before."""
    return start + np.arange(requests) / rate


def send_on_schedule(
    due: Seconds,
    payloads: Sequence[bytes],
    send: Callable[[int, bytes], None],
    wait: Callable[[float], None],
    clock: Callable[[], float] = time.monotonic,
) -> list[float]:
    """Send each at its time, or at once when that has passed; returns when each was sent."""
    sent = []
    for number, (at, payload) in enumerate(zip(due.tolist(), payloads, strict=True)):
        while (left := at - clock()) > 0:
            wait(left)
        sent.append(clock())
        send(number, payload)
    return sent


def precise_waits() -> None:
    """Let waits of the calling thread end when they should, where the system offers that."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_TIMERSLACK, _TIMER_SLACK_NANOSECONDS, 0, 0, 0)


def waiter() -> Callable[[float], None]:
    """Waits so many seconds, without spinning, on the thread that has made it."""
    precise_waits()
    never = threading.Lock()
    never.acquire()

    def wait(seconds: float) -> None:
        never.acquire(timeout=seconds)

    return wait
