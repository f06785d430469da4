"""SavedModels whose parts gather batches inside, as TensorFlow writes and runs them."""

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from lifecycle import errors, saved_model_parts
from lifecycle.concurrent_servable import ConcurrentServable
from lifecycle.saved_model_loader import SavedModelLoader
from lifecycle.saved_model_parts import Part
from lifecycle.saved_model_servable import SavedModelServable
from lifecycle.saved_model_session import SessionOptions
from tests.kit.models import SavedModels

pytestmark = pytest.mark.tensorflow


def granular_threads() -> int:
    """Threads that make calls for a batch."""
    return sum(each.name == "granular" for each in threading.enumerate())


@pytest.mark.parametrize("inter_op_threads", [-1, 0, 2])
def test_parts_batch_at_different_sizes(saved_models: SavedModels, inter_op_threads: int) -> None:
    """Each part fills its own batches, from one batch of ours that is larger than both; results are in order."""
    loader = SavedModelLoader(
        saved_models.gathering(), options=SessionOptions(inter_op_threads=inter_op_threads)
    )
    loader.load()
    x = np.arange(64, dtype=np.float32)

    found = loader.servable.run("serving_default", {"x": x}, ())

    np.testing.assert_array_equal(found["y"], 2 * x + 1)
    assert set(found["a"]) <= set(range(1, 9))
    assert set(found["b"]) <= set(range(1, 33))
    assert max(found["a"]) == 8
    assert max(found["b"]) > 8
    loader.unload()


def test_calls_are_as_many_as_the_parts_need(saved_models: SavedModels) -> None:
    """By the parts behind each signature; one without parts is called as ever."""
    loader = SavedModelLoader(saved_models.gathering())
    before = granular_threads()
    loader.load()

    assert isinstance(loader.servable, ConcurrentServable)
    assert loader.servable.calls == {"serving_default": 8 + 32, "first": 8}
    assert granular_threads() - before == 39
    loader.unload()
    assert granular_threads() == before


def test_a_signature_that_does_not_say_its_rows_is_called_as_ever_and_warned_of(
    saved_models: SavedModels, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever built it learns what is missing."""
    loader = SavedModelLoader(saved_models.gathering())
    loader.load()

    assert not loader.servable.signatures["shapeless"].batchable
    assert loader.servable.run("shapeless", {"x": np.ones(3, np.float32)}, ())["y"].tolist() == [2, 2, 2]
    (warning,) = [each.getMessage() for each in caplog.records if "batches inside" in each.getMessage()]
    assert "'shapeless'" in warning
    assert "tf.ensure_shape" in warning
    loader.unload()


@pytest.mark.parametrize("most", [0, 1])
def test_row_by_row_can_be_left_out(saved_models: SavedModels, most: int) -> None:
    """Then a batch is one call, which a part with smaller batches refuses."""
    loader = SavedModelLoader(saved_models.gathering(), options=SessionOptions(granular_calls=most))
    loader.load()

    assert isinstance(loader.servable, SavedModelServable)
    assert set(loader.servable.run("first", {"x": np.ones(5, np.float32)}, ())["a"]) == {5}
    with pytest.raises(errors.InvalidInput, match="larger than maximum"):
        loader.servable.run("first", {"x": np.ones(9, np.float32)}, ())
    loader.unload()


def test_the_bound_holds(saved_models: SavedModels) -> None:
    """No more calls than the options say."""
    loader = SavedModelLoader(saved_models.gathering(), options=SessionOptions(granular_calls=4))
    loader.load()

    assert isinstance(loader.servable, ConcurrentServable)
    assert loader.servable.calls == {"serving_default": 4, "first": 4}
    found = loader.servable.run("first", {"x": np.arange(12, dtype=np.float32)}, ["y"])
    assert found["y"].tolist() == [2.0 * each for each in range(12)]
    loader.unload()


def test_a_refused_row_is_the_requesters_fault_and_the_next_batch_is_answered(
    saved_models: SavedModels,
) -> None:
    """The error is the row's, in words of ours; nothing of the failed batch is left."""
    loader = SavedModelLoader(saved_models.gathering())
    loader.load()
    x = np.arange(16, dtype=np.float32)
    marked = np.where(x == 5, np.float32(-1), x)

    with pytest.raises(errors.InvalidInput, match="this row is marked"):
        loader.servable.run("first", {"x": marked}, ())

    np.testing.assert_array_equal(loader.servable.run("first", {"x": x}, ())["y"], 2 * x)
    loader.unload()


def test_what_a_part_runs_is_judged(saved_models: SavedModels, tmp_path: Path) -> None:
    """The function that a part names is no way around the rules."""
    from tensorflow.core.protobuf import saved_model_pb2

    directory = tmp_path / "1"
    shutil.copytree(saved_models.gathering(), directory)
    model = saved_model_pb2.SavedModel.FromString((directory / "saved_model.pb").read_bytes())
    functions = model.meta_graphs[0].graph_def.library.function
    nodes = [node for function in functions for node in function.node_def]
    bodies = {node.attr["f"].func.name for node in nodes if node.op == "BatchFunction"}
    for function in functions:
        if function.signature.name in bodies:
            function.node_def.add(name="secret", op="ReadFile", input=["path:output:0"])
    (directory / "saved_model.pb").write_bytes(model.SerializeToString())

    assert bodies
    with pytest.raises(errors.ForbiddenOperation, match="ReadFile"):
        SavedModelLoader(directory).load()


def test_calls_needed_fill_all_parts_on_all_their_threads() -> None:
    """The rows of each part, once for each of its threads."""
    assert saved_model_parts.calls_needed([Part("", "a", 8, 2), Part("f", "b", 32, 1)]) == 48
    assert saved_model_parts.calls_needed([]) == 0
