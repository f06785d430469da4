"""The thread that hands tasks over at their deadline, whatever the batch threads are with."""

import contextlib
import logging
import threading
from typing import Any, cast

from batching.expiry import Expiry
from batching.lane import Lane

logger = logging.getLogger(__name__)


class DeadlineKeeper:
    """Starts its thread, a daemon, with the first deadline; ends it when the dispatcher has nothing left.

    Args:
        expiry: the dispatcher's.
        name: the thread's.
    """

    def __init__(self, expiry: Expiry, name: str) -> None:
        self.thread: threading.Thread | None = None
        """None as long as no task has had a deadline."""
        self._expiry = expiry
        self._name = name

    def start(self) -> None:
        """Start the thread, once. Any thread; costs next to nothing after the first call.

        Raises:
            RuntimeError: the system gives no further thread; the next call tries again.
        """
        if not self._expiry.claim():
            return
        thread = threading.Thread(target=self._keep, name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._expiry.disclaim()
            raise
        self.thread = thread

    def join(self) -> None:
        """Wait for its end. Requires: everything is closed and processed."""
        if self.thread is not None:
            self.thread.join()

    def hand_over(self) -> None:
        """Hand over what has left its queue, on the calling thread, where there is no other. Never waits."""
        while (expired := self._expiry.poll()) is not None:
            self._hand_over(*expired)

    def _keep(self) -> None:
        while (expired := self._expiry.wait()) is not None:
            with contextlib.suppress(BaseException):  # which has been logged, and there is no caller
                self._hand_over(*expired)
            del expired  # a thread that sleeps must keep no task alive

    def _hand_over(self, lane: Lane[Any], task: object) -> None:
        """Tell the queue's callback, which it has, as the task would have no deadline without."""
        try:
            cast("Any", lane.expired)(task)
        except BaseException as error:
            logger.exception("`expired` of queue %r raised; the scheduler goes on", lane.queue.name)
            if not isinstance(error, Exception):
                raise  # Ctrl-C is for whoever calls
        finally:
            self._expiry.told(lane)
