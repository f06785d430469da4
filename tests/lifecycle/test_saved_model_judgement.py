"""What of a SavedModel may run, on SavedModels that TensorFlow has written."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lifecycle import errors, saved_model_judgement, saved_model_signatures, saved_model_tensorflow
from lifecycle.saved_model_judgement import MOST_NAMED, SETTING, GraphRules
from lifecycle.saved_model_loader import SavedModelLoader
from lifecycle.saved_model_operations import FILE_INPUT, HARMLESS, HARMLESS_ATTRIBUTE
from lifecycle.saved_model_reach import Run
from tests.kit.models import NEVER_WRITTEN, REACHING_OUT, SavedModels

pytestmark = pytest.mark.tensorflow

ORDINARY = [
    "dense",
    "three_signatures",
    "shapes",
    "many_outputs",
    "vocabulary",
    "picky",
    "keras",
    "version_one",
]
NAMES_A_FILE = re.compile(r"file|path|url|address|host|uri|directory")
NO_FILES = {
    ("CTCBeamSearchDecoder", "top_paths"),
    ("CudnnRNNBackpropV2", "host_reserved"),
    ("CudnnRNNBackpropV3", "host_reserved"),
    ("TensorSliceDataset", "is_files"),
}
"""Inputs and attributes that sound like a file and are none."""


@pytest.fixture(scope="module")
def tf() -> Any:
    """TensorFlow, as graphs are built with it."""
    return saved_model_tensorflow.import_tensorflow().compat.v1


def graph_of(tf: Any, directory: Path) -> Any:
    """The meta graph that is served."""
    return tf.MetaGraphDef.FromString(saved_model_signatures.meta_graph_bytes(directory, ("serve",)))


def operations(graph_def: Any) -> set[str]:
    """Every operation of a graph, wherever it stands."""
    nodes = [*graph_def.node, *(node for each in graph_def.library.function for node in each.node_def)]
    return {node.op for node in nodes}


def changed(directory: Path, target: Path, change: Callable[[Any], object]) -> Path:
    """A copy of a SavedModel whose meta graph is another."""
    from tensorflow.core.protobuf import saved_model_pb2

    shutil.copytree(directory, target)
    model = saved_model_pb2.SavedModel.FromString((target / "saved_model.pb").read_bytes())
    change(model.meta_graphs[0])
    (target / "saved_model.pb").write_bytes(model.SerializeToString())
    return target


@pytest.mark.parametrize("how", REACHING_OUT)
def test_what_reaches_out_of_the_model_is_refused(saved_models: SavedModels, how: str) -> None:
    """Wherever in the graph it stands; the error names it and the setting, and nothing of it has been done."""
    directory = saved_models.reaching_out(how)
    loader = SavedModelLoader(directory)

    with pytest.raises(errors.ForbiddenOperation) as caught:
        loader.load()

    operation = how.partition(" ")[0]
    assert f"{operation!r} ('" in str(caught.value)
    assert "in function '__inference" in str(caught.value)
    assert SETTING in str(caught.value)
    assert not caught.value.retriable
    assert not Path(NEVER_WRITTEN).exists()


def test_what_an_operator_allows_is_served(saved_models: SavedModels, tmp_path: Path) -> None:
    """The name from the error is what the rules take."""
    (tmp_path / "five").write_bytes(b"12345")
    loader = SavedModelLoader(
        saved_models.reading(tmp_path / "five"), rules=GraphRules(allowed_operations=frozenset({"ReadFile"}))
    )

    loader.load()

    found = loader.servable.run("serving_default", {"x": np.ones(2, np.float32)}, [])
    assert found["y"].tolist() == [6.0, 6.0]
    loader.unload()


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_models_are_not_refused(tf: Any, saved_models: SavedModels, name: str) -> None:
    """Although each of them carries what saved it: it cannot run, and is left out."""
    directory = getattr(saved_models, name)()
    loader = SavedModelLoader(directory)

    loader.load()

    assert loader.servable.signatures
    loader.unload()
    assert name == "version_one" or "MergeV2Checkpoints" in operations(graph_of(tf, directory).graph_def)


def test_what_no_run_comes_to_is_taken_out_of_the_graph(tf: Any, saved_models: SavedModels) -> None:
    """It is not there for TensorFlow either; what is fed and fetched, and what restores, is."""
    meta_graph = graph_of(tf, saved_models.three_signatures())
    graph_def, saver = meta_graph.graph_def, meta_graph.saver_def
    signatures = [each for key, each in meta_graph.signature_def.items() if not key.startswith("__")]
    outputs = [info.name for each in signatures for info in each.outputs.values()]
    runs = [
        Run(outputs),
        Run([saver.restore_op_name], frozenset({saver.filename_tensor_name})),
    ]
    before = operations(graph_def)

    saved_model_judgement.judge(graph_def, runs, GraphRules(), saved_model_tensorflow.has_operation)

    assert {"SaveV2", "MergeV2Checkpoints"} <= before
    assert operations(graph_def).isdisjoint({"SaveV2", "MergeV2Checkpoints"})
    assert {"RestoreV2", "MatMul"} <= operations(graph_def)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
    for tensor in outputs:
        graph.get_tensor_by_name(tensor)


def test_variables_are_restored_from_the_models_own_files_alone(
    saved_models: SavedModels, tmp_path: Path
) -> None:
    """A graph that restores from a path of its own choice would read what it likes."""

    def restore_from_elsewhere(meta_graph: Any) -> None:
        for function in meta_graph.graph_def.library.function:
            for node in function.node_def:
                if node.op == "RestoreV2":
                    node.input[0] = node.input[1]

    directory = changed(saved_models.dense(), tmp_path / "1", restore_from_elsewhere)

    with pytest.raises(errors.ForbiddenOperation, match=r"'RestoreV2' .* none of the model's own"):
        SavedModelLoader(directory).load()


def test_tables_are_initialised_from_the_models_own_assets_alone(
    saved_models: SavedModels, tmp_path: Path
) -> None:
    """A path that the graph holds in another constant is no asset."""

    def forget_assets(meta_graph: Any) -> None:
        meta_graph.ClearField("asset_file_def")
        meta_graph.collection_def.pop("saved_model_assets", None)

    directory = changed(saved_models.vocabulary(), tmp_path / "1", forget_assets)

    with pytest.raises(
        errors.ForbiddenOperation, match=r"'InitializeTableFromTextFileV2' .* none of the model's"
    ):
        SavedModelLoader(directory).load()


@pytest.mark.parametrize("name", ["/etc/hostname", "../variables/variables.index", ".", "a/../../b"])
def test_an_asset_lies_in_the_folder_of_assets(saved_models: SavedModels, tmp_path: Path, name: str) -> None:
    """Its name is the exporter's, and could lead anywhere."""

    def rename(meta_graph: Any) -> None:
        meta_graph.asset_file_def[0].filename = name

    directory = changed(saved_models.vocabulary(), tmp_path / "1", rename)

    with pytest.raises(errors.InvalidModel, match="no file in its folder of assets"):
        SavedModelLoader(directory).load()


