"""Loads a small model in plain NumPy: in milliseconds, without TensorFlow (`numpy_model` has the format)."""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lifecycle import errors, numpy_model, resources
from lifecycle.resources import ResourceAllocation
from lifecycle.signature import Signature

Array = npt.NDArray[Any]
Hold = Callable[[float], object]
"""Keeps the calling thread for some seconds, as work on a device would."""


def hold_thread(seconds: float) -> None:
    """Keep the calling thread for that long, without keeping the interpreter."""
    threading.Event().wait(seconds)


class NumpyServable:
    """The servable of a NumPy model; thread-safe, because a program keeps nothing between calls."""

    def __init__(self, model: numpy_model.NumpyModel, hold: Hold) -> None:
        self._model = model
        self._signatures = model.signatures
        self._hold = hold

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """Each way to call it, by name."""
        return self._signatures

    def run(self, signature: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]:
        """Run one signature; no outputs named means all of them. An output of `identity` is the input itself.

        Raises:
            InvalidInput: the shapes do not fit the model's arrays (where its signature leaves them open).
            OutOfMemory: memory ran out.
        """
        if self._model.sleep_seconds:
            self._hold(self._model.sleep_seconds)
        given = {name: np.asarray(value) for name, value in inputs.items()}
        try:
            results = self._model.programs[signature].run(given, outputs)
        except (ValueError, TypeError) as error:
            raise errors.InvalidInput(f"signature {signature!r} refused its inputs: {error}") from error
        except MemoryError as error:
            raise errors.OutOfMemory(f"signature {signature!r} ran out of memory") from error
        return {name: np.asarray(value) for name, value in results.items()}


class NumpyLoader:
    """A loader of NumPy models. Cheap to construct; reads its files in `load`.

    `hold` stands for the time that the model's `load_seconds` and `sleep_seconds` ask for.
    """

    def __init__(self, directory: Path, hold: Hold = hold_thread) -> None:
        self._directory = directory
        self._hold = hold
        self._servable: NumpyServable | None = None

    @property
    def servable(self) -> NumpyServable:
        """The loaded model. Requires: loaded and not yet unloaded."""
        if self._servable is None:
            raise RuntimeError("this NumPy model is not loaded")
        return self._servable

    def estimate_resources(self) -> ResourceAllocation:
        """The bytes of its arrays, by the sizes of their files."""
        return resources.host(resources.file_bytes(self._directory, "*.npy"))

    def load(self) -> None:
        """Read the model and try it on zeros; on a load thread.

        Raises:
            LoadFailed: files are missing or unreadable: may pass.
            InvalidModel: the files contradict the format; the message names the place.
        """
        model = numpy_model.read_model(self._directory)
        if model.load_seconds:
            self._hold(model.load_seconds)
        self._servable = NumpyServable(model, self._hold)

    def unload(self) -> None:
        """Forget the model; on an unload thread."""
        self._servable = None
