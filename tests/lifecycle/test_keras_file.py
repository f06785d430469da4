"""What a `.keras` file may hold, without Keras."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from lifecycle import keras_file
from lifecycle.errors import InvalidModel, LoadFailed

LAYER = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 2, "activation": "relu"}}


def written(directory: Path, config: object, name: str = "model.keras") -> Path:
    """A file that describes a model so."""
    directory.mkdir(exist_ok=True)
    with zipfile.ZipFile(directory / name, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    return directory / name


def model(*layers: Any) -> dict[str, Any]:
    """The config of a model of these layers."""
    return {"module": "keras", "class_name": "Sequential", "config": {"layers": list(layers)}}


def test_a_model_of_keras_own_layers_is_taken(tmp_path: Path) -> None:
    """What it was trained with does not count: it is not loaded."""
    loss = {"class_name": "function", "module": "our_training", "config": "loss"}
    keras_file.check(written(tmp_path, {**model(LAYER), "compile_config": {"loss": loss}}))


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (
            {"module": "our_layers", "class_name": "Doubling", "config": {}},
            "needs 'Doubling' of 'our_layers'",
        ),
        ({"module": "builtins", "class_name": "Lambda", "config": {}}, "has a Lambda"),
        ({"module": "keras.layers", "class_name": "Lambda", "config": {}}, "has a Lambda"),
        ({"module": "keras.layers", "class_name": "TFSMLayer", "config": {}}, "has a TFSMLayer"),
        ({"class_name": "__lambda__", "config": {"value": "…"}}, "has a __lambda__"),
        ({"module": "os", "class_name": "function", "config": "system"}, "needs 'system' of 'os'"),
        ({"module": "kerasx", "class_name": "Dense", "config": {}}, "needs 'Dense' of 'kerasx'"),
    ],
)
@pytest.mark.parametrize("deep", [False, True])
def test_what_needs_other_code_is_refused(
    tmp_path: Path, part: dict[str, Any], said: str, deep: bool
) -> None:
    """Wherever in the model it stands; Keras is not even asked."""
    config = model({**LAYER, "config": {"activation": [part], "compile_config": part}}) if deep else part

    with pytest.raises(InvalidModel, match=f"^model.keras {said}"):
        keras_file.check(written(tmp_path, config))


@pytest.mark.parametrize("config", [[], "text", None, 7])
def test_what_describes_no_model_is_refused(tmp_path: Path, config: object) -> None:
    """With what to do."""
    with pytest.raises(InvalidModel, match="describes no model"):
        keras_file.check(written(tmp_path, config))


def test_what_is_no_file_of_keras_3_is_refused(tmp_path: Path) -> None:
    """No archive, one that is cut, and one without a config."""
    file = written(tmp_path, model())
    whole = file.read_bytes()
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        archive.writestr("x", "y")

    for data in (b"", b"garbage", whole[: len(whole) // 2], (tmp_path / "other.keras").read_bytes()):
        file.write_bytes(data)
        with pytest.raises(InvalidModel, match=r"model\.keras is no file of Keras 3"):
            keras_file.check(file)


def test_what_is_not_there_may_still_come(tmp_path: Path) -> None:
    """A directory, its file, and one that vanishes."""
    with pytest.raises(LoadFailed, match="cannot be read: No such file"):
        keras_file.find(tmp_path / "missing")
    with pytest.raises(LoadFailed, match="is the model still being written") as caught:
        keras_file.find(tmp_path)
    assert caught.value.retriable
    with pytest.raises(LoadFailed, match="cannot be read: No such file") as caught:
        keras_file.check(tmp_path / "model.keras")
    assert caught.value.retriable


def test_a_version_has_one_file(tmp_path: Path) -> None:
    """Which of several is meant nobody can say."""
    file = written(tmp_path, model())
    (tmp_path / "notes.txt").write_text("mine")
    assert keras_file.find(tmp_path) == file

    written(tmp_path, model(), "other.keras")
    with pytest.raises(InvalidModel, match=r"holds model\.keras, other\.keras; a version has one"):
        keras_file.find(tmp_path)


def test_a_config_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes of an archive may unpack to gigabytes."""
    monkeypatch.setattr(keras_file, "MOST_CONFIG_BYTES", 1000)

    with pytest.raises(InvalidModel, match="has more than 1,000 bytes"):
        keras_file.check(written(tmp_path, model("x" * 1000)))
