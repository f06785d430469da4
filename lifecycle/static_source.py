"""A source that says one thing once: for tests, examples and a fixed set of models."""

from collections.abc import Iterable

from lifecycle import source


class StaticSource:
    """Aspires a fixed list of versions, at the moment when it is connected."""

    def __init__(self, versions: Iterable[source.AspiredVersion]) -> None:
        self._by_name: dict[str, list[source.AspiredVersion]] = {}
        for version in versions:
            self._by_name.setdefault(version.id.name, []).append(version)

    def set_aspired_versions_callback(self, callback: source.AspiredVersionsCallback) -> None:
        """Say it, once for each name."""
        for name, versions in self._by_name.items():
            callback(name, versions)
