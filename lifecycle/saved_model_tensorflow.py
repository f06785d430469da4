"""The one place where TensorFlow is imported: late, quietly, and by the thread that first needs it."""

import functools
import os
from pathlib import Path
from typing import Any

from lifecycle import errors

NVIDIA_DRIVER = Path("/proc/driver/nvidia")


@functools.cache
def import_tensorflow() -> Any:
    """TensorFlow itself; the first call takes seconds and hundreds of megabytes, others nothing.

    Thread-safe. Called on load threads, never on the way of a request. The environment may say otherwise than
    these defaults:

    * TF_CPP_MIN_LOG_LEVEL=2: what TensorFlow's C++ side logs below ERROR is left out; 3, which leaves out
      errors as well, on a machine without an NVIDIA driver, where the only one is that there is none (what
      goes wrong in a model is raised, not logged). A few lines of its start-up come before the level applies
      and cannot be told to go.
    * TF_ONEDNN_USE_SYSTEM_ALLOCATOR=true: on x86 TensorFlow keeps large tensors in a pool of its own and never
      gives one back, so that an unloaded model goes on using its memory. With the system's allocator a model
      of 100 MB gave back all of it, and ran as fast.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if NVIDIA_DRIVER.exists() else "3")
    os.environ.setdefault("TF_ONEDNN_USE_SYSTEM_ALLOCATOR", "true")
    import tensorflow as tf  # noqa: PLC0415  # see above

    return tf


def has_operation(name: str) -> bool:
    """Whether this process's TensorFlow, with what packages have added to it, has an operation of that name."""
    import_tensorflow()
    from tensorflow.python.framework import op_def_registry  # noqa: PLC0415  # after the environment is set

    return op_def_registry.get(name) is not None


def parse_text_model(text: str, file_name: str) -> bytes:
    """The bytes of a SavedModel that was written as text (some of version 1 are, for people to read).

    Raises:
        InvalidModel: the text is no SavedModel.
    """
    import_tensorflow()
    from google.protobuf import text_format  # noqa: PLC0415  # comes with TensorFlow
    from tensorflow.core.protobuf import saved_model_pb2  # noqa: PLC0415  # after the environment is set

    try:
        message = text_format.Parse(text, saved_model_pb2.SavedModel())
    except text_format.ParseError as error:
        raise errors.InvalidModel(f"{file_name} is no SavedModel: {error}; export the model again") from error
    return bytes(message.SerializeToString())
