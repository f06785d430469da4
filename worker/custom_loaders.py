"""Loaders that other distributions bring, for models that headrace does not know.

A distribution offers one by an entry point in the group `headrace.loaders`: its name is what control records say, its
object is called with a version's directory and number and returns a `lifecycle.loader.Loader`. Which names there are is
read from the installed metadata; nothing is imported before a version needs it, and then on a load thread, so that
one that is broken fails its own versions alone.
"""

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata

from lifecycle.errors import LoadFailed, PermanentLoadFailure
from lifecycle.loader import Loader
from lifecycle.servable import Servable
from worker import control_record
from worker.control_record import InvalidControlRecord
from worker.loaders import LoaderFactory

GROUP = "headrace.loaders"


@dataclass(frozen=True, slots=True)
class Offer:
    """One entry point of the group: a distribution offers a loader by a name."""

    name: str
    distribution: str
    release: str
    entry_point: metadata.EntryPoint

    def __str__(self) -> str:
        return f"{self.entry_point.value} of {self.distribution} {self.release}"


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
    """The loaders that *distributions* (by default: everything installed) bring beside the *shipped* names.

    A name that is offered twice, or that headrace has itself, is used by nobody: which of them a model gets must not
    depend on the order in which things were installed. Raises nothing for a broken distribution.
    """
    offers: dict[str, list[Offer]] = {}
    problems: list[str] = []
    for distribution in metadata.distributions() if distributions is None else distributions:
        try:
            for entry_point in distribution.entry_points.select(group=GROUP):
                offer = Offer(entry_point.name, distribution.name, distribution.version, entry_point)
                offers.setdefault(offer.name, []).append(offer)
        except Exception as error:  # noqa: BLE001 - other people's files; no fault in them may stop a worker
            problems.append(
                f"{_unreadable(distribution)} ({type(error).__name__}: {error}); install it again"
            )
    factories = {}
    taken = frozenset(shipped)
    for name, offered in sorted(offers.items()):
        first_of_each = {_normal(offer.distribution): offer for offer in reversed(offered)}
        problem = _problem(name, list(reversed(first_of_each.values())), taken)
        if problem is None:
            factories[name] = functools.partial(CustomLoader, offered[0])
        else:
            problems.append(problem)
    return Found(factories, tuple(problems))


def _normal(distribution: str) -> str:
    """One spelling for each distribution: it may be on the path twice, and only the first one is imported from."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _unreadable(distribution: metadata.Distribution) -> str:
    try:
        which = f"the entry points of {distribution.name}"
    except Exception:  # noqa: BLE001 - as above
        which = "the metadata of an installed distribution"
    return f"{which} cannot be read, so no loader of it is known here"


def _problem(name: str, offered: list[Offer], taken: frozenset[str]) -> str | None:
    """Why a name cannot be used."""
    who = " and ".join(map(str, offered))
    if name in taken:
        return (
            f"loader {name!r} is headrace's own; {who} must offer its loader by another name, and is not used"
        )
    if len(offered) > 1:
        return (
            f"loader {name!r} is offered more than once, by {who}; none of them is used: remove all but one"
        )
    try:
        control_record.check_loader_name(name)
    except InvalidControlRecord as error:
        return f"{error}; {who} is not used"
    return None


class CustomLoader:
    """The loader of one version that another distribution brings; it is imported and made in `load`."""

    def __init__(self, offer: Offer, path: str, version: int) -> None:
        self._offer = offer
        self._path = path
        self._version = version
        self._inner: Loader | None = None

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
