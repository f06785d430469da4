"""A source that says one thing once."""

from collections.abc import Sequence

from lifecycle.servable_id import ServableId
from lifecycle.source import AspiredVersion, connect
from lifecycle.static_source import StaticSource
from tests.fakes.servables import FakeLoader


class RecordingTarget:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, list[str]]] = []

    def set_aspired_versions(self, name: str, versions: Sequence[AspiredVersion]) -> None:
        """Write down."""
        self.told.append((name, [str(version.id) for version in versions]))


def test_connected_source_speaks_to_its_target() -> None:
    """A static source says its whole list once, name by name, when it is connected."""
    ids = [ServableId("m", 1), ServableId("n", 1), ServableId("m", 2)]
    versions = [AspiredVersion(each, FakeLoader) for each in ids]
    target = RecordingTarget()

    connect(StaticSource(versions), target)

    assert target.told == [("m", ["m/1", "m/2"]), ("n", ["n/1"])]
