"""Finding handles by name and version."""

import pytest

from lifecycle import errors
from lifecycle.servable_handle import Pins
from lifecycle.servable_id import ServableId, ServableRequest
from lifecycle.serving_map import ServingMap
from tests.fakes.servables import AddingServable


def pins(name: str, version: int) -> Pins:
    """Pins of a new servable."""
    return Pins(ServableId(name, version), AddingServable(version))


@pytest.fixture
def serving() -> ServingMap:
    """Versions 0, 2 and 10 of m; version 7 of n."""
    made = ServingMap()
    for version in (2, 10, 0):
        made.add(pins("m", version))
    made.add(pins("n", 7))
    return made


@pytest.mark.parametrize(
    ("request_", "version"),
    [
        (ServableRequest.specific("m", 2), 2),
        (ServableRequest.specific("m", 0), 0),
        (ServableRequest.latest("m"), 10),
        (ServableRequest.earliest("m"), 0),
    ],
    ids=str,
)
def test_request_finds_its_version(serving: ServingMap, request_: ServableRequest, version: int) -> None:
    """A request finds the named, the highest or the lowest version, by number."""
    with serving.take_for(request_) as handle:
        assert handle.id == ServableId("m", version)


@pytest.mark.parametrize("version", [None, 0], ids=["latest", "specific"])
def test_unknown_name_is_not_found(serving: ServingMap, version: int | None) -> None:
    """A name of which nothing is available is named in the error."""
    with pytest.raises(errors.ServableNotFound, match="'o' has no available version"):
        serving.take("o", version)


def test_unknown_version_is_not_found(serving: ServingMap) -> None:
    """The error lists what is available instead."""
    with pytest.raises(errors.ServableNotFound, match=r"version 3 of servable 'm' .* available: 0, 2, 10"):
        serving.take("m", 3)


def test_earliest_of_unknown_name_is_not_found(serving: ServingMap) -> None:
    """Also the earliest needs a version that is available."""
    with pytest.raises(errors.ServableNotFound):
        serving.take_for(ServableRequest.earliest("o"))


def test_latest_falls_back(serving: ServingMap) -> None:
    """Without the highest version, the next one is the latest."""
    serving.remove(ServableId("m", 10))

    assert serving.take("m", None).id.version == 2


def test_last_removed_version_takes_the_name_away(serving: ServingMap) -> None:
    """A name without versions is not found."""
    serving.remove(ServableId("n", 7))

    with pytest.raises(errors.ServableNotFound, match="'n' has no available version"):
        serving.take("n", None)
    assert [each.name for each in serving.ids()] == ["m", "m", "m"]


def test_all_can_be_taken(serving: ServingMap) -> None:
    """A handle of each available version, and the ids in order."""
    handles = serving.take_all()

    assert sorted(handles) == list(serving.ids())
    assert [str(each) for each in serving.ids()] == ["m/0", "m/2", "m/10", "n/7"]


def test_reader_that_meets_a_closed_version_looks_again() -> None:
    """A version that closes between a reader's look and its taking is skipped for what is there by then."""
    serving = ServingMap()
    old, new = pins("m", 1), pins("m", 2)
    serving.add(old)
    serving.add(new)

    class Leaving(Pins):
        """Leaves the map when somebody tries to take it."""

        def take(self) -> None:
            """Leave."""
            serving.remove(self.id)

    serving.add(Leaving(ServableId("m", 3), AddingServable(3)))

    assert serving.take("m", None).id.version == 2
    serving.add(Leaving(ServableId("m", 0), AddingServable(0)))
    assert serving.take_for(ServableRequest.earliest("m")).id.version == 1
