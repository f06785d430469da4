"""Small Keras models in `.keras` files; importing this module is cheap, writing the first one imports TensorFlow."""

import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lifecycle.saved_model_tensorflow import import_tensorflow

FILE = "model.keras"
WORDS = ("water", "wheel", "mill")


def dense() -> Any:
    """A model of `pixels` DT_FLOAT[?,64] to ten classes; the same each time."""
    keras = import_tensorflow().keras
    keras.utils.set_random_seed(7)
    return keras.Sequential(
        [
            keras.Input((64,), name="pixels"),
            keras.layers.Dense(16, "relu"),
            keras.layers.Dense(10, "softmax"),
        ]
    )


def write_dense(directory: Path) -> Path:
    """That model as a version."""
    return write(directory, dense())


def write_two_inputs(directory: Path) -> Path:
    """`left` and `right` DT_FLOAT[?,2] to their `sum` and `product`."""
    keras = import_tensorflow().keras
    left, right = keras.Input((2,), name="left"), keras.Input((2,), name="right")
    outputs = {"sum": left + right, "product": keras.layers.Multiply()([left, right])}
    return write(directory, keras.Model({"left": left, "right": right}, outputs))


def write_words(directory: Path) -> Path:
    """Strings to their place in a vocabulary, which the file brings: 0 for others, then from 1."""
    keras = import_tensorflow().keras
    words = keras.Input((1,), dtype="string", name="word")
    return write(directory, keras.Model(words, keras.layers.StringLookup(vocabulary=list(WORDS))(words)))


def write_lambda(directory: Path) -> Path:
    """A layer that is a Python function, which the file brings."""
    keras = import_tensorflow().keras
    return write(directory, keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x * 2)]))


def write_custom(directory: Path) -> Path:
    """A layer of a class that Keras does not have."""
    keras = import_tensorflow().keras

    doubling = type("Doubling", (keras.layers.Layer,), {"call": lambda self, x: x * 2})
    return write(directory, keras.Sequential([keras.Input((2,)), doubling()]))


def write(directory: Path, model: Any) -> Path:
    """A model as a version."""
    directory.mkdir(parents=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of how Keras asks TensorFlow for arrays
        model.save(directory / FILE)
    return directory


def change_config(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Write what the file of a version says of its model anew."""
    file = directory / FILE
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    change(config)
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
