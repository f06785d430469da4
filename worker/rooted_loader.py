"""Keeps a load within the roots that the operator allows, whatever links lie in the version's directory."""

from lifecycle import resources
from lifecycle.errors import LoadFailed
from lifecycle.loader import Loader
from lifecycle.loader_around import LoaderAround
from lifecycle.resources import ResourceAllocation
from worker.base_path_roots import BasePathRoots
from worker.loaders import LoaderFactory


def rooted(factory: LoaderFactory, roots: BasePathRoots) -> LoaderFactory:
    """The same loaders, which look where their version's links lead before they load; themselves without roots."""
    if not roots:
        return factory

    def make(path: str, version: int) -> Loader:
        return RootedLoader(factory(path, version), roots, path)

    return make


class RootedLoader(LoaderAround):
    """A loader that loads only what lies under the roots; it adds that to any loader."""

    def __init__(self, loader: Loader, roots: BasePathRoots, directory: str) -> None:
        super().__init__(loader)
        self._roots = roots
        self._directory = directory

    def estimate_resources(self) -> ResourceAllocation:
        """What the inner loader says; nothing where links lead out of the roots, as the load will tell."""
        try:
            self._roots.check_version(self._directory)
        except (LoadFailed, OSError):
            return resources.NOTHING
        return resources.estimate(self._loader)

    def load(self) -> None:
        """Look where the version's links lead, then load; on a load thread.

        Raises:
            PermanentLoadFailure: they lead out of the roots; also whatever the inner loader raises.
        """
        self._roots.check_version(self._directory)
        self._loader.load()