def test_many_refused_operations_are_named_in_short(tf: Any) -> None:
    """The first few, and how many more there are: the error has to fit a status."""
    graph_def = tf.GraphDef()
    names = ["ReadFile", "WriteFile", "MatchingFiles", "SaveV2", "PyFunc", "EagerPyFunc", "Abort"]
    for name in names:
        graph_def.node.add(name=name, op=name)

    with pytest.raises(errors.ForbiddenOperation) as caught:
        saved_model_judgement.judge(
            graph_def, [Run(names)], GraphRules(), saved_model_tensorflow.has_operation
        )

    assert str(caught.value).count("in the main graph") == MOST_NAMED
    assert f"; {len(names) - MOST_NAMED} more." in str(caught.value)


def test_an_attribute_that_may_hold_anything_is_refused(tf: Any) -> None:
    """A call may bind it to a file; a node that leaves it out has the default, which is none."""
    graph_def = tf.GraphDef()
    graph_def.node.add(name="default", op="PrintV2")
    graph_def.node.add(name="bound", op="PrintV2").attr["output_stream"].placeholder = "where"

    def judge(name: str) -> None:
        saved_model_judgement.judge(
            graph_def, [Run([name])], GraphRules(), saved_model_tensorflow.has_operation
        )

    with pytest.raises(errors.ForbiddenOperation, match=r"'PrintV2' .* may name a file in its output_stream"):
        judge("bound")
    judge("default")


def test_a_function_may_be_called_by_its_own_name(tf: Any) -> None:
    """As version 1 does; its body counts. One that has the name of an operation is judged as that, too."""
    graph_def = tf.GraphDef()
    for name, inside in (("own", "NoOp"), ("evil", "WriteFile"), ("ReadFile", "NoOp")):
        function = graph_def.library.function.add()
        function.signature.name = name
        function.node_def.add(name="inside", op=inside)
        graph_def.node.add(name=f"call_{name}", op=name)

    def judge(name: str) -> None:
        saved_model_judgement.judge(
            graph_def, [Run([name])], GraphRules(), saved_model_tensorflow.has_operation
        )

    with pytest.raises(errors.ForbiddenOperation, match=r"'WriteFile' \('inside' in function 'evil'\)"):
        judge("call_evil")
    with pytest.raises(errors.ForbiddenOperation, match="'ReadFile'"):
        judge("call_ReadFile")
    judge("call_own")


def test_two_operations_of_one_name_are_refused(tf: Any) -> None:
    """Which of them would be judged, and which run?"""
    graph_def = tf.GraphDef()
    for op in ("NoOp", "Abort"):
        graph_def.node.add(name="same", op=op)

    with pytest.raises(ValueError, match="one name"):
        saved_model_judgement.judge(
            graph_def, [Run(["same"])], GraphRules(), saved_model_tensorflow.has_operation
        )


def test_the_list_names_operations_that_tensorflow_has() -> None:
    """A misspelt name would refuse what is meant; one whose arguments sound like files is looked at by a person."""
    from tensorflow.python.framework import op_def_registry

    saved_model_tensorflow.import_tensorflow()
    everything = HARMLESS | HARMLESS_ATTRIBUTE.keys() | FILE_INPUT.keys()
    definitions = {operation: op_def_registry.get(operation) for operation in everything}

    assert [operation for operation, found in definitions.items() if found is None] == []
    arguments = {
        (operation, each.name)
        for operation in HARMLESS
        for each in (*definitions[operation].input_arg, *definitions[operation].attr)
    }
    assert {each for each in arguments if NAMES_A_FILE.search(each[1])} == NO_FILES


def test_an_operation_is_in_one_list() -> None:
    """What is harmless by its name alone is not asked for its attributes or inputs."""
    assert HARMLESS.isdisjoint(HARMLESS_ATTRIBUTE.keys() | FILE_INPUT.keys())
