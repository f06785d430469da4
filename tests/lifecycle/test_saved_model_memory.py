"""What SavedModels are said to take, against what they take."""

import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lifecycle import saved_model_devices, saved_model_memory
from lifecycle.resources import HOST, Device
from lifecycle.saved_model_loader import SavedModelLoader
from lifecycle.saved_model_tensorflow import import_tensorflow
from tests.kit.models import SavedModels

GPUS = {Device("gpu", 1): 1 << 30, Device("gpu", 0): 1 << 30}
HEAVY_BYTES = 4 * 2048 * 2048 * 4
WORDS = 300_000

MEASURE = """
import os, pathlib, sys
import numpy as np
from lifecycle.saved_model_loader import SavedModelLoader
from lifecycle.resources import HOST
from lifecycle.saved_model_session import trim_memory
from lifecycle.warmup import WarmedLoader

def kept(field):
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) << 10

small, measured = map(pathlib.Path, sys.argv[1:])
WarmedLoader(SavedModelLoader(small)).load()
before = kept("VmRSS")
pathlib.Path("/proc/self/clear_refs").write_text("5")  # the highest begins anew
loader = WarmedLoader(SavedModelLoader(measured))
said = loader.estimate_resources().of(HOST)
loader.load()
print(kept("VmHWM") - before, said)
trim_memory()  # what the load has freed is not the model's
print(kept("VmRSS") - before, loader.estimate_resources().of(HOST))
"""


def frozen(path: Path) -> None:
    """A graph that holds 32 MiB of weights as constants, as frozen ones do."""
    tf = import_tensorflow()
    weights = [np.random.default_rng(seed).standard_normal((2048, 2048), np.float32) for seed in range(2)]

    def run(x: Any) -> dict[str, Any]:
        for each in weights:
            x = tf.matmul(x, tf.constant(each))
        return {"y": x}

    module = tf.Module()
    called = tf.function(run, input_signature=[tf.TensorSpec([None, 2048], tf.float32, "x")])
    tf.saved_model.save(module, str(path), signatures={"serving_default": called})


def many_words(path: Path) -> None:
    """A table of many strings, filled from a file that comes with the model."""
    tf = import_tensorflow()
    file = path.parent / "many_words.txt"
    file.write_text("".join(f"word-{number:07}\n" for number in range(WORDS)))
    index = tf.lookup.TextFileIndex
    filled = tf.lookup.TextFileInitializer(
        str(file), tf.string, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER
    )
    module = tf.Module()
    module.table = tf.lookup.StaticHashTable(filled, default_value=-1)
    find = tf.function(
        lambda word: {"place": module.table.lookup(word)},
        input_signature=[tf.TensorSpec([None], tf.string, "word")],
    )
    tf.saved_model.save(module, str(path), signatures={"serving_default": find})


def heavy(path: Path) -> None:
    """64 MiB of variables."""
    path.symlink_to(SavedModels(path.parent / "heavy").heavy())


@pytest.mark.tensorflow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads Linux's account of memory")
@pytest.mark.parametrize("write", [heavy, frozen, many_words], ids=lambda each: each.__name__)
def test_no_load_takes_more_than_its_estimate(
    saved_models: SavedModels, tmp_path: Path, write: Callable[[Path], None]
) -> None:
    """At its highest, and afterwards; in a process of its own, which has loaded another model before."""
    write(tmp_path / "model")
    arguments = [sys.executable, "-c", MEASURE, str(saved_models.dense()), str(tmp_path / "model")]

    done = subprocess.run(arguments, check=True, capture_output=True, text=True)

    (highest, said), (loaded, said_after) = (map(int, line.split()) for line in done.stdout.splitlines())
    assert highest <= said
    assert loaded <= said_after <= said
    assert said_after < 10 * loaded, "an estimate that is far too high keeps other models out"


@pytest.mark.tensorflow
def test_variables_count_by_their_bytes(saved_models: SavedModels) -> None:
    """Before the load with what only loading takes; nothing of the model is read."""
    directory = saved_models.heavy()
    loader = SavedModelLoader(directory, gpus=dict)

    before = loader.estimate_resources()
    loader.load()
    after = loader.estimate_resources()
    loader.unload()

    assert before.memory.keys() == after.memory.keys() == {HOST}
    assert HEAVY_BYTES < after.of(HOST) < before.of(HOST)


