"""What of a graph can run, on graphs of a few operations."""

from typing import Any

import pytest

from lifecycle.saved_model_reach import Graph, Run, keep_only
from lifecycle.saved_model_tensorflow import import_tensorflow

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def graph_def() -> Any:
    """An empty graph."""
    return import_tensorflow().compat.v1.GraphDef()


def function(graph_def: Any, name: str, *operations: str, arguments: tuple[str, ...] = ()) -> Any:
    """Add a function of such operations, each named as it is."""
    made = graph_def.library.function.add()
    made.signature.name = name
    for argument in arguments:
        made.signature.input_arg.add(name=argument)
    for operation in operations:
        made.node_def.add(name=operation, op=operation)
    return made


def call(holder: Any, name: str, called: str, *inputs: str) -> Any:
    """Add a call of a function to a graph's or a function's nodes."""
    node = holder.add(name=name, op="PartitionedCall", input=inputs)
    node.attr["f"].func.name = called
    return node


def reached(graph_def: Any, *tensors: str) -> set[str]:
    """The operations that a run comes to."""
    return {place.operation for place in Graph(graph_def).reached(Run(tensors)).places}


def test_inputs_and_control_inputs_are_followed_and_nothing_else(graph_def: Any) -> None:
    """Whatever number an output has."""
    graph_def.node.add(name="a", op="A")
    graph_def.node.add(name="b", op="B", input=["a:1", "^c"])
    graph_def.node.add(name="c", op="C")
    graph_def.node.add(name="d", op="D", input=["b"])

    assert reached(graph_def, "b:0") == {"A", "B", "C"}
    assert reached(graph_def, "^c") == {"C"}
    assert reached(graph_def, "missing:0") == set()


def test_a_colocated_operation_is_kept(graph_def: Any) -> None:
    """TensorFlow refuses a graph that lacks it."""
    graph_def.node.add(name="a", op="A").attr["_class"].list.s.append(b"loc:@b")
    graph_def.node.add(name="b", op="B")

    assert reached(graph_def, "a") == {"A", "B"}


def test_functions_are_followed_wherever_they_are_named(graph_def: Any) -> None:
    """By a call, a list, an attribute bound in an attribute, and as an operation of their own."""
    function(graph_def, "called", "InCalled")
    function(graph_def, "listed", "InListed")
    function(graph_def, "bound", "InBound")
    function(graph_def, "deep", "InDeep")
    function(graph_def, "unused", "InUnused")
    inner = function(graph_def, "own", "InOwn")
    inner.node_def.add(name="x", op="X").attr["g"].func.name = "deep"
    call(graph_def.node, "a", "called").attr["h"].func.attr["k"].func.name = "bound"
    graph_def.node.add(name="b", op="Case", input=["a"]).attr["branches"].list.func.add(name="listed")
    graph_def.node.add(name="c", op="own", input=["b"])

    assert reached(graph_def, "c:0") == {
        "PartitionedCall",
        "Case",
        "own",
        "InCalled",
        "InListed",
        "InBound",
        "InOwn",
        "X",
        "InDeep",
    }


def test_an_operation_where_a_function_is_named_counts(graph_def: Any) -> None:
    """TensorFlow looks a function's name up among its operations too."""
    graph_def.node.add(name="a", op="If").attr["then_branch"].func.name = "Abort"

    assert reached(graph_def, "a") == {"If", "Abort"}


def test_a_gradient_and_another_implementation_count(graph_def: Any) -> None:
    """TensorFlow may put them in the function's place."""
    for name in ("cpu", "gpu", "other"):
        made = function(graph_def, name, f"In{name}")
        if name != "other":
            made.attr["api_implements"].s = b"layer"
    function(graph_def, "backward", "InBackward")
    graph_def.library.gradient.add(function_name="gpu", gradient_func="backward")
    call(graph_def.node, "a", "cpu")

    assert reached(graph_def, "a") == {"PartitionedCall", "Incpu", "Ingpu", "InBackward"}


def test_functions_that_call_each_other_are_walked_once(graph_def: Any) -> None:
    """A circle ends."""
    call(function(graph_def, "one", "InOne").node_def, "x", "two")
    call(function(graph_def, "two", "InTwo").node_def, "y", "one")
    call(graph_def.node, "a", "one")

    assert reached(graph_def, "a") == {"PartitionedCall", "InOne", "InTwo"}


@pytest.mark.parametrize("kept", [set(), {"n0"}, {"n1", "n3"}, {"n0", "n1", "n2", "n3"}])
def test_everything_else_is_taken_out(graph_def: Any, kept: set[str]) -> None:
    """What stays keeps its order; a gradient goes with its function."""
    names = [f"n{i}" for i in range(4)]
    for name in names:
        graph_def.node.add(name=name, op="NoOp")
        function(graph_def, name, "NoOp")
        graph_def.library.gradient.add(function_name=name, gradient_func=name)

    keep_only(graph_def, kept, kept)

    expected = [name for name in names if name in kept]
    assert [node.name for node in graph_def.node] == expected
    assert [each.signature.name for each in graph_def.library.function] == expected
    assert [each.function_name for each in graph_def.library.gradient] == expected
