"""Small models whose answers are known: written for the NumPy loader, and computed here as the reference.

`tests.kit.models` builds SavedModels that compute the same. Version N of a model has weights of its own, so
that the version that answered can be told from the answer.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

PIXELS = 64
CLASSES = 10
INTEGERS = 4

Array = npt.NDArray[Any]


def weights(version: int) -> tuple[Array, Array]:
    """Weights and bias of the dense model: float32, of shapes (64, 10) and (10,)."""
    random = np.random.default_rng(version)
    matrix = random.standard_normal((PIXELS, CLASSES), dtype=np.float32)
    return matrix, random.standard_normal(CLASSES, dtype=np.float32)


def expected(version: int, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """What that version answers; float values agree to about 1e-5, everything else exactly."""
    if signature == "integers":
        return {"shifted": inputs["n"] * 2 + version}
    if signature == "strings":
        return {"echo": inputs["s"]}
    matrix, bias = weights(version)
    scores = inputs["x"] @ matrix + bias
    return {"scores": scores, "best": scores.argmax(axis=-1)}


def write_dense(base_path: Path, version: int = 1, **options: float) -> Path:
    """Write BASE/VERSION with `serving_default`: `x` DT_FLOAT[?,64] to `scores` [?,10] and `best` [?].

    The options are those of the format: `load_seconds`, `sleep_seconds`.
    """
    return _write(base_path, version, {"serving_default": _dense()}, options)


def write_three_signatures(base_path: Path, version: int = 1, **options: float) -> Path:
    """Write BASE/VERSION with `serving_default` as above, `integers` and `strings`.

    `integers`: `n` DT_INT64[?,4] to `shifted` = 2 n + version. `strings`: `s` DT_STRING[?] to `echo`.
    """
    shift = {"kind": "affine", "input": "n", "output": "shifted", "scale": 2, "offset": version}
    numbers = {"dtype": "DT_INT64", "shape": [None, INTEGERS]}
    texts = {"dtype": "DT_STRING", "shape": [None]}
    signatures = {
        "serving_default": _dense(),
        "integers": {"inputs": {"n": numbers}, "outputs": {"shifted": numbers}, "steps": [shift]},
        "strings": {
            "inputs": {"s": texts},
            "outputs": {"echo": texts},
            "steps": [{"kind": "identity", "input": "s", "output": "echo"}],
        },
    }
    return _write(base_path, version, signatures, options)


def rows(*values: bytes) -> Array:
    """A DT_STRING tensor of rank 1."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def pixels(count: int, seed: int = 0) -> Array:
    """That many rows for the dense model, different for each seed."""
    return np.random.default_rng(seed).standard_normal((count, PIXELS), dtype=np.float32)


def _dense() -> dict[str, Any]:
    steps: Sequence[Mapping[str, str]] = [
        {"kind": "dense", "input": "x", "output": "scores", "weights": "weights.npy", "bias": "bias.npy"},
        {"kind": "argmax", "input": "scores", "output": "best"},
    ]
    return {
        "inputs": {"x": {"dtype": "DT_FLOAT", "shape": [None, PIXELS]}},
        "outputs": {
            "scores": {"dtype": "DT_FLOAT", "shape": [None, CLASSES]},
            "best": {"dtype": "DT_INT64", "shape": [None]},
        },
        "steps": steps,
    }


def _write(base_path: Path, version: int, signatures: object, options: Mapping[str, float]) -> Path:
    directory = base_path / str(version)
    directory.mkdir(parents=True)
    matrix, bias = weights(version)
    np.save(directory / "weights.npy", matrix)
    np.save(directory / "bias.npy", bias)
    (directory / "model.json").write_text(json.dumps({"signatures": signatures, **options}, indent=2))
    return directory
