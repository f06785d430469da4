"""What a SavedModel offers, read without TensorFlow, beside what TensorFlow reads."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lifecycle import dtype_names, errors, saved_model_signatures
from lifecycle.saved_model_judgement import GraphRules
from lifecycle.saved_model_loader import SavedModelLoader
from lifecycle.saved_model_tensorflow import import_tensorflow
from lifecycle.signature import Signature, TensorSpec
from tests.kit.models import SavedModels

pytestmark = pytest.mark.tensorflow


def signatures(directory: Path) -> dict[str, Signature]:
    """The signatures of the only graph."""
    (graph,) = saved_model_signatures.read_meta_graphs(directory)
    return {name: found.signature for name, found in graph.signatures.items()}


def as_tensorflow_reads_it(directory: Path) -> dict[str, Signature]:
    """The same by TensorFlow's own message classes."""
    import_tensorflow()
    from tensorflow.core.framework import types_pb2
    from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

    def spec(name: str, info: meta_graph_pb2.TensorInfo) -> TensorSpec:
        shape = info.tensor_shape
        sizes = None if shape.unknown_rank else tuple(None if d.size < 0 else d.size for d in shape.dim)
        return TensorSpec(name, types_pb2.DataType.Name(info.dtype), sizes)

    model = saved_model_pb2.SavedModel()
    model.ParseFromString((directory / "saved_model.pb").read_bytes())
    return {
        name: Signature(
            name,
            each.method_name,
            {key: spec(key, info) for key, info in sorted(each.inputs.items())},
            {key: spec(key, info) for key, info in sorted(each.outputs.items())},
        )
        for name, each in sorted(model.meta_graphs[0].signature_def.items())
        if not name.startswith("__saved_model_")
    }


@pytest.mark.parametrize(
    "name", ["dense", "three_signatures", "shapes", "small_floats", "vocabulary", "keras", "version_one"]
)
def test_signatures_are_those_that_tensorflow_reads(saved_models: SavedModels, name: str) -> None:
    """Names, method names, dtypes, open dimensions and open ranks agree for every kind of model."""
    directory = getattr(saved_models, name)()

    assert signatures(directory) == as_tensorflow_reads_it(directory)


def test_specs_say_what_a_person_would_say(saved_models: SavedModels) -> None:
    """A dense model reads as written."""
    assert signatures(saved_models.dense()) == {
        "serving_default": Signature(
            "serving_default",
            "tensorflow/serving/predict",
            {"x": TensorSpec("x", "DT_FLOAT", (None, 64))},
            {
                "best": TensorSpec("best", "DT_INT64", (None,)),
                "scores": TensorSpec("scores", "DT_FLOAT", (None, 10)),
            },
        )
    }


def test_a_model_written_as_text_reads_the_same(saved_models: SavedModels) -> None:
    """Version 1 models may stand in saved_model.pbtxt."""
    assert signatures(saved_models.version_one(as_text=True)) == signatures(saved_models.version_one())


def test_text_that_is_no_model_is_refused(tmp_path: Path) -> None:
    """A saved_model.pbtxt with something else in it is named."""
    (tmp_path / "saved_model.pbtxt").write_text("once upon a time")

    with pytest.raises(errors.InvalidModel, match=r"saved_model\.pbtxt is no SavedModel"):
        saved_model_signatures.read_meta_graphs(tmp_path)


def test_dtype_names_have_tensorflows_numbers() -> None:
    """The table of names is TensorFlow's."""
    import_tensorflow()
    from tensorflow.core.framework import types_pb2

    assert [types_pb2.DataType.Name(i) for i in range(len(dtype_names.DTYPE_NAMES))] == list(
        dtype_names.DTYPE_NAMES
    )


