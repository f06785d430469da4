"""Whether the operations of a SavedModel may run here: it is a program, written by whoever wrote its files.

Judged is what can run, and nothing else: every SavedModel carries the operations that wrote it, which serving never
comes to. What cannot run is taken out, so that TensorFlow does not come to it either, not even where it computes shapes
ahead. That also makes loads shorter.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from lifecycle import errors, saved_model_reach
from lifecycle.saved_model_operations import FILE_INPUT, HARMLESS, HARMLESS_ATTRIBUTE
from lifecycle.saved_model_origins import Origins
from lifecycle.saved_model_reach import MAIN, Graph, Place, Reached, Run
from lifecycle.saved_model_signatures import MOST_BYTES

MOST_NAMED = 5
"""Operations that an error names; there may be hundreds."""

SETTING = "lifecycle.allowed_operations"


@dataclasses.dataclass(frozen=True, slots=True)
class GraphRules:
    """What a SavedModel's graph may be.

    Attributes:
        allowed_operations: the names of operations that are allowed beside those of `saved_model_operations`, whatever
            their inputs and attributes.
        most_bytes: of the file that holds it; a larger one is not read.
    """

    allowed_operations: frozenset[str] = frozenset()
    most_bytes: int = MOST_BYTES


def judge(graph_def: Any, runs: Sequence[Run], rules: GraphRules, is_known: Callable[[str], bool]) -> None:
    """Take out of a graph, in place, what none of these runs can come to, and judge the rest.

    Args:
        graph_def: TensorFlow's message.
        runs: every way in which the graph will be run.
        rules: what is allowed.
        is_known: whether this TensorFlow has an operation of that name.

    Raises:
        ForbiddenOperation: an operation that can run is not allowed.
        InvalidModel: one is not known.
        ValueError: the graph contradicts itself.
    """
    graph = Graph(graph_def)
    reached = [graph.reached(run) for run in runs]
    refused: dict[str, str] = {}
    for run, own in zip(runs, reached, strict=True):
        others = [each for each in reached if each is not own]
        origins = Origins(graph, own, others, run.files)
        for operation, reason in _refused(own, origins, rules):
            # A function may be called by its own name; its body is judged with the others.
            if operation not in own.functions or is_known(operation):
                refused.setdefault(operation, reason)
    if refused:
        raise _error(refused, is_known)
    saved_model_reach.keep_only(
        graph_def,
        {name for each in reached for name in each.nodes},
        {name for each in reached for name in each.functions},
    )


def _refused(reached: Reached, origins: Origins, rules: GraphRules) -> Iterator[tuple[str, str]]:
    """The operations that may not run, and why."""
    for place in reached.places:
        operation = place.operation
        if operation in HARMLESS or operation in rules.allowed_operations:
            continue
        reason = _reason(origins, place)
        if reason is not None:
            yield operation, f"{operation!r} ({_where(place)}) {reason}"


def _reason(origins: Origins, place: Place) -> str | None:
    position = FILE_INPUT.get(place.operation)
    if position is not None:
        if origins.is_fed(place, position):
            return None
        return "reads a file that is none of the model's own"
    if place.operation in HARMLESS_ATTRIBUTE and place.node is not None:
        name, harmless = HARMLESS_ATTRIBUTE[place.operation]
        if name not in place.node.attr:
            return None  # its default is harmless
        attribute = place.node.attr[name]
        if attribute.WhichOneof("value") == "s" and harmless.fullmatch(attribute.s):
            return None
        return f"may name a file in its {name}"
    return "is none of those that only compute"


def _where(place: Place) -> str:
    function = "the main graph" if place.function == MAIN else f"function {place.function!r}"
    return f"{place.name!r} in {function}"


def _error(refused: Mapping[str, str], is_known: Callable[[str], bool]) -> errors.PermanentLoadFailure:
    unknown = [operation for operation in refused if not is_known(operation)]
    if unknown:
        named = ", ".join(map(repr, unknown[:MOST_NAMED]))
        return errors.InvalidModel(
            f"the SavedModel needs an operation that this TensorFlow lacks: {named}; export it without, or serve it "
            "with the release and the packages that it was made with"
        )
    more = len(refused) - MOST_NAMED
    named = "; ".join([*list(refused.values())[:MOST_NAMED], *([f"{more:,} more"] if more > 0 else [])])
    return errors.ForbiddenOperation(
        f"the SavedModel has operations that are not allowed: {named}. Export it without them, or, where you trust "
        f"whoever writes its files, add their names to {SETTING} and start the workers again"
    )
