"""Where the path of a file comes from, on graphs of a few operations."""

from typing import Any

import pytest

from lifecycle.saved_model_origins import Origins
from lifecycle.saved_model_reach import Graph, Run
from lifecycle.saved_model_tensorflow import import_tensorflow

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def graph_def() -> Any:
    """An empty graph."""
    return import_tensorflow().compat.v1.GraphDef()


def function(graph_def: Any, name: str, *arguments: str) -> Any:
    """Add a function of these arguments."""
    made = graph_def.library.function.add()
    made.signature.name = name
    for argument in arguments:
        made.signature.input_arg.add(name=argument)
    return made


def call(holder: Any, name: str, called: str, *inputs: str) -> Any:
    """Add a call of a function to a graph's or a function's nodes."""
    node = holder.add(name=name, op="PartitionedCall", input=inputs)
    node.attr["f"].func.name = called
    return node


def fed(graph_def: Any, files: set[str]) -> bool:
    """Whether the only `Restore` there is reads what is fed."""
    graph = Graph(graph_def)
    run, other = graph.reached(Run(["a:0"])), graph.reached(Run(["other_run"]))
    (place,) = [each for each in run.places if each.operation == "Restore"]
    return Origins(graph, run, [other], files).is_fed(place, 0)


def restoring(graph_def: Any, tensor: str) -> None:
    """Two functions deep: the second argument of the outer one is the only one of the inner."""
    inner = function(graph_def, "inner", "path")
    inner.node_def.add(name="Restore", op="Restore", input=[tensor])
    inner.node_def.add(name="same", op="Identity", input=["path"])
    inner.node_def.add(name="joined", op="StringJoin", input=["path"])
    outer = function(graph_def, "outer", "x", "place")
    call(outer.node_def, "b", "inner", "place", "^x")
    graph_def.node.add(name="file", op="Const")
    graph_def.node.add(name="other", op="Const")
    graph_def.node.add(name="copy", op="Identity", input=["file:0"])


@pytest.mark.parametrize(
    ("tensor", "given", "expected"),
    [
        ("path", "file", True),
        ("path", "file:0", True),
        ("path", "copy", True),
        ("same:output:0", "file", True),
        ("path", "other", False),
        ("path", "missing", False),
        ("joined:output:0", "file", False),
        ("nowhere:output:0", "file", False),
    ],
)
def test_a_path_is_followed_to_what_is_fed(graph_def: Any, tensor: str, given: str, expected: bool) -> None:
    """Through calls and copies, and through nothing that could make another path of it."""
    restoring(graph_def, tensor)
    call(graph_def.node, "a", "outer", "other", given)

    assert fed(graph_def, {"file:0"}) is expected
    assert fed(graph_def, {"file"}) is expected


def test_a_path_that_one_of_several_calls_gives_is_not_fed(graph_def: Any) -> None:
    """Each call counts, and so does a way of calling that is not understood."""
    restoring(graph_def, "path")
    call(graph_def.node, "a", "outer", "other", "file", "^second")
    second = call(graph_def.node, "second", "outer", "other", "other")
    assert not fed(graph_def, {"file:0"})

    second.input[1] = "file"
    assert fed(graph_def, {"file:0"})

    second.attr["f"].Clear()
    second.attr["then_branch"].func.name = "outer"
    assert not fed(graph_def, {"file:0"})


def test_an_argument_that_stands_for_many_is_not_counted(graph_def: Any) -> None:
    """Which input it is cannot be told."""
    restoring(graph_def, "path")
    graph_def.library.function[1].signature.input_arg[0].number_attr = "N"
    call(graph_def.node, "a", "outer", "other", "file")

    assert not fed(graph_def, {"file:0"})


def variable(graph_def: Any, name: str, shared_name: str) -> None:
    """Add a variable."""
    graph_def.node.add(name=name, op="VarHandleOp").attr["shared_name"].s = shared_name.encode()


def reading_a_variable(graph_def: Any) -> None:
    """As exporters do with assets: what is fed is assigned to a variable, and that is read."""
    restoring(graph_def, "path")
    variable(graph_def, "v", "v")
    graph_def.node.add(name="assign", op="AssignVariableOp", input=["v", "file"])
    graph_def.node.add(name="is", op="VarIsInitializedOp", input=["v"])
    graph_def.node.add(name="read", op="ReadVariableOp", input=["v", "^assign", "^is"])
    call(graph_def.node, "a", "outer", "other", "read")


def test_a_variable_that_holds_what_is_fed_is_followed(graph_def: Any) -> None:
    """And one that another value is assigned to is not."""
    reading_a_variable(graph_def)
    assert fed(graph_def, {"file:0"})
    assert not fed(graph_def, {"other:0"})

    graph_def.node.add(name="again", op="AssignVariableOp", input=["v", "other"])
    graph_def.node[-2].input.append("^again")
    assert not fed(graph_def, {"file:0"})


def test_a_variable_that_another_run_has_in_its_hands_is_not_followed(graph_def: Any) -> None:
    """It may have left something there."""
    reading_a_variable(graph_def)
    graph_def.node.add(name="other_run", op="AssignVariableOp", input=["v", "file"])

    assert not fed(graph_def, {"file:0"})


@pytest.mark.parametrize("run", ["a", "other_run"])
def test_a_variable_of_two_names_is_not_followed(graph_def: Any, run: str) -> None:
    """The session keeps it under the one that is shared."""
    reading_a_variable(graph_def)
    variable(graph_def, "w", "v")
    graph_def.node.add(name="other_run", op="AssignVariableOp", input=["w", "other"])
    if run == "a":
        graph_def.node.add(name="last", op="NoOp", input=["^other_run"])
        next(node for node in graph_def.node if node.name == "a").input.append("^last")

    assert not fed(graph_def, {"file:0"})


@pytest.mark.parametrize("name", ["v", "w"])
def test_a_variable_whose_name_a_call_may_say_is_not_followed(graph_def: Any, name: str) -> None:
    """Whichever of two it is: they may be one."""
    reading_a_variable(graph_def)
    variable(graph_def, "w", "w")
    graph_def.node.add(name="other_run", op="AssignVariableOp", input=["w", "other"])
    assert fed(graph_def, {"file:0"})

    next(node for node in graph_def.node if node.name == name).attr["shared_name"].placeholder = "bound"
    assert not fed(graph_def, {"file:0"})


@pytest.mark.parametrize("user", ["Identity", "PartitionedCall", "AssignAddVariableOp"])
def test_a_variable_that_is_handed_on_is_not_followed(graph_def: Any, user: str) -> None:
    """What gets it may assign to it."""
    reading_a_variable(graph_def)
    graph_def.node.add(name="user", op=user, input=["v"])
    next(node for node in graph_def.node if node.name == "a").input.append("^user")

    assert not fed(graph_def, {"file:0"})


def test_what_is_read_from_something_else_is_not_followed(graph_def: Any) -> None:
    """A handle that is no variable's, or that is missing."""
    reading_a_variable(graph_def)
    read = next(node for node in graph_def.node if node.name == "read")
    read.input[0] = "other"
    assert not fed(graph_def, {"file:0"})

    del read.input[:]
    assert not fed(graph_def, {"file:0"})