@pytest.mark.parametrize(
    ("name", "retriable", "message"),
    [
        ("without_graph", True, "there is no saved_model.pb"),
        ("cut_short", True, "cut short"),
        ("corrupt", False, "is no SavedModel"),
    ],
)
def test_a_wrong_directory_is_named(
    saved_models: SavedModels, name: str, retriable: bool, message: str
) -> None:
    """What may still be on its way may be retried; what is something else may not."""
    with pytest.raises(errors.LoadFailed, match=message) as caught:
        saved_model_signatures.read_meta_graphs(getattr(saved_models, name)())

    assert caught.value.retriable is retriable


def test_a_missing_directory_may_still_come(tmp_path: Path) -> None:
    """The load may be retried."""
    with pytest.raises(errors.LoadFailed, match="directory does not exist") as caught:
        saved_model_signatures.read_meta_graphs(tmp_path / "nowhere")

    assert caught.value.retriable


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [(b"", errors.LoadFailed, "is empty"), (b"\x08\x01", errors.InvalidModel, "holds no graph")],
)
def test_a_file_without_a_graph_is_named(
    tmp_path: Path, data: bytes, kind: type[errors.LoadFailed], message: str
) -> None:
    """An empty file may be on its way; a SavedModel without graphs is none."""
    (tmp_path / "saved_model.pb").write_bytes(data)

    with pytest.raises(kind, match=message):
        saved_model_signatures.read_meta_graphs(tmp_path)


@pytest.mark.parametrize("name", ["dense", "version_one_text"])
def test_a_file_larger_than_allowed_is_not_read(saved_models: SavedModels, name: str) -> None:
    """Binary or text; the error has its size, the bound, and the setting."""
    as_text = name == "version_one_text"
    directory = saved_models.version_one(as_text=True) if as_text else saved_models.dense()
    (file,) = directory.glob("saved_model.pb*")
    size = file.stat().st_size
    assert saved_model_signatures.read_meta_graphs(directory, size)

    with pytest.raises(errors.InvalidModel) as caught:
        SavedModelLoader(directory, rules=GraphRules(most_bytes=size - 1)).load()

    assert str(caught.value).startswith(
        f"{file.name} has {size:,} bytes, and at most {size - 1:,} are read (lifecycle.most_graph_bytes)"
    )


def test_wrong_tags_are_answered_with_those_that_exist(saved_models: SavedModels) -> None:
    """Whoever named the tags learns what to name."""
    graphs = saved_model_signatures.read_meta_graphs(saved_models.dense())

    with pytest.raises(errors.InvalidModel, match=r"no graph tagged gpu,serve; it has serve$"):
        saved_model_signatures.choose(graphs, ("serve", "gpu"))


def test_a_signature_of_sparse_tensors_says_why_it_cannot_be_served(
    saved_models: SavedModels, tmp_path: Path
) -> None:
    """An input that is no plain tensor is found before a session starts."""
    import_tensorflow()
    from tensorflow.core.protobuf import saved_model_pb2

    shutil.copytree(saved_models.dense(), tmp_path / "1")
    model = saved_model_pb2.SavedModel()
    model.ParseFromString((tmp_path / "1" / "saved_model.pb").read_bytes())
    info = model.meta_graphs[0].signature_def["serving_default"].inputs["x"]
    info.coo_sparse.values_tensor_name = "values:0"
    (tmp_path / "1" / "saved_model.pb").write_bytes(model.SerializeToString())

    (graph,) = saved_model_signatures.read_meta_graphs(tmp_path / "1")

    assert graph.signatures["serving_default"].unservable == "'x' is no plain tensor"


def test_reading_signatures_needs_no_tensorflow(saved_models: SavedModels) -> None:
    """`headrace inspect` answers at once, because TensorFlow is not imported for it."""
    script = (
        "import sys, pathlib\n"
        "from lifecycle import saved_model_signatures, saved_model_loader\n"
        "saved_model_signatures.read_meta_graphs(pathlib.Path(sys.argv[1]))\n"
        "assert 'tensorflow' not in sys.modules\n"
    )

    done = subprocess.run([sys.executable, "-c", script, str(saved_models.dense())], check=False)

    assert done.returncode == 0
