"""Fixtures of the tests that load real models."""

import pytest

from tests.kit.models import SavedModels


@pytest.fixture(scope="session")
def saved_models(tmp_path_factory: pytest.TempPathFactory) -> SavedModels:
    """Real SavedModels, each built once for the run."""
    return SavedModels(tmp_path_factory.mktemp("saved_models"))
