"""The model of the benchmarks: two dense layers, 64 floats in, 10 out. Run as a program: `… OUT_DIR`."""

import os
import sys
from pathlib import Path
from typing import Any

INPUTS, HIDDEN, OUTPUTS = 64, 32, 10


def export(path: Path) -> None:
    """Write the SavedModel."""
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

    module.run = tf.function(run, input_signature=[tf.TensorSpec([None, INPUTS], tf.float32, name="x")])
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.run})


if __name__ == "__main__":
    export(Path(sys.argv[1]))
