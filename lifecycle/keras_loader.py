"""Loads one version of a Keras model, saved as a `.keras` file.

Keras reads the file in its safe mode and exports the model, by its own `export`, as a SavedModel into a folder that
lives as long as that takes. That is loaded like any SavedModel: signatures have the names that `export` gives them, its
operations are judged by the same rules, and requests run as fast. It costs the load a second copy of the weights.
"""

import tempfile
import zipfile
from pathlib import Path
from typing import Any

from lifecycle import errors, keras_file, resources, saved_model_devices
from lifecycle.concurrent_servable import ConcurrentServable
from lifecycle.resources import HOST, ResourceAllocation
from lifecycle.saved_model_errors import shown_reason
from lifecycle.saved_model_judgement import GraphRules
from lifecycle.saved_model_loader import SavedModelLoader
from lifecycle.saved_model_servable import SavedModelServable
from lifecycle.saved_model_session import SessionOptions
from lifecycle.saved_model_tensorflow import import_tensorflow

BACKEND = "tensorflow"
BASE_BYTES = 64 << 20
"""Memory of any load: Keras's layers, and the graph of the export (of ResNet50: 30 MiB)."""
LOADING_FACTOR = 4.0
"""Memory by the bytes of the file: Keras's weights, those of the export, and twice those while they are prepared."""
_WRONG_FILE = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    NotImplementedError,
    OSError,
    zipfile.BadZipFile,
)


class KerasLoader:
    """A loader of `.keras` files. Cheap to construct; the first `load` of a process imports TensorFlow.

    Args:
        directory: the version's, with one `.keras` file.
        options: what the model runs in.
        rules: what its graph may do.
    """

    def __init__(
        self, directory: Path, options: SessionOptions | None = None, rules: GraphRules | None = None
    ) -> None:
        self._directory = directory
        self._options = options
        self._rules = rules
        self._loaded: SavedModelLoader | None = None
        self._needs: ResourceAllocation | None = None

    @property
    def servable(self) -> SavedModelServable | ConcurrentServable:
        """The loaded model. Requires: loaded and not yet unloaded."""
        if self._loaded is None:
            raise RuntimeError("this Keras model is not loaded")
        return self._loaded.servable

    def estimate_resources(self) -> ResourceAllocation:
        """By the size of its file: Keras's own model and what is made of it. After the load, what was made."""
        if self._needs is not None:
            return self._needs
        size = resources.file_bytes(self._directory, keras_file.PATTERN)
        needs = BASE_BYTES + round(LOADING_FACTOR * size)
        name = "" if self._options is None else self._options.device
        devices = {HOST, saved_model_devices.memory_device(name, saved_model_devices.gpu_memory())}
        return ResourceAllocation(dict.fromkeys(devices, needs))

    def load(self) -> None:
        """Check the file, have Keras read and export it, and load that; on a load thread.

        Raises:
            InvalidModel: there is no such file of Keras 3, or Keras cannot read or export it.
            ForbiddenOperation: its graph could do what the rules do not allow.
            LoadFailed: the file is missing or unreadable, or there is no room for the export: may pass.
        """
        file = keras_file.find(self._directory)
        keras_file.check(file)
        with tempfile.TemporaryDirectory(prefix="headrace-keras-", ignore_cleanup_errors=True) as folder:
            _export(file, Path(folder) / "1")
            loader = SavedModelLoader(Path(folder) / "1", options=self._options, rules=self._rules)
            loader.load()
            self._needs = loader.estimate_resources()
        self._loaded = loader

    def unload(self) -> None:
        """Give back what the model took; on an unload thread."""
        loader, self._loaded = self._loaded, None
        assert loader is not None, "only what is loaded is unloaded"
        loader.unload()


def _export(file: Path, directory: Path) -> None:
    keras = import_tensorflow().keras
    backend = keras.backend.backend()
    if backend != BACKEND:
        raise errors.PermanentLoadFailure(
            f"Keras runs on {backend} here, and models are run by TensorFlow; start the workers without KERAS_BACKEND"
        )
    try:
        model: Any = keras.models.load_model(str(file), compile=False, safe_mode=True)
        model.export(str(directory), format="tf_saved_model", verbose=False)
    except Exception as error:  # noqa: BLE001 - what Keras raises depends on the model
        raise _load_error(file, keras.__version__, error) from None  # its frames hold the model


def _load_error(file: Path, release: str, error: Exception) -> errors.LoadFailed:
    if isinstance(error, OSError) and error.errno is not None:
        return errors.LoadFailed(
            f"{file.name} could not be read, or exported below '{tempfile.gettempdir()}': {error.strerror}; make room "
            "there, or set TMPDIR"
        )
    # What h5py finds wrong in a file has no number.
    wrong = isinstance(error, _WRONG_FILE)
    kind, what = (errors.InvalidModel, "is refused") if wrong else (errors.LoadFailed, "could not be loaded")
    # Around the reason, Keras describes each layer that it stood in.
    inner = str(error).rpartition("Exception encountered: ")[2]
    reason = shown_reason(ValueError(inner or type(error).__name__))
    return kind(f"{file.name} {what} by Keras {release}: {reason}")
