"""Who knows which versions exist, and makes their loaders: what a `caching_manager` asks on demand.

Source: `CachingManager::LoaderFactory` and `PathPrefixLoaderFactory` of TensorFlow Serving's `core/caching_manager.h`.
What differs: a path prefix leads to all versions of a servable, not to a single one.
"""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

from lifecycle import errors, loader
from lifecycle.servable_id import Pick, ServableId, ServableRequest


class LoaderFactory(Protocol):
    """Says what can be loaded. Called from any thread, several at a time."""

    def versions(self, name: str) -> Collection[int]:
        """The versions of a name that exist now; none for a name that is not known.

        Called for each request that leaves the version open, so it should not take long.

        Raises:
            Exception: they cannot be told; the request ends with it.
        """
        ...

    def loader(self, servable_id: ServableId) -> loader.Loader:
        """A new loader of a version, cheaply.

        Raises:
            ServableNotFound: there is no such version.
            Exception: anything else is told as a `LoadFailed`.
        """
        ...


def version_meant(request: ServableRequest, factory: LoaderFactory) -> ServableId:
    """The version that a request asks for, of those that exist; one that it names need not exist.

    Raises:
        ServableNotFound: there is no version at all.
        Exception: what the factory raises.
    """
    if request.version is not None:
        return ServableId(request.name, request.version)
    versions = factory.versions(request.name)
    if not versions:
        raise errors.ServableNotFound(f"servable {request.name!r} has no version")
    return ServableId(request.name, min(versions) if request.pick is Pick.EARLIEST else max(versions))


def new_loader(servable_id: ServableId, factory: LoaderFactory) -> loader.Loader:
    """A new loader of a version, cheaply.

    Raises:
        ServableNotFound: there is no such version.
        LoadFailed: the factory raised anything else.
    """
    try:
        return factory.loader(servable_id)
    except errors.LifecycleError:
        raise
    except Exception as error:
        why = f"no loader for {servable_id}: {type(error).__name__}: {error}"
        raise errors.LoadFailed(why) from error


class PathPrefixLoaderFactory:
    """Finds the version V of the servable N in the directory PREFIX/N/V.

    A version's name is its number; leading zeros are taken, and where two names mean one version the plain one wins. A
    directory counts as soon as it is there: move it into place when it is complete.
    """

    def __init__(self, prefix: Path, make: Callable[[Path], loader.Loader]) -> None:
        """Nothing is looked at yet.

        Args:
            prefix: the directory that holds a directory for each servable.
            make: makes the loader of a version's directory; a loader's class will often do.
        """
        self._prefix = prefix
        self._make = make

    def versions(self, name: str) -> Collection[int]:
        """The versions that have a directory.

        Raises:
            LoadFailed: the directory cannot be read; may pass.
        """
        return self._directories(name).keys()

    def loader(self, servable_id: ServableId) -> loader.Loader:
        """A loader of that version's directory.

        Raises:
            ServableNotFound: there is no such directory.
            LoadFailed: it cannot be looked for; may pass.
        """
        directories = self._directories(servable_id.name)
        if servable_id.version not in directories:
            there = ", ".join(map(str, sorted(directories))) or "none"
            raise errors.ServableNotFound(
                f"version {servable_id.version} of servable {servable_id.name!r} has no directory; there: {there}"
            )
        return self._make(directories[servable_id.version])

    def _directories(self, name: str) -> dict[int, Path]:
        # Names come with requests: none may lead out of the prefix.
        if name in {"", ".."} or Path(name).name != name:
            return {}
        try:
            found = [each for each in (self._prefix / name).iterdir() if each.is_dir()]
        except (
            FileNotFoundError,
            NotADirectoryError,
            ValueError,
        ):  # ValueError: a name that has no bytes for a path
            return {}
        except OSError as error:
            raise errors.LoadFailed(f"the versions of servable {name!r} cannot be listed: {error}") from error
        numbered = [each for each in found if each.name.isascii() and each.name.isdecimal()]
        # The shortest name last: it is the one without leading zeros, and wins.
        return {int(each.name): each for each in sorted(numbered, key=lambda each: -len(each.name))}
