"""Two hundred models, ten of them broken, and how far a worker has come with them."""

import tomllib
from pathlib import Path

import pytest

from benchmarks import layout_model, many_models, stored_loader
from benchmarks.many_models import MODELS, SETTLED, SMALL_MODELS, SMALL_SETTLED, Progress
from lifecycle.errors import LifecycleError
from lifecycle.numpy_loader import NumpyLoader
from lifecycle.saved_model_loader import SavedModelLoader
from schemas.errors import Code
from schemas.servable_status import ServableState, ServableStatus


def said(model: str, state: ServableState, code: int = Code.OK) -> ServableStatus:
    """A status of a model's version."""
    return ServableStatus("worker", model, 1, state, int(code), "broken" if code else "")


def test_ten_of_two_hundred_models_are_broken_and_the_others_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of each way in which they are broken is tried, and a good one, by the loader that waits as well."""
    monkeypatch.setattr(stored_loader, "STORAGE_SECONDS", 0.0)
    paths = list(many_models.export(tmp_path).values())
    assert len(paths) == MODELS

    for number in (0, 20, 40):
        with pytest.raises(LifecycleError):
            SavedModelLoader(paths[number] / layout_model.VERSION).load()
    loader = stored_loader.StoredLoader(str(paths[1] / layout_model.VERSION), 1)
    loader.load()
    assert set(loader.servable.signatures) == set(layout_model.SIGNATURES)
    loader.unload()


def test_a_thousand_small_models_load_without_tensorflow(tmp_path: Path) -> None:
    """The first and the last, which is a copy of it."""
    paths = list(many_models.export_small(tmp_path).values())

    assert len(paths) == SMALL_MODELS
    for path in (paths[0], paths[-1]):
        loader = NumpyLoader(path / layout_model.VERSION)
        loader.load()
        assert set(loader.servable.signatures) == set(layout_model.SIGNATURES)


def test_the_file_is_what_models_apply_takes(tmp_path: Path) -> None:
    """A table for each model."""
    file = tmp_path / "models.toml"
    many_models.write_file(file, {"a": Path("/a"), "b": Path("/b")}, "stored")

    models = tomllib.loads(file.read_text())["models"]

    assert models["b"] == {"base_path": "/b", "loader": "stored", "versions": "latest:1"}
    assert set(models) == {"a", "b"}


def test_progress_counts_models_that_are_available_and_that_have_failed() -> None:
    """What loads counts as neither; all but the broken ones and those is the end."""
    statuses = [
        said("a", ServableState.AVAILABLE),
        said("b", ServableState.LOADING),
        said("c", ServableState.END, Code.UNAVAILABLE),
    ]

    assert many_models.progress(statuses) == Progress(1, 1)
    small = [said(f"m{number}", ServableState.AVAILABLE) for number in range(SMALL_MODELS)]
    assert many_models.progress(small) == SMALL_SETTLED
    failed = [said(f"m{number}", ServableState.END, Code.UNAVAILABLE) for number in range(10)]
    assert many_models.progress([*failed, *small[10:MODELS]]) == SETTLED
