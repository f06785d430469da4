"""A loader factory whose versions and loaders a test puts there."""

import threading
from collections.abc import Mapping, Sequence

from lifecycle import errors
from lifecycle.servable_id import ServableId
from tests.fakes.servables import FakeLoader


class Shelf:
    """A `loader_factory.LoaderFactory`. Thread-safe.

    Attributes:
        existing: the versions that exist of each name.
        prepared: what comes next for a version, a loader or an error; a plain `FakeLoader` with the version's number
            when nothing is left.
        made: each loader that was given away, in order.
    """

    def __init__(self, existing: Mapping[str, Sequence[int]]) -> None:
        self.existing = {name: list(versions) for name, versions in existing.items()}
        self.prepared: dict[ServableId, list[FakeLoader | BaseException]] = {}
        self.made: list[tuple[ServableId, FakeLoader]] = []
        self._lock = threading.Lock()  # guards the two above

    def versions(self, name: str) -> Sequence[int]:
        """Those that exist."""
        return self.existing.get(name, ())

    def loader(self, servable_id: ServableId) -> FakeLoader:
        """What was prepared, or a plain one."""
        if servable_id.version not in self.versions(servable_id.name):
            raise errors.ServableNotFound(f"there is no {servable_id}")
        with self._lock:
            prepared = self.prepared.get(servable_id)
            loader = prepared.pop(0) if prepared else FakeLoader(servable_id.version)
            if isinstance(loader, BaseException):
                raise loader
            self.made.append((servable_id, loader))
        return loader

    def made_for(self, servable_id: ServableId) -> list[FakeLoader]:
        """The loaders of one version, in the order of its lives."""
        return [loader for each, loader in self.made if each == servable_id]
