"""Models that cost nothing, for images as they come from a decoder: 224 x 224 x 3 bytes. Run as a program: `… OUT_DIR`.

`corner` answers with three bytes of the image, `image` with the image itself. Both are TensorFlow graphs of one
operation, so that an image has to get into TensorFlow, and the answer out of it, and nothing else costs anything.
"""

import os
import sys
from pathlib import Path
from typing import Any

SHAPE = (224, 224, 3)
IMAGE_BYTES = 224 * 224 * 3


def export(path: Path) -> None:
    """Write each SavedModel as version 1 of a folder with its name."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    def corner(x: Any) -> dict[str, Any]:
        return {"y": x[:, 0, 0, :]}

    def image(x: Any) -> dict[str, Any]:
        return {"y": tf.identity(x)}

    for function in (corner, image):
        module = tf.Module()
        module.run = tf.function(
            function, input_signature=[tf.TensorSpec([None, *SHAPE], tf.uint8, name="x")]
        )
        target = path / function.__name__ / "1"
        tf.saved_model.save(module, str(target), signatures={"serving_default": module.run})


if __name__ == "__main__":
    export(Path(sys.argv[1]))
