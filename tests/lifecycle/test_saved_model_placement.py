"""Where the variables and operations of a SavedModel are; a process without a GPU can have two CPU devices for it."""

from pathlib import Path
from typing import Any

import pytest

from lifecycle import errors, saved_model_devices
from lifecycle.keras_loader import KerasLoader
from lifecycle.resources import HOST, Device
from lifecycle.saved_model_judgement import GraphRules
from lifecycle.saved_model_loader import SavedModelLoader
from lifecycle.saved_model_session import GraphSession, SessionOptions
from lifecycle.saved_model_signatures import read_meta_graphs
from lifecycle.saved_model_tensorflow import import_tensorflow
from tests.kit.models import SavedModels
from tests.kit.numpy_models import pixels

pytestmark = pytest.mark.tensorflow


BETWEEN = {"_Arg", "_Retval", "_Send", "_Recv", "_HostSend", "_HostRecv"}
"""Operations that bring values from and to a device."""


@pytest.fixture
def two_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each session has CPU:0 and CPU:1."""
    usual = GraphSession._config

    def config(self: GraphSession, options: SessionOptions) -> Any:
        made = usual(self, options)
        made.device_count["CPU"] = 2
        return made

    monkeypatch.setattr(GraphSession, "_config", config)


def where(device: str, directory: Path) -> dict[str, set[str]]:
    """The devices of what one run has done, by the kind of operation."""
    tf = import_tensorflow().compat.v1
    (graph,) = read_meta_graphs(directory, GraphRules().most_bytes)
    found = graph.signatures["serving_default"]
    (feed,), fetches = found.input_tensors.values(), list(found.output_tensors.values())
    session = GraphSession(SessionOptions(device=device))
    session.restore(directory, ["serve"], [feed, *fetches], GraphRules())
    seen = tf.RunMetadata()
    options = tf.RunOptions(output_partition_graphs=True)
    session._session.run(fetches, {feed: pixels(3)}, options=options, run_metadata=seen)
    session.close()
    places: dict[str, set[str]] = {}
    for partition in seen.partition_graphs:
        for node in partition.node:
            places.setdefault(node.op, set()).add(node.device.rpartition("/device:")[2])
    return places


@pytest.mark.usefixtures("two_devices")
@pytest.mark.parametrize("device", ["CPU:0", "CPU:1"])
def test_variables_and_operations_are_on_the_device_that_is_named(
    device: str, saved_models: SavedModels
) -> None:
    """Those of functions, too."""
    places = where(device, saved_models.dense())

    computing = {op: there for op, there in places.items() if op not in BETWEEN}
    assert any("MatMul" in op for op in computing)
    assert {"VarHandleOp", "ReadVariableOp"} <= computing.keys()
    assert set().union(*computing.values()) == {device}


@pytest.mark.usefixtures("two_devices")
def test_values_are_the_same_on_each(saved_models: SavedModels) -> None:
    """And where TensorFlow chooses."""
    found = []
    for device in ("", "CPU:0", "CPU:1"):
        loader = SavedModelLoader(saved_models.dense(), options=SessionOptions(device=device))
        loader.load()
        found.append(loader.servable.run("serving_default", {"x": pixels(5)}, [])["scores"].tolist())
        loader.unload()
    assert found[0] == found[1] == found[2]


def test_a_device_that_is_not_there_is_named_with_those_that_are(saved_models: SavedModels) -> None:
    """And nothing else runs in its place."""
    loader = SavedModelLoader(saved_models.dense(), options=SessionOptions(device="GPU:97"))
    with pytest.raises(errors.PermanentLoadFailure, match=r"no device GPU:97 on this worker.*CPU:0"):
        loader.load()


def test_memory_is_counted_where_the_model_is(tmp_path: Path, saved_models: SavedModels) -> None:
    """By the device that is named, whichever there are."""
    gpus = {Device("gpu", 0): 1, Device("gpu", 1): 1}
    for name, device in (("", Device("gpu", 0)), ("GPU:1", Device("gpu", 1)), ("CPU:0", HOST)):
        loader = SavedModelLoader(
            saved_models.dense(), options=SessionOptions(device=name), gpus=lambda: gpus
        )
        assert set(loader.estimate_resources().memory) == {HOST, device}
        assert saved_model_devices.memory_device(name, gpus) == device
    assert saved_model_devices.memory_device("", ()) == HOST
    keras = KerasLoader(tmp_path, SessionOptions(device="GPU:1"))
    assert set(keras.estimate_resources().memory) == {HOST, Device("gpu", 1)}
