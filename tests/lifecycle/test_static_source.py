"""A source that says one thing once."""

from lifecycle.servable_id import ServableId
from lifecycle.source import AspiredVersion, ServableData, connect
from lifecycle.static_source import StaticSource
from tests.fakes.servables import FakeLoader
from tests.fakes.targets import RecordingTarget


def test_connected_source_speaks_to_its_target() -> None:
    """A static source says its whole list once, name by name, when it is connected."""
    ids = [ServableId("m", 1), ServableId("n", 1), ServableId("m", 2)]
    versions = [AspiredVersion(each, FakeLoader) for each in ids]
    target = RecordingTarget[AspiredVersion]()

    connect(StaticSource(versions), target)

    told = [(name, [str(version.id) for version in versions]) for name, versions in target.told]
    assert told == [("m", ["m/1", "m/2"]), ("n", ["n/1"])]


def test_source_of_data_speaks_to_a_target_of_data() -> None:
    """What a list is made of is the source's choice."""
    path = ServableData(ServableId("m", 1), "/models/m/1")
    target = RecordingTarget[ServableData[str]]()

    connect(StaticSource([path]), target)

    assert target.told == [("m", [path])]
