"""`make gpu-check`: loads, batches and unloads a model on a GPU, and prints what it used.

Checks what no machine without a GPU can: that a model's weights lie on the GPU, that its memory is taken as it
is needed and not whole, that batches come out right, and that loading a model again after unloading it takes no
more memory. Exit status: 0 all is well, 1 a check failed, 77 there is no GPU.
"""

import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from batching import merging
from batching.batch import Batch
from batching.options import QueueOptions
from batching.shared_scheduler import SharedScheduler
from benchmarks import gpu_model
from lifecycle.saved_model_loader import SavedModelLoader
from lifecycle.saved_model_servable import SavedModelServable
from lifecycle.saved_model_tensorflow import import_tensorflow
from lifecycle.warmup import WarmedLoader

NO_GPU = 77
MEBIBYTE = 2**20

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Device:
    """What is asked about a GPU; a test makes one up.

    Attributes:
        name: as its maker calls it.
        total_bytes: its memory.
        taken_bytes: what this process and others have taken of it, now.
        used_bytes: what tensors of this process use, now.
    """

    name: str
    total_bytes: int
    taken_bytes: Callable[[], int]
    used_bytes: Callable[[], int]


@dataclasses.dataclass(frozen=True, slots=True)
class Load:
    """The size of the check: a model of `layers` square matrices, and the requests that it gets."""

    width: int = 4096
    layers: int = 4
    requests: int = 4000
    most_rows: int = 16
    max_batch_rows: int = 512
    reloads: int = 3

    @property
    def weight_bytes(self) -> int:
        """What the weights take."""
        return self.width * self.width * self.layers * 4


class Rows:
    """A batch task: some rows, and the answer to them."""

    def __init__(self, x: Array) -> None:
        self.x = x
        self.rows = len(x)
        self.y: Array | None = None

    def split(self, rows: int) -> None:  # the protocol's signature
        """A request is not cut."""


class Report:
    """Lines of figures, and checks that hold or do not."""

    def __init__(self) -> None:
        self.failed = 0

    def figure(self, name: str, value: str) -> None:
        """Print one figure."""
        print(f"{name:<34} {value}")

    def check(self, name: str, *, holds: bool) -> None:
        """Print whether a check holds."""
        self.failed += not holds
        print(f"{name:<34} {'ok' if holds else 'FAILED'}")


def run_check(device: Device, load: Load, folder: Path, report: Report) -> None:
    """The whole check on a device, in a folder for the model."""
    directory = folder / "1"
    gpu_model.build_in_child(directory, load.width, load.layers)
    report.figure("GPU", f"{device.name}, {_mebibytes(device.total_bytes)}")
    report.figure("weights", _mebibytes(load.weight_bytes))
    used_before, taken_before = device.used_bytes(), device.taken_bytes()

    loader = WarmedLoader(SavedModelLoader(directory))
    started = time.perf_counter()
    loader.load()
    report.figure("load and warm-up", f"{time.perf_counter() - started:.2f} s")
    used, taken = device.used_bytes() - used_before, device.taken_bytes() - taken_before
    report.figure("used by the loaded model", _mebibytes(used))
    report.figure("taken from the GPU", _mebibytes(taken))
    report.check("weights lie on the GPU", holds=used >= load.weight_bytes)
    report.check("memory is not grabbed whole", holds=taken < device.total_bytes // 2)

    servable = loader.servable
    assert isinstance(servable, SavedModelServable)
    _check_batching(servable, load, report)
    del servable
    loader.unload()
    left = device.used_bytes() - used_before
    report.figure("used after unloading", _mebibytes(left))
    report.check("unloading frees the weights", holds=left < load.weight_bytes // 10)

    taken_once = device.taken_bytes()
    for _ in range(load.reloads):
        again = WarmedLoader(SavedModelLoader(directory))
        again.load()
        again.unload()
    grown = device.taken_bytes() - taken_once
    report.figure(f"grown by {load.reloads} more loads", _mebibytes(grown))
    report.check("loading again takes no more", holds=grown < load.weight_bytes // 2)


def _check_batching(servable: SavedModelServable, load: Load, report: Report) -> None:
    """Ask in small requests, let them be batched, and compare each answer with the same rows asked alone."""
    random = np.random.default_rng(0)
    tasks = [
        Rows(random.standard_normal((int(rows), load.width), dtype=np.float32))
        for rows in random.integers(1, load.most_rows + 1, size=load.requests)
    ]
    batch_rows: list[int] = []

    def process(batch: Batch[Rows]) -> None:
        batch_rows.append(batch.rows)
        x = merging.merge([task.x for task in batch.tasks], batch.padded_rows)
        y = servable.run("serving_default", {"x": x}, ["y"])["y"]
        parts = merging.split_rows(y, [task.rows for task in batch.tasks], batch.padded_rows)
        for task, part in zip(batch.tasks, parts, strict=True):
            task.y = part

    options = QueueOptions(load.max_batch_rows, max_enqueued_batches=sum(task.rows for task in tasks))
    started = time.perf_counter()
    with SharedScheduler(threads=2) as scheduler:
        queue = scheduler.add_queue("gpu", options, process)
        for task in tasks:
            queue.schedule(task)
    seconds = time.perf_counter() - started
    rows = sum(task.rows for task in tasks)
    report.figure("rows a second", f"{rows / seconds:,.0f}")
    report.figure("rows a batch (mean, largest)", f"{rows / len(batch_rows):.0f}, {max(batch_rows)}")
    alone = [
        servable.run("serving_default", {"x": task.x}, ["y"])["y"] for task in tasks[:: len(tasks) // 20]
    ]
    pairs = zip(tasks[:: len(tasks) // 20], alone, strict=True)
    # TF32 rounds to 10 bits, and other batch sizes take other kernels: close, not equal.
    right = all(task.y is not None and np.allclose(task.y, y, rtol=0.02, atol=0.02) for task, y in pairs)
    report.check("each request has its own answer", holds=right and all(task.y is not None for task in tasks))


def find_gpu() -> Device | None:
    """The first GPU that TensorFlow sees, with its memory set to grow; None when there is none."""
    tf = import_tensorflow()
    found = tf.config.list_physical_devices("GPU")
    if not found:
        return None
    for gpu in found:
        tf.config.experimental.set_memory_growth(gpu, enable=True)  # for our own questions below
    name, total, _ = _ask_driver()
    return Device(
        name,
        total,
        taken_bytes=lambda: _ask_driver()[2],
        used_bytes=lambda: int(tf.config.experimental.get_memory_info("GPU:0")["current"]),
    )


def _ask_driver() -> tuple[str, int, int]:
    """Name, total and taken bytes of the first visible GPU, from outside of TensorFlow."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0] or "0"
    answer = subprocess.run(
        [  # noqa: S607  # the driver's own tool, wherever it was installed
            "nvidia-smi",
            f"--id={visible}",
            "--query-gpu=name,memory.total,memory.used",
            "--format=csv,noheader,nounits",
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    name, total, used = answer.stdout.splitlines()[0].rsplit(", ", 2)
    return name, int(total) * MEBIBYTE, int(used) * MEBIBYTE


def _mebibytes(count: int) -> str:
    return f"{count / MEBIBYTE:,.0f} MiB"


def main(find: Callable[[], Device | None] = find_gpu, load: Load | None = None) -> int:
    """Run the check on the GPU that is there."""
    device = find()
    if device is None:
        print("no GPU")
        return NO_GPU
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        run_check(device, load or Load(), Path(folder), report)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
