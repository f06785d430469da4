"""The model of the benchmarks: two dense layers, 64 floats in, 10 out. As a program: `… OUT_DIR [--compiled]`."""

import os
import sys
from pathlib import Path
from typing import Any

INPUTS, HIDDEN, OUTPUTS = 64, 32, 10


def export(path: Path, *, compiled: bool = False) -> None:
    """Write the SavedModel; *compiled*: TensorFlow makes a program for each number of rows when it first comes."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    generator = tf.random.Generator.from_seed(1)
    weights = [
        tf.Variable(generator.normal(shape) * 0.1)
        for shape in ((INPUTS, HIDDEN), (HIDDEN,), (HIDDEN, OUTPUTS), (OUTPUTS,))
    ]
    module = tf.Module()
    module.weights = weights

    def run(x: Any) -> dict[str, Any]:
        hidden = tf.nn.relu(x @ weights[0] + weights[1])
        return {"scores": hidden @ weights[2] + weights[3]}

    inputs = tf.TensorSpec([None, INPUTS], tf.float32, name="x")
    module.run = tf.function(run, input_signature=[inputs], jit_compile=compiled or None)
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.run})


if __name__ == "__main__":
    export(Path(sys.argv[1]), compiled="--compiled" in sys.argv[2:])
