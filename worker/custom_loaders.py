"""Loaders that other distributions bring, for models that headrace does not know.

A distribution offers one by an entry point in the group `headrace.loaders`: its name is what control records say, its
object is called with a version's directory and number and returns a `lifecycle.loader.Loader`. It is imported when a
version first needs it, and then on a load thread, so that one that is broken fails its own versions alone.
"""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from lifecycle import resources
from lifecycle.errors import LoadFailed, PermanentLoadFailure
from lifecycle.loader import Loader
from lifecycle.resources import EstimatingLoader, ResourceAllocation
from lifecycle.servable import Servable
from worker import control_record, entry_points
from worker.entry_points import Kind, Offer
from worker.loaders import LoaderFactory

KIND = Kind("headrace.loaders", "loader", control_record.check_loader_name)


@dataclass(frozen=True, slots=True)
class Found:
    """What is installed.

    Attributes:
        factories: the loaders that can be used, by name.
        problems: what cannot be used and why, a sentence each, for the log.
    """

    factories: Mapping[str, LoaderFactory]
    problems: tuple[str, ...] = ()


def find(shipped: Iterable[str], distributions: Iterable[metadata.Distribution] | None = None) -> Found:
    """The loaders that *distributions* (by default: everything installed) bring beside the *shipped* names."""
    offers = entry_points.find(KIND, shipped, distributions)
    factories = {name: functools.partial(CustomLoader, offer) for name, offer in offers.usable.items()}
    return Found(factories, offers.problems)


class CustomLoader:
    """The loader of one version that another distribution brings; it is imported and made on a load thread."""

    def __init__(self, offer: Offer, path: str, version: int) -> None:
        self._offer = offer
        self._path = path
        self._version = version
        self._inner: Loader | None = None

    def estimate_resources(self) -> ResourceAllocation:
        """What the distribution's loader says, where it does; else by the size of the version's files on disk.

        Raises:
            Exception: what that loader raises.
        """
        if self._inner is None:
            try:
                self._inner = self._make()
            except LoadFailed:  # its load tells why
                return resources.NOTHING
        if isinstance(self._inner, EstimatingLoader):
            return resources.estimate(self._inner)
        return resources.on_disk(Path(self._path))

    def load(self) -> None:
        """Import the distribution's object, make its loader once, and let that load; on a load thread.

        Raises:
            PermanentLoadFailure: the object cannot be imported, or what it returns is no loader.
            LoadFailed: the loader could not be made; also whatever it raises itself.
        """
        if self._inner is None:
            self._inner = self._make()
        self._inner.load()

    def unload(self) -> None:
        """Unload; on an unload thread."""
        assert self._inner is not None, "only what is loaded is unloaded"
        self._inner.unload()

    @property
    def servable(self) -> Servable:
        """The inner loader's servable. Requires: loaded and not yet unloaded."""
        if self._inner is None:
            raise RuntimeError(f"loader {self._offer.name!r} has not loaded anything yet")
        return self._inner.servable

    def _make(self) -> Loader:
        what = f"loader {self._offer.name!r} ({self._offer})"
        try:
            factory = self._offer.entry_point.load()
        except Exception as error:
            raise PermanentLoadFailure(
                f"{what} cannot be imported on this worker: {type(error).__name__}: {error}"
            ) from error
        try:
            loader = factory(self._path, self._version)
        except LoadFailed:
            raise
        except Exception as error:
            raise LoadFailed(
                f"{what} could not be made for {self._path}: {type(error).__name__}: {error}"
            ) from error
        missing = [name for name in ("load", "unload") if not callable(getattr(loader, name, None))]
        if missing:
            raise PermanentLoadFailure(
                f"{what} returned a {type(loader).__name__}, which is no loader: it has no {', no '.join(missing)}"
            )
        return loader  # type: ignore[no-any-return]
