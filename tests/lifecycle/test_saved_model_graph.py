"""How a graph is brought into a session: in short steps, without what nobody asks for."""

from typing import Any

import pytest

from lifecycle import errors, saved_model_graph, saved_model_signatures
from lifecycle.saved_model_loader import SavedModelLoader
from lifecycle.saved_model_tensorflow import import_tensorflow
from tests.kit.models import SavedModels

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def tf() -> Any:
    """TensorFlow, as graphs are built with it."""
    return import_tensorflow().compat.v1


@pytest.fixture
def meta_graph(tf: Any, saved_models: SavedModels) -> Any:
    """The graph of a model with three signatures, hence with functions."""
    data = saved_model_signatures.meta_graph_bytes(saved_models.three_signatures(), ("serve",))
    return tf.MetaGraphDef.FromString(data)


def call_shapes(tf: Any, graph_def: Any) -> list[int | None]:
    """The rank of everything that a function call of this graph gives; None where it was not inferred."""
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        calls = [each for each in graph.get_operations() if each.type == "StatefulPartitionedCall"]
        return [output.shape.rank for call in calls for output in call.outputs]


def test_shapes_of_calls_are_not_inferred(tf: Any, meta_graph: Any) -> None:
    """TensorFlow honours the mark: it infers a rank somewhere without it, and none with it."""
    graph_def = meta_graph.graph_def
    for node in graph_def.node:
        node.attr.pop("_output_shapes", None)  # what the exporter noted counts as well
    before = call_shapes(tf, graph_def)

    saved_model_graph.leave_out_call_shapes(graph_def)

    assert any(rank is not None for rank in before)
    assert set(call_shapes(tf, graph_def)) == {None}


def test_a_call_by_the_functions_own_name_is_marked_too(tf: Any) -> None:
    """Version 1 calls a function by an operation of its name; other operations stay as they are."""
    graph_def = tf.GraphDef()
    graph_def.library.function.add().signature.name = "double"
    for name in ("double", "Relu"):
        graph_def.node.add(name=name, op=name)

    saved_model_graph.leave_out_call_shapes(graph_def)

    assert [node.op for node in graph_def.node if node.attr] == ["double"]


@pytest.mark.parametrize("most_bytes", [1, 2000, 1_000_000])
def test_functions_come_in_steps_each_once(tf: Any, meta_graph: Any, most_bytes: int) -> None:
    """Every function is in exactly one step, in the graph's order, and none is left in the graph."""
    graph_def = meta_graph.graph_def
    names = [function.signature.name for function in graph_def.library.function]

    steps = [
        [(each.signature.name, each.ByteSize()) for each in step.library.function]
        for step in saved_model_graph.function_steps(tf, graph_def, most_bytes)
    ]

    assert [name for step in steps for name, _ in step] == names
    assert all(len(step) == 1 or sum(size for _, size in step) <= most_bytes for step in steps)
    assert len(steps) == (len(names) if most_bytes == 1 else len(steps))
    assert not graph_def.library.function


def test_functions_with_gradients_stay_together(tf: Any) -> None:
    """A gradient names two functions, so both must come in one piece with it."""
    graph_def = tf.GraphDef()
    for name in ("forward", "backward"):
        graph_def.library.function.add().signature.name = name
    graph_def.library.gradient.add(function_name="forward", gradient_func="backward")

    assert list(saved_model_graph.function_steps(tf, graph_def, 1)) == []
    assert len(graph_def.library.function) == 2


def test_variables_that_nothing_restores_are_refused(
    tf: Any, saved_models: SavedModels, tmp_path: Any
) -> None:
    """A graph of version 1 that lost how its variables are restored is told before a request finds them empty."""
    saved = saved_models.version_one(as_text=False)
    data = saved_model_signatures.meta_graph_bytes(saved, ("serve",))
    meta_graph = tf.MetaGraphDef.FromString(data)
    meta_graph.ClearField("saver_def")
    meta_graph.collection_def["variables"].bytes_list.value.append(b"")
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel(saved_model_schema_version=1, meta_graphs=[meta_graph])
    (tmp_path / "saved_model.pb").write_bytes(model.SerializeToString())

    with pytest.raises(errors.InvalidModel, match="does not say how they are restored"):
        SavedModelLoader(tmp_path).load()


def test_others_have_the_interpreter_between_the_steps(
    tf: Any, meta_graph: Any, saved_models: SavedModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the parse, after each step with functions, after the rest of the graph; and when it is taken apart."""
    rests: list[None] = []
    monkeypatch.setattr(saved_model_graph, "rest", lambda: rests.append(None))
    steps = len(list(saved_model_graph.function_steps(tf, meta_graph.graph_def)))
    loader = SavedModelLoader(saved_models.three_signatures())

    loader.load()
    assert (steps, len(rests)) == (1, 3)
    loader.unload()
    assert len(rests) == 6
