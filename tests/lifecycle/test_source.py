"""Who says what is aspired."""

import pytest

from lifecycle import errors
from lifecycle.servable_id import ServableId
from lifecycle.source import AspiredVersion, ServableData
from tests.fakes.servables import FakeLoader

ID = ServableId("m", 1)


def test_version_has_either_a_way_or_a_reason() -> None:
    """An aspired version says how it is loaded, or why it cannot be; never both, never neither."""
    AspiredVersion(ID, loader_factory=FakeLoader)
    AspiredVersion(ID, error=errors.LoadFailed("no such path"))

    with pytest.raises(ValueError, match="m/1 needs either"):
        AspiredVersion(ID)
    with pytest.raises(ValueError, match="m/1 needs either"):
        AspiredVersion(ID, FakeLoader, errors.LoadFailed("no such path"))


def test_data_of_a_version_are_there_or_a_reason_is() -> None:
    """A version without a loader has what leads to one, or the reason why nothing does; the type can be named."""
    assert ServableData[str](ID, "/models/m/1") == ServableData(ID, data="/models/m/1")
    ServableData[str](ID, error=errors.LoadFailed("no such path"))

    with pytest.raises(ValueError, match="m/1 needs either data or an error"):
        ServableData[str](ID)
    with pytest.raises(ValueError, match="m/1 needs either data or an error"):
        ServableData(ID, "/models/m/1", errors.LoadFailed("no such path"))
