"""What a signal sets: it may come in the middle of whatever waits for it."""

import signal
import sys
import threading
from types import FrameType
from typing import Any

import pytest

from tests.kit.waiting import PATIENCE_SECONDS
from worker.stop_flag import StopFlag


def test_it_is_set_for_good() -> None:
    """Whoever waits then does not."""
    flag = StopFlag()
    assert not flag.is_set()
    assert not flag.wait(0.0)
    flag.set()
    flag.set()

    assert flag.is_set()
    assert flag.wait()
    assert flag.wait(0.0)


def test_everybody_who_waits_is_woken() -> None:
    """On whatever thread."""
    flag, woken = StopFlag(), threading.Semaphore(0)

    def wait() -> None:
        assert flag.wait()
        woken.release()

    threads = [threading.Thread(target=wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    flag.set()
    for _ in threads:
        assert woken.acquire(timeout=PATIENCE_SECONDS)
    for thread in threads:
        thread.join()


def test_it_may_be_set_at_any_line_of_a_wait() -> None:
    """As a handler does on the thread that waits, with whatever that thread holds."""
    flag = StopFlag()
    lines = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal lines
        if frame.f_code is StopFlag.wait.__code__ and event == "line":
            lines += 1
            sys.settrace(None)
            flag.set()
            sys.settrace(trace)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        assert flag.wait()
    finally:
        sys.settrace(before)
    assert lines


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there is no timer that signals")
def test_a_signal_ends_a_wait() -> None:
    """Without a limit of its own, and at once; again and again, at any moment of it."""
    before = signal.getsignal(signal.SIGALRM)
    try:
        for n in range(300):
            flag = StopFlag()
            signal.signal(signal.SIGALRM, lambda *_, flag=flag: flag.set())
            signal.setitimer(signal.ITIMER_REAL, 1e-6 * (1 + n))
            assert flag.wait(PATIENCE_SECONDS)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
