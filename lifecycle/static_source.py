"""A source that says one thing once: for tests, examples and a fixed set of models."""

from collections.abc import Iterable
from typing import Generic

from lifecycle import source
from lifecycle.source import V


class StaticSource(Generic[V]):
    """Aspires a fixed list of versions, at the moment when it is connected."""

    def __init__(self, versions: Iterable[V]) -> None:
        self._by_name: dict[str, list[V]] = {}
        for version in versions:
            self._by_name.setdefault(version.id.name, []).append(version)

    def set_aspired_versions_callback(self, callback: source.AspiredVersionsCallback[V]) -> None:
        """Say it, once for each name."""
        for name, versions in self._by_name.items():
            callback(name, versions)
