"""The large model of the benchmarks: ResNet50 with random weights, 98 MB of them. Run as a program: `… OUT_DIR`.

Weights do not matter here, sizes do: what is read from disk, what one call computes, what an unload gives back.
"""

import os
import sys
from pathlib import Path
from typing import Any

SIDE, CHANNELS, CLASSES = 224, 3, 1000


def export(path: Path) -> None:
    """Write the SavedModel."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    network = tf.keras.applications.ResNet50(weights=None)
    module = tf.Module()
    module.network_variables = [
        variable.value for variable in network.variables
    ]  # tf.Variable, for restoring

    def run(images: Any) -> dict[str, Any]:
        return {"scores": network(images, training=False)}

    images = tf.TensorSpec([None, SIDE, SIDE, CHANNELS], tf.float32, name="images")
    module.run = tf.function(run, input_signature=[images])
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.run})


if __name__ == "__main__":
    export(Path(sys.argv[1]))
