"""The demo's models, trained as the demo trains them: by a process of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lifecycle.saved_model_loader import SavedModelLoader
from lifecycle.signature import TensorSpec
from worker.demo import training

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the models go."""
    return tmp_path_factory.mktemp("demo") / "out"


@pytest.fixture(scope="module")
def said(out: Path) -> dict[str, Any]:
    """What the process printed; it trains once for all tests here."""
    done = subprocess.run(
        [sys.executable, "-m", "worker.demo.training", str(out)], check=True, capture_output=True, text=True
    )
    assert done.stdout.count("\n") == 1
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_version_2_is_clearly_better(said: dict[str, Any]) -> None:
    """The answers of the two versions can be told apart by their accuracy."""
    assert said["accuracies"]["1"] < 0.75
    assert said["accuracies"]["2"] > 0.9


@pytest.mark.parametrize("version", [1, 2])
def test_served_models_are_as_accurate_as_said(said: dict[str, Any], out: Path, version: int) -> None:
    """Each SavedModel recognises the held-out digits through our own loader as often as its training said."""
    held_out = training.read_held_out(out)
    loader = SavedModelLoader(Path(said["base_path"]) / str(version))
    loader.load()

    found = loader.servable.run("serving_default", {"pixels": held_out.pixels}, ["digit"])["digit"]

    assert (found == held_out.digit).mean() == pytest.approx(said["accuracies"][str(version)], abs=0.003)
    loader.unload()


def test_signatures_are_those_that_the_demo_asks(said: dict[str, Any]) -> None:
    """One signature, from pixels to probabilities and the digit, for any number of rows."""
    loader = SavedModelLoader(Path(said["base_path"]) / "1")
    loader.load()

    signature = loader.servable.signatures["serving_default"]

    assert signature.batchable
    assert dict(signature.inputs) == {"pixels": TensorSpec("pixels", "DT_FLOAT", (None, 64))}
    assert dict(signature.outputs) == {
        "digit": TensorSpec("digit", "DT_INT64", (None,)),
        "probabilities": TensorSpec("probabilities", "DT_FLOAT", (None, 10)),
    }
    loader.unload()


def test_held_out_digits_are_many_and_bright_from_0_to_1(said: dict[str, Any], out: Path) -> None:
    """Hundreds of images with the digit on each, apart from those of the training."""
    held_out = training.read_held_out(out)

    assert held_out.pixels.shape == (len(held_out.digit), 64)
    assert len(held_out.digit) > 500
    assert (held_out.pixels.min(), held_out.pixels.max()) == (0, 1)
    assert set(held_out.digit.tolist()) == set(range(10))


def test_nothing_is_overwritten(said: dict[str, Any], out: Path) -> None:
    """A folder that holds models already is refused."""
    with pytest.raises(FileExistsError, match="give an empty folder"):
        training.train(out)


def test_a_missing_folder_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """The module says how it is run."""
    assert training.main([]) == 2
    assert "usage: python -m worker.demo.training OUT_DIR" in capsys.readouterr().err
