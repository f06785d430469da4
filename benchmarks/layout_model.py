"""Many models with two signatures each, for the scenarios that mix them. Run as a program: `… OUT_DIR MODELS`.

Each signature is the small network of `dense_model`. One model is built and the others are copies of its directory:
what is measured is how many there are, not what they say.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.dense_model import HIDDEN, INPUTS, OUTPUTS
from schemas.model_config import ModelConfig

SIGNATURES = ("serving_default", "second")
VERSION = "1"


def names(models: int) -> list[str]:
    """What so many models are called."""
    return [f"model-{number:03d}" for number in range(models)]


def targets(models: int, signatures: int = len(SIGNATURES)) -> list[tuple[str, str]]:
    """Every (model, signature)."""
    return [(name, signature) for name in names(models) for signature in SIGNATURES[:signatures]]


def configs(folder: Path, models: int, loader: str = "saved_model") -> dict[str, ModelConfig]:
    """The control records of the first so many models under a folder."""
    return {name: ModelConfig(base_path=str(folder / name), loader=loader) for name in names(models)}


def export(folder: Path, models: int) -> None:
    """Write so many SavedModels under a folder, in a process of its own: this one never imports TensorFlow.

    Raises:
        CalledProcessError: the process failed; what it said stands on standard error.
    """
    command = [sys.executable, "-m", "benchmarks.layout_model", str(folder), str(models)]
    subprocess.run(command, check=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})


def export_numpy(folder: Path, models: int) -> None:
    """Write so many models for the loader `numpy` under a folder: one dense layer, for they load in milliseconds."""
    first = folder / names(1)[0] / VERSION
    first.mkdir(parents=True)
    weights = np.random.default_rng(1).standard_normal((INPUTS, OUTPUTS), dtype=np.float32)
    np.save(first / "weights.npy", weights)
    signature = {
        "inputs": {"x": {"dtype": "DT_FLOAT", "shape": [None, INPUTS]}},
        "outputs": {"scores": {"dtype": "DT_FLOAT", "shape": [None, OUTPUTS]}},
        "steps": [{"kind": "dense", "input": "x", "output": "scores", "weights": "weights.npy"}],
    }
    description = {"signatures": dict.fromkeys(SIGNATURES, signature)}
    (first / "model.json").write_text(json.dumps(description), encoding="utf-8")
    _copy(folder, models)


def _copy(folder: Path, models: int) -> None:
    first, *others = names(models)
    for name in others:
        shutil.copytree(folder / first, folder / name)


def _export(folder: Path, models: int) -> None:
    import tensorflow as tf

    generator = tf.random.Generator.from_seed(1)
    module = tf.Module()
    signatures = {name: _network(tf, generator) for name in SIGNATURES}
    module.variables_of_signatures = [weights for weights, _ in signatures.values()]
    calls = {name: call for name, (_, call) in signatures.items()}
    tf.saved_model.save(module, str(folder / names(1)[0] / VERSION), signatures=calls)
    _copy(folder, models)


def _network(tf: Any, generator: Any) -> tuple[list[Any], Any]:
    """Two dense layers with weights of their own: the weights, and the call."""
    shapes = ((INPUTS, HIDDEN), (HIDDEN,), (HIDDEN, OUTPUTS), (OUTPUTS,))
    weights = [tf.Variable(generator.normal(shape) * 0.1) for shape in shapes]

    def run(x: Any) -> dict[str, Any]:
        hidden = tf.nn.relu(x @ weights[0] + weights[1])
        return {"scores": hidden @ weights[2] + weights[3]}

    return weights, tf.function(run, input_signature=[tf.TensorSpec([None, INPUTS], tf.float32, name="x")])


if __name__ == "__main__":
    _export(Path(sys.argv[1]), int(sys.argv[2]))
