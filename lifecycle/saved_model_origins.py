"""Where the input of an operation comes from: whether it can be nothing else than what this process feeds.

Exporters hand a file's path on by arguments of functions, by copies, and by a variable that is assigned and read in one
run. Only these ways are understood; whatever else there may be is taken for one that leads elsewhere.
"""

from collections.abc import Iterable, Sequence

from lifecycle.saved_model_reach import MAIN, Graph, Place, Reached, operation_of

_VARIABLE, _READ, _ASSIGN = "VarHandleOp", "ReadVariableOp", "AssignVariableOp"
_LEAVES_AS_IT_IS = frozenset({_READ, "VarIsInitializedOp"})


class Origins:
    """Follows inputs in one run of a graph.

    Args:
        graph: what is run.
        reached: what that run can come to.
        others: what the other runs of the session can come to.
        fed: the tensors of the main graph that the run is fed with.
    """

    def __init__(self, graph: Graph, reached: Reached, others: Sequence[Reached], fed: Iterable[str]) -> None:
        self._graph = graph
        self._reached = reached
        self._others = others
        self._fed = frozenset(map(_with_index, fed))
        self._seen: set[tuple[str, str]] = set()

    def is_fed(self, place: Place, position: int) -> bool:
        """Whether an input can only be one of the tensors that are fed; False where that cannot be told."""
        self._seen.clear()
        return self._input_is_fed(place, position)

    def _input_is_fed(self, place: Place, position: int) -> bool:
        inputs = place.inputs
        return position < len(inputs) and self._tensor_is_fed(place.function, inputs[position])

    def _tensor_is_fed(self, function: str, tensor: str) -> bool:
        if function == MAIN and _with_index(tensor) in self._fed:
            return True
        if (function, tensor) in self._seen:
            return True  # by another way it was, or is being, looked at already
        self._seen.add((function, tensor))
        argument = self._graph.argument(function, tensor)
        if argument is not None:
            callers = self._reached.callers[function]
            return bool(callers) and all(
                caller is not None and self._input_is_fed(caller, argument) for caller in callers
            )
        source = self._graph.source(function, tensor)
        if source is None:
            return False
        if source.operation == "Identity":
            return self._input_is_fed(source, 0)
        return source.operation == _READ and function == MAIN and self._variable_is_fed(source)

    def _variable_is_fed(self, read: Place) -> bool:
        """Whether a variable holds nothing but what this run assigns to it, out of what is fed."""
        handles = read.inputs
        variable = self._graph.source(MAIN, handles[0]) if handles else None
        if variable is None or variable.operation != _VARIABLE:
            return False
        if any(variable.name in each.nodes for each in self._others):
            return False
        shared_name = _shared_name(variable)
        if shared_name is None:
            return False
        everywhere = [place for each in (self._reached, *self._others) for place in each.places]
        if any(
            place.operation == _VARIABLE
            and (place.function, place.name) != (MAIN, variable.name)
            and _shared_name(place) in {shared_name, None}
            for place in everywhere
        ):
            return False
        users = [place for place in self._reached.places if _takes(place, variable.name)]
        return all(
            user.operation in _LEAVES_AS_IT_IS
            or (
                user.operation == _ASSIGN
                and operation_of(user.inputs[0]) == variable.name
                and self._input_is_fed(user, 1)
            )
            for user in users
        )


def _takes(place: Place, name: str) -> bool:
    return place.function == MAIN and any(operation_of(each) == name for each in place.inputs)


def _shared_name(variable: Place) -> bytes | None:
    """The name under which a session keeps it; None where a call may say it."""
    if variable.node is None or "shared_name" not in variable.node.attr:
        return b""
    attribute = variable.node.attr["shared_name"]
    return bytes(attribute.s) if attribute.WhichOneof("value") == "s" else None


def _with_index(tensor: str) -> str:
    return tensor if ":" in tensor else f"{tensor}:0"
