"""The result of one task, to come: a future for threads and for coroutines alike."""

import asyncio
import logging
from collections.abc import Callable, Generator
from concurrent.futures import Future, InvalidStateError
from typing import Any, TypeVar

from batching import doorbell

E = TypeVar("E")
R = TypeVar("R")

logger = logging.getLogger(__name__)


class Pending(Future[R]):
    """A `concurrent.futures.Future` that can be awaited too, in whatever event loop runs; no thread waits for it.

    It ends once: with a result, with an error, or cancelled. `cancel` works while the task waits, and it does not run
    then; a task that runs is not stopped, and `cancel` says False. A coroutine that is cancelled while it awaits
    cancels the task, as with `asyncio.wrap_future`; `asyncio.shield` keeps it from that.
    """

    def __await__(self) -> Generator[Any, None, R]:
        if not self.done():
            bell = doorbell.of_running_loop()
            waiter = asyncio.get_running_loop().create_future()
            self.add_done_callback(lambda _: bell.ring(waiter))
            try:
                yield from waiter
            except BaseException:
                self.cancel()
                raise
        try:
            if self.cancelled():
                raise asyncio.CancelledError
            return self.result()
        finally:
            del self  # the error's traceback names this frame, which would name the error

    def finish(self, result: R) -> None:
        """End it with a result, unless it has ended. Never raises: whoever ends many ends them all."""
        _end(self.set_result, result)

    def fail(self, error: BaseException) -> None:
        """End it with an error, likewise."""
        _end(self.set_exception, error)


def _end(end: Callable[[E], None], how: E) -> None:
    try:
        end(how)
    except InvalidStateError:
        pass
    except BaseException:
        logger.exception("a callback of a future raised; the others go on")