@pytest.mark.tensorflow
def test_on_a_gpu_variables_count_for_its_memory(saved_models: SavedModels) -> None:
    """The first one has them; the host has what loading takes, and keeps the graph."""
    loader = SavedModelLoader(saved_models.heavy(), gpus=lambda: GPUS)

    before = loader.estimate_resources()
    loader.load()
    after = loader.estimate_resources()
    loader.unload()

    assert before.memory.keys() == after.memory.keys() == {HOST, Device("gpu", 0)}
    assert before.of(Device("gpu", 0)) == after.of(Device("gpu", 0)) > HEAVY_BYTES
    assert before.of(HOST) > HEAVY_BYTES > after.of(HOST)


def test_files_of_every_kind_count(tmp_path: Path) -> None:
    """Each by its own factor, whatever the depth; the checkpoint's index is not memory."""
    (tmp_path / "variables").mkdir()
    (tmp_path / "assets" / "deep").mkdir(parents=True)
    empty = saved_model_memory.before_load(tmp_path).of(HOST)
    assert empty == saved_model_memory.BASE_BYTES

    (tmp_path / "variables" / "variables.index").write_bytes(bytes(1000))
    assert saved_model_memory.before_load(tmp_path).of(HOST) == empty
    said = [empty]
    for name in (
        "variables/variables.data-00000-of-00002",
        "variables/variables.data-00001-of-00002",
        "assets/deep/words.txt",
        "saved_model.pb",
    ):
        (tmp_path / name).write_bytes(bytes(1000))
        said.append(saved_model_memory.before_load(tmp_path).of(HOST))

    assert [later - earlier for earlier, later in pairwise(said)] == [
        *2 * [1000 * (saved_model_memory.VARIABLES_FACTOR + saved_model_memory.LOADING_FACTOR)],
        1000 * saved_model_memory.ASSETS_FACTOR,
        1000 * saved_model_memory.GRAPH_FACTOR,
    ]


def test_a_graph_written_as_text_counts_too(tmp_path: Path) -> None:
    """Some of version 1 are."""
    (tmp_path / "saved_model.pbtxt").write_bytes(bytes(1000))

    assert saved_model_memory.after_load(tmp_path).of(HOST) > saved_model_memory.BASE_BYTES


def test_a_model_that_is_not_there_raises_nothing(tmp_path: Path) -> None:
    """Its load tells."""
    assert saved_model_memory.before_load(tmp_path / "missing").of(HOST) == saved_model_memory.BASE_BYTES


def test_without_a_driver_there_is_no_gpu_and_no_tensorflow(tmp_path: Path) -> None:
    """In a process of its own, which imports it only when it is needed."""
    program = (
        "import pathlib, sys\n"
        "from lifecycle.saved_model_devices import gpu_memory\n"
        "print(dict(gpu_memory(pathlib.Path(sys.argv[1]))), 'tensorflow' in sys.modules)"
    )

    said = subprocess.check_output([sys.executable, "-c", program, str(tmp_path / "none")], text=True)

    assert said == "{} False\n"


@pytest.mark.tensorflow
def test_with_a_driver_tensorflow_says_what_there_is(tmp_path: Path) -> None:
    """The call itself, which finds none on a machine without."""
    found = saved_model_devices.gpu_memory(tmp_path)

    gpus = import_tensorflow().config.list_physical_devices("GPU")
    assert list(found) == [Device("gpu", number) for number in range(len(gpus))]


@pytest.mark.tensorflow
def test_gpus_are_read_from_tensorflows_descriptions() -> None:
    """By their numbers; other devices are none."""
    import_tensorflow()
    from tensorflow.core.framework import device_attributes_pb2  # TensorFlow is imported late

    described = device_attributes_pb2.DeviceAttributes
    found = saved_model_devices.memory_of(
        [
            described(name="/device:CPU:0", device_type="CPU", memory_limit=268_435_456),
            described(name="/device:GPU:0", device_type="GPU", memory_limit=15_000_000_000),
            described(name="/device:GPU:1", device_type="GPU", memory_limit=7_000_000_000),
            described(name="/device:XLA_GPU:0", device_type="XLA_GPU", memory_limit=17_179_869_184),
        ]
    )

    assert found == {Device("gpu", 0): 15_000_000_000, Device("gpu", 1): 7_000_000_000}
