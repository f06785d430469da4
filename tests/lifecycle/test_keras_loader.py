"""Serving `.keras` files."""

import gc
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lifecycle import saved_model_memory
from lifecycle.errors import InvalidModel, LoadFailed, PermanentLoadFailure
from lifecycle.keras_loader import KerasLoader
from lifecycle.resources import HOST
from lifecycle.saved_model_judgement import GraphRules
from lifecycle.saved_model_tensorflow import import_tensorflow
from lifecycle.signature import TensorSpec
from tests.kit import keras_models

pytestmark = pytest.mark.tensorflow


def loaded(directory: Path, **options: Any) -> KerasLoader:
    """A loader that has loaded."""
    loader = KerasLoader(directory, **options)
    loader.load()
    return loader


def test_it_computes_what_keras_computes(tmp_path: Path) -> None:
    """For any number of rows, with the names that Keras's own export gives."""
    loader = loaded(keras_models.write_dense(tmp_path / "1"))
    signature = loader.servable.signatures["serving_default"]
    pixels = np.random.default_rng(0).standard_normal((5, 64), dtype=np.float32)

    assert dict(signature.inputs) == {"pixels": TensorSpec("pixels", "DT_FLOAT", (None, 64))}
    assert dict(signature.outputs) == {"output_0": TensorSpec("output_0", "DT_FLOAT", (None, 10))}
    given = loader.servable.run("serving_default", {"pixels": pixels}, ())
    expected = keras_models.dense()(pixels).numpy()
    np.testing.assert_allclose(given["output_0"], expected, rtol=1e-5)


def test_it_needs_less_after_the_load_than_for_it(tmp_path: Path) -> None:
    """Before: Keras's own weights and those of the export; after: the SavedModel, whose files are gone by then."""
    loader = KerasLoader(keras_models.write_dense(tmp_path / "1"))
    file = next((tmp_path / "1").glob("*.keras"))
    before = loader.estimate_resources()
    loader.load()
    after = loader.estimate_resources()

    assert before.of(HOST) > 4 * file.stat().st_size
    assert saved_model_memory.BASE_BYTES < after.of(HOST) < before.of(HOST)
    loader.unload()


def test_several_inputs_and_outputs_go_by_their_names(tmp_path: Path) -> None:
    """As the model has them."""
    loader = loaded(keras_models.write_two_inputs(tmp_path / "1"))
    inputs = {"left": np.array([[1, 2]], np.float32), "right": np.array([[3, 4]], np.float32)}

    given = loader.servable.run("serving_default", inputs, ())

    assert {name: array.tolist() for name, array in given.items()} == {"sum": [[4, 6]], "product": [[3, 8]]}


def test_a_vocabulary_is_found_in_the_file(tmp_path: Path) -> None:
    """Also after the folder of the export has gone."""
    loader = loaded(keras_models.write_words(tmp_path / "1"))
    words = np.array([[b"mill"], [b"stone"], [b"water"]], object)

    given = loader.servable.run("serving_default", {"word": words}, ())

    assert given["output_0"].tolist() == [[3], [0], [1]]


def test_the_export_is_gone_after_the_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after one that fails."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    loader = loaded(keras_models.write_dense(tmp_path / "1"))
    assert list((tmp_path / "tmp").iterdir()) == []
    with pytest.raises(PermanentLoadFailure):
        KerasLoader(keras_models.write_words(tmp_path / "2"), rules=GraphRules(most_bytes=10)).load()
    assert list((tmp_path / "tmp").iterdir()) == []
    loader.unload()
    with pytest.raises(RuntimeError, match="not loaded"):
        _ = loader.servable


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (keras_models.write_lambda, "has a Lambda, which runs a program that the file brings"),
        (
            keras_models.write_custom,
            "needs 'Doubling' of '.*keras_models', and only what Keras itself has is loaded",
        ),
    ],
)
def test_what_needs_python_code_is_refused(tmp_path: Path, write: Any, said: str) -> None:
    """For good, with what to do instead."""
    with pytest.raises(InvalidModel, match=said):
        KerasLoader(write(tmp_path / "1")).load()


def test_what_keras_refuses_is_told_in_a_sentence(tmp_path: Path) -> None:
    """A class that there is not, and a file for a vocabulary outside of the model's."""
    missing = keras_models.write_dense(tmp_path / "1")
    keras_models.change_config(
        missing, lambda config: config["config"]["layers"][1].update(class_name="Cobol")
    )
    with pytest.raises(InvalidModel, match=r"^model\.keras is refused by Keras 3.*Cobol"):
        KerasLoader(missing).load()

    reading = keras_models.write_words(tmp_path / "2")

    def read_elsewhere(config: dict[str, Any]) -> None:
        config["config"]["layers"][1]["config"]["vocabulary"] = "/etc/passwd"

    keras_models.change_config(reading, read_elsewhere)
    with pytest.raises(InvalidModel, match=r"^model\.keras is refused by Keras 3.*vocabulary file outside"):
        KerasLoader(reading).load()


def test_weights_that_do_not_fit_or_are_damaged_are_refused(tmp_path: Path) -> None:
    """Nothing is served by half."""
    directory = keras_models.write_dense(tmp_path / "1")
    keras_models.change_config(
        directory, lambda config: config["config"]["layers"][1]["config"].update(units=17)
    )

    with pytest.raises(PermanentLoadFailure, match=r"model\.keras is refused by Keras"):
        KerasLoader(directory).load()


def test_a_missing_file_may_still_come(tmp_path: Path) -> None:
    """Once it is there, the same loader loads it."""
    loader = KerasLoader(tmp_path / "1")
    with pytest.raises(LoadFailed) as caught:
        loader.load()
    assert caught.value.retriable

    keras_models.write_dense(tmp_path / "1")
    loader.load()


def test_the_model_of_keras_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its weights would be in memory twice."""
    keras = import_tensorflow().keras
    made: list[weakref.ref[Any]] = []
    load_model = keras.models.load_model

    def remember(*arguments: Any, **keywords: Any) -> Any:
        model = load_model(*arguments, **keywords)
        made.append(weakref.ref(model))
        return model

    monkeypatch.setattr(keras.models, "load_model", remember)
    loader = loaded(keras_models.write_dense(tmp_path / "1"))
    gc.collect()

    assert [each() for each in made] == [None]
    loader.unload()
