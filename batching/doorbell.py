"""How other threads wake the coroutines of an event loop: many of them by one call into the loop."""

import asyncio
import contextlib
import threading
import weakref
from collections import deque


class Doorbell:
    """One loop's. `ring` from any thread; coroutines that are to be woken at about the same time share a wake-up.

    A call into a loop from another thread costs a system call and the loop a turn, a hundred times what a coroutine in
    it costs. So whoever rings first calls, and those who ring before the loop has come round do not.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)  # as the loop is the key under which this is kept
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._rung = False

    def ring(self, waiter: "asyncio.Future[None]") -> None:
        """Let the loop finish this future of its own soon. One of a loop that is closed is left as it is."""
        self._waiters.append(waiter)
        # Without a lock: `_answer` takes the mark away before it looks, so that who sees the mark is seen.
        if not self._rung and (loop := self._loop()) is not None:
            self._rung = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits in it any more
                loop.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        self._rung = False
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():  # it may have been cancelled
                waiter.set_result(None)


class _Doorbells(threading.local):
    """Those of the loops that run in this thread: no lock, and gone with their loops."""

    def __init__(self) -> None:
        self.by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Doorbell] = (
            weakref.WeakKeyDictionary()
        )


_doorbells = _Doorbells()


def of_running_loop() -> Doorbell:
    """Return the doorbell of the loop that runs in this thread.

    Raises:
        RuntimeError: none does.
    """
    loop = asyncio.get_running_loop()
    doorbell = _doorbells.by_loop.get(loop)
    if doorbell is None:
        doorbell = _doorbells.by_loop[loop] = Doorbell(loop)
    return doorbell
