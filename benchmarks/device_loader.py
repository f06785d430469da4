"""A loader for a model on a device that does not exist: each batch takes it the same time, whatever it holds.

It is offered to workers as anybody's loader would be (docs/loaders.md): by the entry point of a distribution, which
`offer` makes.
"""

import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.dense_model import INPUTS, OUTPUTS
from benchmarks.device_journal import Journal, Run
from lifecycle.signature import Signature, TensorSpec
from tests.kit import distributions

NAME = "device"
_FILE_NAME = "device.json"

Array = npt.NDArray[Any]


def offer(site: Path) -> None:
    """Put the distribution that brings the loader into a folder, for workers with its `environment`."""
    distributions.install(site, "headrace-bench-device", {NAME: f"{__name__}:{DeviceLoader.__name__}"})


def environment(site: Path) -> dict[str, str]:
    """What a worker's environment needs so that it finds the loader that was put there."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))}


def write(version: Path, *, batch_seconds: float, journal: Path, device: str = "") -> None:
    """Write a version's directory: how long the device takes for a batch, and the folder that its journal goes to.

    Versions that name the same *device* share it; those that name none have one each.
    """
    version.mkdir(parents=True)
    config = {"batch_seconds": batch_seconds, "journal": str(journal), "device": device}
    (version / _FILE_NAME).write_text(json.dumps(config), encoding="utf-8")


class Line:
    """What stands before a device: when it has done all that it was given."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # held for an addition, never while the device works
        self._free_at = 0.0

    def join(self, seconds: float) -> tuple[float, float]:
        """Stand behind all others with a batch that takes so long; its beginning and its end."""
        with self._lock:
            start = max(time.monotonic(), self._free_at)
            self._free_at = end = start + seconds
        return start, end


_lines: dict[str, Line] = {}


class Device:
    """Works on one batch at a time, in the order in which they are given to it.

    Like a GPU it has a queue of its own: when a batch is done it begins the next one that it has been given, whether
    the thread that waits for the first has noticed or not. Time without a batch is lost.
    """

    def __init__(self, batch_seconds: float, journal: Journal, line: Line) -> None:
        self._batch_seconds = batch_seconds
        self._journal = journal
        self._line = line

    def run(self, rows: int) -> None:
        """Give it a batch and return when that is done; waits without holding the interpreter."""
        start, end = self._line.join(self._batch_seconds)
        threading.Event().wait(end - time.monotonic())
        self._journal.add(Run(start, end, rows))


class DeviceServable:
    """The benchmarks' model as such a device would compute it, were its answers not all zero."""

    def __init__(self, device: Device) -> None:
        self._device = device
        takes = {"x": TensorSpec("x", "DT_FLOAT", (None, INPUTS))}
        gives = {"scores": TensorSpec("scores", "DT_FLOAT", (None, OUTPUTS))}
        self._signatures = {"serving_default": Signature("serving_default", "predict", takes, gives)}

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """The one that requests mean by default."""
        return self._signatures

    def run(
        self, _signature: str, inputs: Mapping[str, Array], _outputs: Sequence[str]
    ) -> Mapping[str, Array]:
        """Wait for the device."""
        rows = len(inputs["x"])
        self._device.run(rows)
        return {"scores": np.zeros((rows, OUTPUTS), np.float32)}


class DeviceLoader:
    """Brings one version, which is a device of its own."""

    def __init__(self, path: str, _version: int) -> None:
        self._file = Path(path) / _FILE_NAME
        self._journal: Journal | None = None
        self._servable: DeviceServable | None = None

    def load(self) -> None:
        """Read what `write` has written, and begin the journal; on a load thread."""
        config = json.loads(self._file.read_text(encoding="utf-8"))
        self._journal = Journal(Path(config["journal"]))
        line = _lines.setdefault(config["device"], Line()) if config["device"] else Line()
        self._servable = DeviceServable(Device(config["batch_seconds"], self._journal, line))

    def unload(self) -> None:
        """End the journal; on an unload thread."""
        assert self._journal is not None
        self._journal.close()
        self._servable = None

    @property
    def servable(self) -> DeviceServable:
        """The device's. Requires: loaded and not yet unloaded."""
        assert self._servable is not None
        return self._servable
