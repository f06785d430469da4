"""Everything that this package raises on purpose.

No class carries a wire code: whoever answers requests maps these classes to codes. A message names the
servable, what was expected and what came; it never holds a stack.
"""

from typing import ClassVar


class LifecycleError(Exception):
    """The root of the tree."""


class InvalidInput(LifecycleError):
    """A request does not fit the servable's signature: the requester's fault, which no retry heals."""


class ServableNotFound(LifecycleError):
    """No available version fits what was asked for."""


class NotManaged(LifecycleError):
    """An operation names a servable id that the manager was never given, or has forgotten."""


class AlreadyManaged(LifecycleError):
    """A servable id was given to the manager twice; the first loader stays."""


class InvalidAspiration(LifecycleError):
    """A list of aspired versions contradicts itself (a foreign name, or one version twice)."""


class NoRoute(LifecycleError):
    """A router is to send a servable to a port that it does not have; nothing was passed on."""


class NoRoom(LifecycleError):
    """A version cannot be loaded, since no other one could be unloaded for it in time; later it may be possible."""


class PolicyFailed(LifecycleError):
    """A policy raised, or asked for what cannot be done: what it was to load is not loaded."""


class ManagerClosed(LifecycleError):
    """The manager has been closed and takes no new work."""


class IllegalTransition(LifecycleError):
    """A harness was asked for a move that its table does not list; nothing was changed."""


class LoadFailed(LifecycleError):
    """A loader could not load, and a repetition may help.

    Loaders raise this class or any other exception; `retriable` is read from this tree only. An exception
    of any other class counts as retriable: most are a file system that was not ready.
    """

    retriable: ClassVar[bool] = True


class PermanentLoadFailure(LoadFailed):
    """A load that no repetition can heal (a corrupt model, a forbidden operation): it ends at once."""

    retriable: ClassVar[bool] = False


class LoadTimedOut(LoadFailed):
    """A load took longer than its limit; its thread cannot be stopped, so it is not tried again."""

    retriable: ClassVar[bool] = False


class ResourceExhausted(LoadFailed):
    """There was no room for what a load needs, and nothing was on its way that could make some.

    The message says what is needed, what is free, and who has the rest.
    """

    retriable: ClassVar[bool] = False


class LoadCancelled(LoadFailed):
    """A load whose result nobody wants any more: it was cancelled before it succeeded."""

    retriable: ClassVar[bool] = False


class UnloadFailed(LifecycleError):
    """A loader raised while unloading; what it held may still be in memory."""


class InvalidModel(PermanentLoadFailure):
    """The files of a model contradict their format or each other; whoever wrote them has to act."""


class InvalidTable(LifecycleError):
    """What a table is to be made of contradicts itself, or its directory is taken; nothing has been written."""


class DuplicateKey(InvalidTable):
    """A key stands in two rows of what a table is to be made of.

    Attributes:
        key: an integer, or the bytes of a string.
        rows: both rows, counted from 0.
    """

    def __init__(self, key: int | bytes, rows: tuple[int, int]) -> None:
        super().__init__(
            f"key {key!r} stands in rows {rows[0]:,} and {rows[1]:,}, counted from 0; each key may stand once"
        )
        self.key = key
        self.rows = rows


class ForbiddenOperation(PermanentLoadFailure):
    """A model could do what is not allowed here; the message names the operation and what would allow it."""


class ValidationFailed(PermanentLoadFailure):
    """A version answered a golden request otherwise than expected; the message names the request and the output."""


class ExecutionFailed(LifecycleError):
    """A servable took its inputs and could not compute the outputs; other calls are not concerned."""

    retriable: ClassVar[bool] = False


class ExecutionInterrupted(ExecutionFailed):
    """A call that ended for want of memory or because it was cut off; the same call may succeed later."""

    retriable: ClassVar[bool] = True


class OutOfMemory(ExecutionInterrupted):
    """A call that ended for want of memory; one with fewer rows may succeed now."""
