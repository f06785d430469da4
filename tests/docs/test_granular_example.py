"""The model of docs/granular.md is built word for word, and run as the page says."""

from pathlib import Path

import numpy as np
import pytest

from lifecycle.concurrent_servable import ConcurrentServable
from lifecycle.saved_model_loader import SavedModelLoader
from tests.docs.pages import ROOT, blocks

pytestmark = pytest.mark.tensorflow

PAGE = ROOT / "docs" / "granular.md"


def test_the_example_is_called_as_its_parts_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty calls at once, and what the two parts compute of each row, in order."""
    (program,) = (block.text for block in blocks(PAGE) if block.language == "python")
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "recommender.py"
    file.write_text(program)  # TensorFlow reads the source of what it traces
    names: dict[str, object] = {"__name__": "recommender", "__file__": str(file)}
    exec(compile(program, str(file), "exec"), names)  # the program of our own page
    model = names["model"]
    loader = SavedModelLoader(tmp_path / "models" / "recommender" / "1")
    loader.load()
    x = np.random.default_rng(1).normal(size=(50, 4)).astype(np.float32)

    found = loader.servable.run("serving_default", {"x": x}, ())

    assert isinstance(loader.servable, ConcurrentServable)
    assert loader.servable.calls == {"serving_default": 40}
    expected = np.tanh(x @ model.encoder.numpy()) @ model.items.numpy()  # type: ignore[attr-defined]
    np.testing.assert_allclose(found["scores"], expected, rtol=1e-4, atol=1e-4)
    loader.unload()
