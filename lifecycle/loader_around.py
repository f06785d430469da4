"""A loader that adds something to another one: whatever it does not change is the other's."""

from lifecycle import resources
from lifecycle.loader import Loader
from lifecycle.resources import ResourceAllocation
from lifecycle.servable import Servable


class LoaderAround:
    """The other loader, unchanged. Whatever a loader may be asked is passed on here, once for all that add to one."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    @property
    def servable(self) -> Servable:
        """The inner loader's servable. Requires: loaded and not yet unloaded."""
        return self._loader.servable

    def estimate_resources(self) -> ResourceAllocation:
        """What the inner loader says."""
        return resources.estimate(self._loader)

    def load(self) -> None:
        """Load; on a load thread. Raises whatever the inner loader raises."""
        self._loader.load()

    def unload(self) -> None:
        """Unload; on an unload thread."""
        self._loader.unload()
