"""Brings the graph of a SavedModel into a session by short steps, because each one holds the interpreter.

While TensorFlow adds operations to a graph no other Python thread runs, and so no request is answered. One step for
a whole ResNet50 took 90 ms of CPU. Most of that was the shapes of what its functions give, which nothing here
asks for: signatures say them, and TensorFlow infers them again, without the interpreter, when it optimises the graph
before the first call. Without them, and with the functions brought in a few at a time, the longest step took 5 ms.

Between two steps there is a rest: a request needs the interpreter several times on its way, and steps that follow each
other would all be waited for.

Source: TensorFlow's `saved_model/loader_impl.py` says what a load consists of; this one also leaves out the
collections of version 1, which are for those who train.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from lifecycle import (
    errors,
    saved_model_judgement,
    saved_model_parts,
    saved_model_signatures,
    saved_model_tensorflow,
)
from lifecycle.saved_model_judgement import GraphRules
from lifecycle.saved_model_parts import Part
from lifecycle.saved_model_reach import Run

STEP_BYTES = 131_072
"""Functions brought in by one step, in bytes of their definitions; a larger one has a step of its own."""

REST_SECONDS = 0.01
"""As long as a step, and several times what a request takes; a load has some ten of them."""

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_NO_SHAPES = "_disable_call_shape_inference"
_INIT_SIGNATURE = "__saved_model_init_op"
_INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")
_VARIABLES = ("variables", "trainable_variables")
_ASSETS = "saved_model_assets"


def load(
    session: Any, directory: Path, tags: Sequence[str], tensors: Sequence[str], rules: GraphRules
) -> Mapping[str, frozenset[Part]]:
    """Bring graph and variables into a session, whose graph is the default one, and initialise it.

    Args:
        session: TensorFlow's.
        directory: the version's.
        tags: of the graph.
        tensors: all that will be fed and fetched afterwards; what they do not need is left out.
        rules: what the graph may be.

    Returns:
        The parts of the graph that gather batches, by those of the tensors that need any.

    Raises:
        LoadFailed, InvalidModel: as `saved_model_signatures.read_meta_graphs` and `choose`.
        ForbiddenOperation: the graph could do what the rules do not allow.
        Exception: whatever TensorFlow raises; `saved_model_errors.load_error` translates it.
    """
    tf = saved_model_tensorflow.import_tensorflow().compat.v1
    serialised = saved_model_signatures.meta_graph_bytes(directory, tags, rules.most_bytes)
    meta_graph = tf.MetaGraphDef.FromString(serialised)
    del serialised
    rest()
    init, assets = _init_operation(meta_graph), _assets(meta_graph, directory)
    runs = [
        Run(tensors),
        Run([*([] if init is None else [init]), *assets], frozenset(assets)),
        _restoring(meta_graph.saver_def),
    ]
    saved_model_judgement.judge(meta_graph.graph_def, runs, rules, saved_model_tensorflow.has_operation)
    parts = saved_model_parts.behind(meta_graph.graph_def, tensors)
    if not meta_graph.HasField("saver_def") and any(name in meta_graph.collection_def for name in _VARIABLES):
        raise ValueError("the graph has variables and does not say how they are restored")
    meta_graph.ClearField("collection_def")
    leave_out_call_shapes(meta_graph.graph_def)
    operations = meta_graph.meta_info_def.stripped_op_list
    for step in function_steps(tf, meta_graph.graph_def):
        tf.import_graph_def(step, name="", producer_op_list=operations)
        rest()
    saver = tf.train.import_meta_graph(meta_graph)
    del meta_graph
    rest()
    if saver is not None:
        saver.restore(session, str(directory / "variables" / "variables"))
    if init is not None:
        session.run(init, feed_dict=assets)
    return parts


def rest() -> None:
    """Leave the interpreter to others for a while."""
    threading.Event().wait(REST_SECONDS)


def leave_out_call_shapes(graph_def: Any) -> None:
    """Mark each call of a function so that the shapes of what it gives are not inferred; in place."""
    calls = _CALLS | {function.signature.name for function in graph_def.library.function}
    for node in graph_def.node:
        if node.op in calls:
            node.attr[_NO_SHAPES].b = True


def function_steps(tf: Any, graph_def: Any, most_bytes: int = STEP_BYTES) -> Iterator[Any]:
    """Take the functions out of a graph, as graphs of nothing else; a function follows those before it.

    Functions of version 1 that come with gradients stay where they are, because they must come together.
    """
    if graph_def.library.gradient:
        return
    step, size = tf.GraphDef(versions=graph_def.versions), 0
    for function in graph_def.library.function:
        own = function.ByteSize()
        if size and size + own > most_bytes:
            yield step
            step, size = tf.GraphDef(versions=graph_def.versions), 0
        step.library.function.append(function)
        size += own
    graph_def.library.ClearField("function")
    if size:
        yield step


def _restoring(saver_def: Any) -> Run:
    """How the variables are restored: the saver feeds where they lie."""
    files = [saver_def.filename_tensor_name] if saver_def.filename_tensor_name else []
    return Run([*files, saver_def.restore_op_name], frozenset(files))


def _init_operation(meta_graph: Any) -> str | None:
    """The name of what initialises tables and the like, once variables are restored."""
    if _INIT_SIGNATURE in meta_graph.signature_def:
        return str(meta_graph.signature_def[_INIT_SIGNATURE].outputs[_INIT_SIGNATURE].name)
    for key in _INIT_COLLECTIONS:
        if key in meta_graph.collection_def:
            names = meta_graph.collection_def[key].node_list.value
            if len(names) != 1:
                raise ValueError(f"the graph has {len(names)} operations that initialise it; expected one")
            return str(names[0])
    return None


def _assets(meta_graph: Any, directory: Path) -> Mapping[str, str]:
    """The path of each file that the model carries, by the tensor that is fed with it."""
    from tensorflow.core.protobuf import meta_graph_pb2  # noqa: PLC0415  # TensorFlow is imported late

    found = list(meta_graph.asset_file_def)
    if not found and _ASSETS in meta_graph.collection_def:
        for packed in meta_graph.collection_def[_ASSETS].any_list.value:
            found.append(meta_graph_pb2.AssetFileDef())
            packed.Unpack(found[-1])
    return {each.tensor_info.name: str(directory / "assets" / _inside(each.filename)) for each in found}


def _inside(file_name: str) -> str:
    """The name of an asset, which may not lead out of the folder of assets."""
    name = PurePosixPath(file_name)
    if name.is_absolute() or ".." in name.parts or not name.parts:
        raise errors.InvalidModel(
            f"the SavedModel names {file_name!r} as an asset, which is no file in its folder of assets; "
            "export the model again"
        )
    return file_name
