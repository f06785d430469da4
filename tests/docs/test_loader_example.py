"""The loader of docs/loaders.md works, word for word, once it is installed as the page says."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lifecycle.errors import InvalidModel
from lifecycle.warmup import WarmedLoader
from tests.docs.pages import ROOT, blocks
from tests.kit import distributions
from worker import custom_loaders
from worker.loaders import SHIPPED, Loaders

PAGE = ROOT / "docs" / "loaders.md"


@pytest.fixture
def loaders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loaders]:
    """The registry of a worker in whose environment the page's distribution is installed."""
    (program,) = (block.text for block in blocks(PAGE) if "class LinearLoader" in block.text)
    (offer,) = (block.text for block in blocks(PAGE) if "[project." in block.text)
    name, value = re.findall(r'^(\w+) = "([\w:]+)"$', offer, re.MULTILINE)[0]
    assert '[project.entry-points."headrace.loaders"]' in offer
    distributions.install(tmp_path, "linear-loader", {name: value})
    (tmp_path / f"{value.partition(':')[0]}.py").write_text(program)
    monkeypatch.syspath_prepend(tmp_path)
    yield Loaders({**SHIPPED, **custom_loaders.find(SHIPPED).factories}, WarmedLoader)
    sys.modules.pop(value.partition(":")[0], None)


def test_the_example_loads_runs_and_unloads(loaders: Loaders, tmp_path: Path) -> None:
    """It is found by its name, warmed up like any other, and computes what it says."""
    (tmp_path / "1").mkdir()
    weights = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    np.save(tmp_path / "1" / "weights.npy", weights)
    loader = loaders.loader("linear", str(tmp_path / "1"), 1)

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
        loaders.loader("linear", str(tmp_path / "1"), 1).load()
