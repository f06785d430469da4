"""What brings one version into memory and out again: the protocol that a model kind implements."""

from typing import Protocol

from lifecycle import servable


class Loader(Protocol):
    """Loads and unloads one version of one servable.

    Cheap to construct: no file is opened before `load`. Used by one harness, which never calls two of its
    methods at the same time, though not always from the same thread. It serves one life: after a successful
    `load` and `unload` it is thrown away, and a version that is aspired anew gets a new loader.

    It may also say what memory it needs: `resources.EstimatingLoader`.
    """

    def load(self) -> None:
        """Make the servable ready to run; called on a load thread, again after a failure that may be retried.

        A call that raises leaves nothing behind: `unload` is not called for it.

        Raises:
            PermanentLoadFailure: no repetition can help.
            Exception: anything else is tried again as often as the options allow.
        """
        ...

    def unload(self) -> None:
        """Give back what `load` took; called once, on an unload thread, when no handle is left."""
        ...

    @property
    def servable(self) -> servable.Servable:
        """The servable, the same object each time. Requires: loaded and not yet unloaded."""
        ...
