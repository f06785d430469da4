"""The loaders that a control record may name."""

import subprocess
import sys
from pathlib import Path

import pytest

from lifecycle.keras_loader import KerasLoader
from lifecycle.loader import Loader
from lifecycle.lookup_table_loader import LookupTableLoader
from lifecycle.numpy_loader import NumpyLoader
from lifecycle.python_loader import PythonLoader
from lifecycle.saved_model_loader import SavedModelLoader
from lifecycle.saved_model_session import SessionOptions
from lifecycle.vocabulary_loader import VocabularyLoader
from lifecycle.warmup import WarmedLoader
from schemas.model_config import ModelConfig
from tests.fakes.servables import FakeLoader
from tests.kit import numpy_models
from worker.loaders import Life, Loaders, shipped
from worker.version_sources import Source


def test_the_shipped_loaders_go_by_their_names() -> None:
    """A name says which files are understood."""
    loaders = Loaders()

    assert list(loaders) == ["keras", "lookup_table", "numpy", "python", "saved_model", "vocabulary"]
    assert len(loaders) == 6
    assert isinstance(loaders.loader(Source("keras", "/m/1"), 1), KerasLoader)
    assert isinstance(loaders.loader(Source("numpy", "/m/1"), 1), NumpyLoader)
    assert isinstance(loaders.loader(Source("python", "/m/1"), 1), PythonLoader)
    assert isinstance(loaders.loader(Source("saved_model", "/m/1"), 1), SavedModelLoader)
    assert isinstance(loaders.loader(Source("lookup_table", "/m/1"), 1), LookupTableLoader)
    assert isinstance(loaders.loader(Source("vocabulary", "/m/1"), 1), VocabularyLoader)


def test_an_unknown_loader_is_not_in_the_registry() -> None:
    """Whoever applies a record asks before."""
    loaders = Loaders()

    assert "numpy" in loaders
    assert "cobol" not in loaders
    with pytest.raises(KeyError):
        loaders.loader(Source("cobol", "/m/1"), 1)


def test_each_life_gets_a_loader_of_its_own_wrapped_as_asked(tmp_path: Path) -> None:
    """A warm-up goes around any of them."""
    directory = numpy_models.write_dense(tmp_path)
    loaders = Loaders(wrap=lambda loader, _life: WarmedLoader(loader))
    first, second = (loaders.loader(Source("numpy", str(directory)), 1) for _ in range(2))

    assert first is not second
    assert isinstance(first, WarmedLoader)
    first.load()
    assert set(first.servable.signatures) == {"serving_default"}
    first.unload()


def test_a_loader_is_told_directory_and_version() -> None:
    """Loaders of one's own may need the number."""
    told: list[tuple[str, int]] = []

    def make(path: str, version: int) -> FakeLoader:
        told.append((path, version))
        return FakeLoader(version)

    Loaders({"mine": make}).loader(Source("mine", "/m/3"), 3)

    assert told == [("/m/3", 3)]


def test_what_goes_around_a_loader_is_told_of_the_rows_of_its_batches() -> None:
    """And of the version's directory, and how to ask for its model's config; one row where nobody says more."""
    told: list[Life] = []
    config = ModelConfig("/m")

    def wrap(loader: Loader, life: Life) -> Loader:
        told.append(life)
        return loader

    loaders = Loaders({"mine": lambda _path, version: FakeLoader(version)}, wrap)
    loaders.loader(Source("mine", "/m/3"), 3)
    loaders.loader(Source("mine", "/m/4"), 4, (8, 32), lambda: config)

    assert [(each.path, each.batch_rows, each.config()) for each in told] == [
        ("/m/3", (1,), None),
        ("/m/4", (8, 32), config),
    ]


def test_the_registry_does_not_import_tensorflow() -> None:
    """A worker without SavedModels never pays for it."""
    program = "import sys, worker.loaders; sys.exit('tensorflow' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_saved_models_get_the_sessions_that_are_set() -> None:
    """How TensorFlow uses the cores is the worker's setting, not a default of the loader's."""
    session = SessionOptions(intra_op_threads=3, inter_op_threads=2)

    loader = shipped(session)["saved_model"]("/models/m/1", 1)

    assert isinstance(loader, SavedModelLoader)
    assert loader.options == session
