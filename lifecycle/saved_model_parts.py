"""The parts of a graph that gather batches by themselves, across the calls that are under way at once.

Such a part is TensorFlow's `BatchFunction`, as `tf.nondifferentiable_batch_function` makes it, or its older `Batch`.
"""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from lifecycle.saved_model_reach import Graph, Run

_GATHERING = frozenset({"BatchFunction", "Batch"})


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """One operation that gathers a batch.

    Attributes:
        function: the name of the function that it stands in; empty for the main graph.
        name: its own name there.
        rows: the most that it runs at once, 1 or more.
        threads: how many batches of it may run side by side, 1 or more.
    """

    function: str
    name: str
    rows: int
    threads: int


def behind(graph_def: Any, tensors: Collection[str]) -> Mapping[str, frozenset[Part]]:
    """The parts that each of these tensors needs, wherever they stand; tensors that need none are left out.

    Raises:
        ValueError: the graph contradicts itself.
    """
    nodes = (graph_def.node, *(function.node_def for function in graph_def.library.function))
    if not any(node.op in _GATHERING for each in nodes for node in each):
        return {}
    graph = Graph(graph_def)
    found = {}
    for tensor in tensors:
        places = graph.reached(Run([tensor])).places
        parts = {
            _part(place.function, place.node)
            for place in places
            if place.operation in _GATHERING and place.node is not None
        }
        if parts:
            found[tensor] = frozenset(parts)
    return found


def calls_needed(parts: Collection[Part]) -> int:
    """How many calls of a single row fill the batches of all parts at once, on all of their threads."""
    return sum(part.rows * part.threads for part in parts)


def _part(function: str, node: Any) -> Part:
    # Without threads of its own (0) a part runs on a pool of TensorFlow's, one batch of it for all that we know.
    rows, threads = node.attr["max_batch_size"].i, node.attr["num_batch_threads"].i
    return Part(function, node.name, max(1, rows), max(1, threads))
