"""What of a graph can run: the operations behind what is fetched, and the functions that these name, all the way.

It reads TensorFlow's own messages, the very ones that are brought into the session afterwards: a reader of ours might
understand a crafted file otherwise than TensorFlow. No step holds the interpreter for long.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

MAIN = ""
"""Stands for the main graph where a function's name is asked for."""

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_COLOCATED = b"loc:@"
_SAME_INTERFACE = "api_implements"


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """One way in which a session runs a graph.

    Attributes:
        tensors: the tensors and operations that it fetches or feeds, by name.
        files: the tensors among them that it feeds with the path of a file of the model's own.
    """

    tensors: Sequence[str]
    files: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """An operation, and where it stands.

    Attributes:
        function: the name of its function, or `MAIN`.
        name: the operation's own name there.
        operation: its kind, as `MatMul`.
        node: TensorFlow's message; None for an operation that stands only where a function's name was expected.
    """

    function: str
    name: str
    operation: str
    node: Any

    @property
    def inputs(self) -> Sequence[str]:
        """The tensors that it takes, without control inputs."""
        return () if self.node is None else [each for each in self.node.input if not each.startswith("^")]


class Reached:
    """What one run can come to.

    Attributes:
        nodes: the names of operations of the main graph.
        functions: the names of functions.
        places: every operation in these.
    """

    def __init__(self) -> None:
        self.nodes: set[str] = set()
        self.functions: set[str] = set()
        self.places: list[Place] = []
        self.callers: dict[str, list[Place | None]] = defaultdict(list)
        """Where each function is called, inputs in the order of its arguments; None: it is named in another way."""


class Graph:
    """The operations and functions of a graph by name; it is not changed, and must not change while this lives.

    Raises:
        ValueError: a name stands for two operations or two functions.
    """

    def __init__(self, graph_def: Any) -> None:
        self._nodes = {node.name: node for node in graph_def.node}
        self._functions = {function.signature.name: function for function in graph_def.library.function}
        if len(self._nodes) + len(self._functions) < len(graph_def.node) + len(graph_def.library.function):
            raise ValueError("two operations or two functions of the graph have one name")
        self._gradients: dict[str, list[str]] = defaultdict(list)
        for each in graph_def.library.gradient:
            self._gradients[each.function_name].append(each.gradient_func)
        # TensorFlow may put one implementation of an interface in another's place.
        self._interface_of: dict[str, bytes] = {}
        self._implementations: dict[bytes, list[str]] = defaultdict(list)
        for name, function in self._functions.items():
            if _SAME_INTERFACE in function.attr:
                interface = self._interface_of[name] = function.attr[_SAME_INTERFACE].s
                self._implementations[interface].append(name)

    def reached(self, run: Run) -> Reached:
        """What that run can come to; what it names and is not there is passed over."""
        reached = Reached()
        waiting = [operation_of(tensor) for tensor in run.tensors]
        functions: list[str] = []
        while waiting:
            name = waiting.pop()
            node = self._nodes.get(name)
            if node is None or name in reached.nodes:
                continue
            reached.nodes.add(name)
            waiting += map(operation_of, node.input)
            waiting += _colocated_with(node)
            functions += self._enter(MAIN, node, reached)
        while functions:
            name = functions.pop()
            if name in reached.functions:
                continue
            reached.functions.add(name)
            for node in self._functions[name].node_def:
                functions += self._enter(name, node, reached)
            for other in (*self._gradients.get(name, ()), *self._interchangeable(name)):
                functions += self._named(other, Place(name, "", other, None), reached)
        return reached

    def _enter(self, function: str, node: Any, reached: Reached) -> Iterator[str]:
        """Take an operation in; the functions that it names."""
        place = _at(function, node)
        reached.places.append(place)
        if node.op in self._functions:
            reached.callers[node.op].append(place)
            yield node.op
        for key, attribute in node.attr.items():
            for name in _function_names(attribute):
                if key == "f" and node.op in _CALLS and name in self._functions:
                    reached.callers[name].append(place)
                    yield name
                else:
                    yield from self._named(name, place, reached)

    def _named(self, name: str, place: Place, reached: Reached) -> Iterator[str]:
        if name in self._functions:
            reached.callers[name].append(None)
            yield name
        elif name:  # TensorFlow takes an operation where it looks for a function
            reached.places.append(Place(place.function, place.name, name, None))

    def _interchangeable(self, name: str) -> Sequence[str]:
        interface = self._interface_of.get(name)
        return () if interface is None else self._implementations[interface]

    def argument(self, function: str, tensor: str) -> int | None:
        """Which argument of a function a tensor is; None for another tensor, and where that cannot be counted."""
        if function == MAIN:
            return None
        arguments = self._functions[function].signature.input_arg
        if any(each.number_attr or each.type_list_attr for each in arguments):
            return None
        return next((index for index, each in enumerate(arguments) if each.name == tensor), None)

    def source(self, function: str, tensor: str) -> Place | None:
        """The operation whose output a tensor is; None where there is none."""
        name = operation_of(tensor)
        if function == MAIN:
            node = self._nodes.get(name)
        else:
            nodes = self._functions[function].node_def
            node = next((each for each in nodes if each.name == name), None)
        return None if node is None else _at(function, node)


def keep_only(graph_def: Any, nodes: set[str], functions: set[str]) -> None:
    """Take everything else out of a graph, in place, so that nothing runs that was not reached."""
    _drop(graph_def.node, lambda node: node.name in nodes)
    _drop(graph_def.library.function, lambda function: function.signature.name in functions)
    _drop(graph_def.library.gradient, lambda each: each.function_name in functions)


def operation_of(tensor: str) -> str:
    """The operation's name in that of a tensor (`x:0`), of a control input (`^x`), or of itself."""
    return tensor.removeprefix("^").partition(":")[0]


def _drop(messages: Any, is_kept: Callable[[Any], bool]) -> None:
    end = len(messages)
    while end:
        start = end
        while start and not is_kept(messages[start - 1]):
            start -= 1
        if start < end:
            del messages[start:end]
        end = start - 1 if start else 0


def _at(function: str, node: Any) -> Place:
    return Place(function, node.name, node.op, node)


def _colocated_with(node: Any) -> Iterator[str]:
    """The operations that this one names as its neighbours; TensorFlow wants them to be there."""
    if "_class" in node.attr:
        for each in node.attr["_class"].list.s:
            if each.startswith(_COLOCATED):
                yield each.removeprefix(_COLOCATED).decode(errors="replace")


def _function_names(attribute: Any) -> Iterator[str]:
    """The functions that an attribute names, and those that are bound in it."""
    kind = attribute.WhichOneof("value")
    if kind == "func":
        yield from _bound(attribute.func)
    elif kind == "list":
        for each in attribute.list.func:
            yield from _bound(each)


def _bound(function: Any) -> Iterator[str]:
    yield function.name
    bound: Mapping[str, Any] = function.attr
    for attribute in bound.values():
        yield from _function_names(attribute)
