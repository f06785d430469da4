"""Who says what is aspired."""

import pytest

from lifecycle import errors
from lifecycle.servable_id import ServableId
from lifecycle.source import AspiredVersion
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
