"""One load, and the calls that wait for it."""

from lifecycle import errors, servable_handle


class SharedLoad:
    """Ends with a handle or with an error, for every call that waits. Guarded by the lock of its `caching_manager`.

    The handle is kept until the last call has its own beside it, so that what was loaded for several is not evicted
    before each of them has had it.

    Attributes:
        begun: whether the version has entered memory; what is heard of it before that is about its life before.
        callers: how many calls wait.
    """

    def __init__(self) -> None:
        self.begun = False
        self.callers = 0
        self._handle: servable_handle.ServableHandle | None = None
        self._error: errors.LifecycleError | None = None

    def succeed(self, handle: servable_handle.ServableHandle) -> None:
        """It is loaded."""
        self._handle = handle

    def fail(self, error: errors.LifecycleError) -> None:
        """It is not loaded."""
        self._error = error

    def answer(self) -> servable_handle.ServableHandle | None:
        """A handle of the caller's own; None while the load goes on. Raises the error of a load that failed."""
        if self._error is not None:
            raise self._error.with_traceback(None)  # otherwise each call that it is told to would add to it
        return None if self._handle is None else self._handle.another()

    def part(self) -> servable_handle.ServableHandle | None:
        """A call goes; the last one has to release what it is given here."""
        self.callers -= 1
        return self._handle if self.callers == 0 else None
