"""The loader and the class of docs/loaders.md work, word for word, once they are installed as the page says."""

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lifecycle.errors import InvalidModel, PermanentLoadFailure
from lifecycle.warmup import WarmedLoader
from tests.docs.pages import ROOT, blocks
from tests.kit import distributions
from worker import custom_loaders
from worker.loaders import SHIPPED, Loaders, shipped
from worker.settings import Settings
from worker.version_sources import Source

PAGE = ROOT / "docs" / "loaders.md"


def text_with(piece: str) -> str:
    """The page's only block with that in it."""
    (found,) = (block.text for block in blocks(PAGE) if piece in block.text)
    return found


@pytest.fixture
def loaders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loaders]:
    """The registry of a worker in whose environment the page's distribution is installed."""
    program, offer = text_with("class LinearLoader"), text_with("[project.")
    name, value = re.findall(r'^(\w+) = "([\w:]+)"$', offer, re.MULTILINE)[0]
    assert '[project.entry-points."headrace.loaders"]' in offer
    distributions.install(tmp_path, "linear-loader", {name: value})
    (tmp_path / f"{value.partition(':')[0]}.py").write_text(program)
    monkeypatch.syspath_prepend(tmp_path)
    factories = {**SHIPPED, **custom_loaders.find(SHIPPED).factories}
    yield Loaders(factories, lambda loader, _life: WarmedLoader(loader))
    sys.modules.pop(value.partition(":")[0], None)


def test_the_example_loads_runs_and_unloads(loaders: Loaders, tmp_path: Path) -> None:
    """It is found by its name, warmed up like any other, and computes what it says."""
    (tmp_path / "1").mkdir()
    weights = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    np.save(tmp_path / "1" / "weights.npy", weights)
    loader = loaders.loader(Source("linear", str(tmp_path / "1")), 1)

    loader.load()

    assert loader.servable.signatures["serving_default"].batchable
    answer = loader.servable.run("serving_default", {"x": np.ones((5, 2), np.float32)}, ())
    np.testing.assert_array_equal(answer["y"], np.tile(np.array([5, 7, 9], np.float32), (5, 1)))
    loader.unload()
    with pytest.raises(RuntimeError):
        _ = loader.servable


def test_the_example_says_what_is_wrong_with_a_model(loaders: Loaders, tmp_path: Path) -> None:
    """A model that no repetition heals is given up at once."""
    (tmp_path / "1").mkdir()
    np.save(tmp_path / "1" / "weights.npy", np.arange(3))

    with pytest.raises(InvalidModel, match=r"int64\(3,\); expected a float32 matrix"):
        loaders.loader(Source("linear", str(tmp_path / "1")), 1).load()


@pytest.fixture
def version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A version that names the page's class, which is on the path."""
    described = text_with('{"class"')
    module = json.loads(described)["class"].partition(":")[0]
    path = tmp_path / "path"
    path.mkdir()
    (path / f"{module}.py").write_text(text_with("class Thresholds"))
    monkeypatch.syspath_prepend(path)
    directory = tmp_path / "high" / "1"
    directory.mkdir(parents=True)
    (directory / "servable.json").write_text(described)
    (directory / "threshold.json").write_text("0.25")
    yield directory
    sys.modules.pop(module, None)


def test_the_class_serves_the_version_that_names_it(version: Path) -> None:
    """With the settings that the page shows; without them the error names the one that is missing."""
    said = tomllib.loads(text_with("python_modules ="))
    modules = Settings(worker_id="w", **said).lifecycle.python_modules
    with pytest.raises(PermanentLoadFailure, match=r"lifecycle\.python_modules"):
        Loaders().loader(Source("python", str(version)), 1).load()
    allowing = Loaders(shipped(python_modules=modules), lambda loader, _life: WarmedLoader(loader))
    loader = allowing.loader(Source("python", str(version)), 1)

    loader.load()

    scores = np.array([0.1, 0.4, 0.5, 0.6], np.float32)
    answer = loader.servable.run("serving_default", {"score": scores}, ())
    assert answer["high"].tolist() == [False, False, False, True]
    loader.unload()


def test_the_class_says_what_is_wrong_with_a_version(version: Path) -> None:
    """A model that no repetition heals is given up at once."""
    (version / "threshold.json").write_text('"high"')

    with pytest.raises(InvalidModel, match=r"threshold\.json holds 'high'"):
        Loaders(shipped(python_modules=["our_models"])).loader(Source("python", str(version)), 1).load()
