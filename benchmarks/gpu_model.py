"""The model of the GPU check: a chain of square matrices, as large as one wants.

Built in a process of its own, without a GPU, so that building leaves no trace in what is measured.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lifecycle.saved_model_tensorflow import import_tensorflow


def build(directory: Path, width: int, layers: int) -> None:
    """Write a SavedModel with `serving_default` from `x` to `y`, both DT_FLOAT[?, width]."""
    tf = import_tensorflow()
    random = np.random.default_rng(1)
    module = tf.Module()
    module.weights = [
        tf.Variable(
            random.standard_normal((width, width), dtype=np.float32) / np.sqrt(width, dtype=np.float32)
        )
        for _ in range(layers)
    ]

    @tf.function(input_signature=[tf.TensorSpec([None, width], tf.float32, "x")])  # type: ignore[untyped-decorator]
    def run(x: Any) -> dict[str, Any]:
        for matrix in module.weights:
            x = tf.tanh(tf.matmul(x, matrix))
        return {"y": x}

    tf.saved_model.save(module, str(directory), signatures={"serving_default": run})


def build_in_child(directory: Path, width: int, layers: int) -> None:
    """Build it in a process that sees no GPU.

    Raises:
        CalledProcessError: the process failed; what it said stands on standard error.
    """
    arguments = [sys.executable, "-m", "benchmarks.gpu_model", str(directory), str(width), str(layers)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    root = Path(__file__).parents[1]
    done = subprocess.run(
        arguments, check=False, env=environment, cwd=root, stderr=subprocess.PIPE, text=True
    )
    if done.returncode:
        sys.stderr.write(done.stderr)
        done.check_returncode()


def main(arguments: Sequence[str]) -> None:
    """Build the model that the command line names: DIRECTORY WIDTH LAYERS."""
    directory, width, layers = arguments
    build(Path(directory), int(width), int(layers))


if __name__ == "__main__":
    main(sys.argv[1:])
