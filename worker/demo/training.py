"""Trains the demo's two models on scikit-learn's handwritten digits and exports them as SavedModels.

Version 1 is weak on purpose (one layer, hardly trained), version 2 is better, so that the answers show which
version gave them. Run in a process of its own, `python -m worker.demo.training OUT_DIR`, because TensorFlow
and scikit-learn are heavy and their threads outlive their use; the demo reads what it leaves behind:

* `OUT_DIR/digits/1` and `OUT_DIR/digits/2`: SavedModels with `serving_default`, from `pixels` DT_FLOAT[?,64]
  to `probabilities` DT_FLOAT[?,10] and `digit` DT_INT64[?]; `OUT_DIR/digits` is their base path
* `OUT_DIR/held_out.npz`: `pixels` and `digit` of the images that neither model was trained on
* on standard output one line of JSON: `{"base_path": …, "held_out": …, "accuracies": {"1": …, "2": …}}`
"""

import dataclasses
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

MODEL_NAME = "digits"
HELD_OUT_FILE = "held_out.npz"
PIXELS = 64

_SEED = 7
_BRIGHTEST = 16.0  # scikit-learn's digits count inked pixels of 4 x 4 fields
_BATCH_ROWS = 64
_HELD_OUT_SHARE = 0.4


@dataclasses.dataclass(frozen=True, slots=True)
class Images:
    """Images of digits: `pixels` float32 [n, 64] from 0 to 1, and the `digit` int64 [n] on each."""

    pixels: npt.NDArray[np.float32]
    digit: npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True)
class Recipe:
    """How a version is made: units of its hidden layers, and how often it sees the training images."""

    version: int
    hidden: Sequence[int]
    epochs: int


RECIPES = (Recipe(1, (), 2), Recipe(2, (64,), 25))


def train(out: Path) -> dict[str, Any]:
    """Train and export every version and write the held-out images; seconds on two cores, seeds fixed.

    Returns what the module's last line of output says.

    Raises:
        FileExistsError: a version is there already; nothing is overwritten.
    """
    training, held_out = split_digits()
    accuracies = {
        str(recipe.version): _train_version(recipe, out / MODEL_NAME, training, held_out)
        for recipe in RECIPES
    }
    np.savez(out / HELD_OUT_FILE, pixels=held_out.pixels, digit=held_out.digit)
    return {
        "base_path": str(out / MODEL_NAME),
        "held_out": str(out / HELD_OUT_FILE),
        "accuracies": accuracies,
    }


def split_digits() -> tuple[Images, Images]:
    """The digits in scikit-learn's own order, cut into those for training and those held out.

    Digits by one hand stand together there, so that most of those held out are by other hands.
    """
    from sklearn import datasets  # noqa: PLC0415  # heavy, and only this process needs it

    digits = datasets.load_digits()
    pixels = (digits.data / _BRIGHTEST).astype(np.float32)
    digit = digits.target.astype(np.int64)
    cut = round(len(digit) * (1 - _HELD_OUT_SHARE))
    return Images(pixels[:cut], digit[:cut]), Images(pixels[cut:], digit[cut:])


def read_held_out(out: Path) -> Images:
    """The images that `train` has held out; needs NumPy only."""
    with np.load(out / HELD_OUT_FILE) as arrays:
        return Images(arrays["pixels"], arrays["digit"])


def _train_version(recipe: Recipe, base_path: Path, training: Images, held_out: Images) -> float:
    """Train one version, export it, and return its accuracy on the held-out images."""
    directory = base_path / str(recipe.version)
    if directory.exists():
        raise FileExistsError(f"{directory} exists; give an empty folder")
    from tensorflow import keras  # noqa: PLC0415  # imported after the environment is set

    keras.utils.set_random_seed(_SEED)
    hidden = [keras.layers.Dense(units, activation="relu") for units in recipe.hidden]
    model = keras.Sequential(
        [keras.Input((PIXELS,), name="pixels"), *hidden, keras.layers.Dense(10, activation="softmax")]
    )
    model.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy")
    model.fit(
        training.pixels, training.digit, batch_size=_BATCH_ROWS, epochs=recipe.epochs, verbose=0, shuffle=True
    )
    _export(model, directory)
    found = model.predict_on_batch(held_out.pixels).argmax(axis=-1)
    return float((found == held_out.digit).mean())


def _export(model: Any, directory: Path) -> None:
    """Write the SavedModel beside its place and move it there, as anybody should who feeds a server."""
    import tensorflow as tf  # noqa: PLC0415  # imported after the environment is set

    def recognise(pixels: Any) -> dict[str, Any]:
        probabilities = model(pixels)
        return {"probabilities": probabilities, "digit": tf.argmax(probabilities, axis=-1)}

    archive = tf.keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        "serving_default", recognise, input_signature=[tf.TensorSpec([None, PIXELS], tf.float32, "pixels")]
    )
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".writing-") as folder:
        archive.write_out(str(Path(folder) / "model"), verbose=False)
        (Path(folder) / "model").rename(directory)


def main(arguments: Sequence[str]) -> int:
    """Train into the folder that is named, and print what came of it."""
    if len(arguments) != 1:
        print("usage: python -m worker.demo.training OUT_DIR", file=sys.stderr)
        return 2
    # A demo has nothing to say about CUDA; whoever wants to hear it sets the variable.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    out = Path(arguments[0])
    out.mkdir(parents=True, exist_ok=True)
    print(json.dumps(train(out.absolute())))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
