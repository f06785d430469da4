"""The SavedModel loader on real models, beside what the models compute by themselves."""

import concurrent.futures
import gc
import re
import shutil
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lifecycle import errors
from lifecycle.saved_model_judgement import GraphRules
from lifecycle.saved_model_loader import SavedModelLoader
from lifecycle.saved_model_servable import SavedModelServable
from lifecycle.saved_model_session import GraphSession, SessionOptions, prepare_call
from lifecycle.saved_model_tensorflow import import_tensorflow
from tests.kit import numpy_models
from tests.kit.models import SavedModels
from tests.kit.numpy_models import pixels, rows

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def three(saved_models: SavedModels) -> Iterator[SavedModelServable]:
    """A loaded model with three signatures."""
    loader = SavedModelLoader(saved_models.three_signatures())
    loader.load()
    assert isinstance(loader.servable, SavedModelServable)
    yield loader.servable
    loader.unload()


@pytest.mark.parametrize("count", [0, 1, 3, 512])
def test_values_equal_the_model_run_directly(saved_models: SavedModels, count: int) -> None:
    """A session gives what the model's own function gives, for any number of rows."""
    tf = import_tensorflow()
    directory = saved_models.dense()
    loader = SavedModelLoader(directory)
    loader.load()
    x = pixels(count)

    found = loader.servable.run("serving_default", {"x": x}, [])

    direct = tf.saved_model.load(str(directory)).signatures["serving_default"](x=tf.constant(x))
    np.testing.assert_allclose(found["scores"], direct["scores"], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found["best"], direct["best"])
    loader.unload()


def test_versions_answer_each_by_its_own_weights(saved_models: SavedModels) -> None:
    """Two versions live side by side in sessions of their own."""
    loaders = {version: SavedModelLoader(saved_models.dense(version)) for version in (1, 2)}
    x = pixels(4)
    for loader in loaders.values():
        loader.load()

    for version, loader in loaders.items():
        found = loader.servable.run("serving_default", {"x": x}, ["scores"])
        expected = numpy_models.expected(version, "serving_default", {"x": x})
        np.testing.assert_allclose(found["scores"], expected["scores"], rtol=1e-5, atol=1e-5)
        loader.unload()


def test_integers_and_strings_come_back_exactly(three: SavedModelServable) -> None:
    """Zero bytes, bytes that are no text, and large integers survive."""
    words = rows(b"", b"a\0", b"\0\xff\xfe", "Mühle".encode())
    numbers = np.array([[2**40, -1, 0, 7]], dtype=np.int64)

    strings = three.run("strings", {"s": words}, [])
    integers = three.run("integers", {"n": numbers}, [])

    assert strings["echo"].tolist() == words.tolist()
    assert strings["upper"].tolist()[:2] == [b"", b"A\0"]
    assert strings["echo"].dtype == object
    np.testing.assert_array_equal(integers["shifted"], numbers * 2 + 1)


def test_small_floats_keep_their_dtype(saved_models: SavedModels) -> None:
    """DT_BFLOAT16 and DT_HALF go in and come out as such."""
    import ml_dtypes

    loader = SavedModelLoader(saved_models.small_floats())
    loader.load()
    b = np.array([[1.5, -2.0]], dtype=ml_dtypes.bfloat16)

    found = loader.servable.run("serving_default", {"b": b, "h": np.array([0.25], np.float16)}, [])

    assert (found["b"].dtype, found["b"].tolist()) == (b.dtype, [[3.0, -4.0]])
    assert (found["h"].dtype, found["h"].tolist()) == (np.dtype(np.float16), [0.5])
    loader.unload()


def test_open_ranks_and_scalars_are_arrays(saved_models: SavedModels) -> None:
    """An output of rank 0 is an array like any other; a string among them keeps its zero byte."""
    loader = SavedModelLoader(saved_models.shapes())
    loader.load()

    found = loader.servable.run("any_rank", {"x": np.array(3, np.float32)}, [])
    wide = loader.servable.run("wide", {"x": np.ones((2, 5), np.float32)}, [])

    assert {name: array.shape for name, array in found.items()} == {"count": (), "doubled": (), "name": ()}
    assert [found[name].item() for name in ("doubled", "count", "name")] == [6, 1, b"a\0"]
    assert found["name"].dtype == object
    assert wide["sums"].tolist() == [5, 5]
    loader.unload()


@pytest.mark.parametrize("name", ["vocabulary", "version_one_vocabulary"])
def test_tables_are_initialised_from_assets(saved_models: SavedModels, tmp_path: Path, name: str) -> None:
    """Initialisation runs with the files that the model carries, wherever the model was moved."""
    directory = shutil.copytree(getattr(saved_models, name)(), tmp_path / "moved")
    loader = SavedModelLoader(directory)
    loader.load()

    found = loader.servable.run("serving_default", {"word": rows(b"mill", b"water", b"fire")}, [])

    assert found["place"].tolist() == [2, 0, -1]
    loader.unload()


def test_a_keras_export_is_served(saved_models: SavedModels) -> None:
    """What `model.export` writes loads as it is."""
    loader = SavedModelLoader(saved_models.keras())
    loader.load()

    found = loader.servable.run("serving_default", {"pixels": pixels(3)}, ["output_0"])

    np.testing.assert_allclose(found["output_0"].sum(axis=1), np.ones(3), rtol=1e-5)
    loader.unload()


@pytest.mark.parametrize("as_text", [False, True])
def test_a_graph_of_version_one_is_served(saved_models: SavedModels, as_text: bool) -> None:
    """Also where an output is an input of the graph, which TensorFlow refuses to fetch."""
    loader = SavedModelLoader(saved_models.version_one(as_text=as_text))
    loader.load()
    x = np.array([[1, 2, 3]], dtype=np.float32)

    both = loader.servable.run("serving_default", {"x": x}, [])
    same = loader.servable.run("serving_default", {"x": x}, ["same"])

    assert both["y"].tolist() == [[6, 6]]
    assert both["same"].tolist() == same["same"].tolist() == x.tolist()
    loader.unload()


def test_wanted_outputs_come_in_the_wanted_order(three: SavedModelServable) -> None:
    """An output filter gives exactly those, in its order."""
    inputs = {"x": pixels(2)}

    assert list(three.run("serving_default", inputs, ["scores", "best"])) == ["scores", "best"]
    assert list(three.run("serving_default", inputs, ["best"])) == ["best"]
    assert sorted(three.run("serving_default", inputs, [])) == ["best", "scores"]


def test_only_a_few_output_subsets_get_a_call_of_their_own(saved_models: SavedModels) -> None:
    """Past the limit all outputs are fetched and filtered, with the same values."""
    loader = SavedModelLoader(saved_models.many_outputs(8))
    loader.load()
    servable = loader.servable
    assert isinstance(servable, SavedModelServable)
    x = np.zeros(1, np.float32)

    for first in range(8):
        for second in range(8):
            if first != second:
                found = servable.run("serving_default", {"x": x}, [f"y{first}", f"y{second}"])
                assert [array.tolist() for array in found.values()] == [[first], [second]]

    assert servable._calls["serving_default"].prepared_subsets == 4
    loader.unload()


def test_threads_get_each_their_own_answers(three: SavedModelServable) -> None:
    """Eight threads run three signatures at once; each answer is that of its inputs."""

    def ask(number: int) -> bool:
        n = np.full((1 + number % 5, 4), number, np.int64)
        words = rows(*[b"%d" % number] * (1 + number % 3))
        x = pixels(1 + number % 7, seed=number)
        expected = numpy_models.expected(1, "serving_default", {"x": x})
        wanted = ["scores"] if number % 2 else []
        return (
            np.array_equal(three.run("integers", {"n": n}, [])["shifted"], n * 2 + 1)
            and three.run("strings", {"s": words}, [])["echo"].tolist() == words.tolist()
            and np.allclose(
                three.run("serving_default", {"x": x}, wanted)["scores"], expected["scores"], atol=1e-4
            )
        )

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(200)))


def test_an_unaligned_or_strided_input_is_read_right(three: SavedModelServable) -> None:
    """Views of a larger buffer are taken as they are."""
    wide = np.arange(2 * 8, dtype=np.int64).reshape(2, 8)[:, ::2]

    found = three.run("integers", {"n": wide}, [])

    np.testing.assert_array_equal(found["shifted"], wide * 2 + 1)


def test_unload_frees_session_and_graph_without_a_collection(saved_models: SavedModels) -> None:
    """Nothing waits for the garbage collector, whose run would stop every thread."""
    loader = SavedModelLoader(saved_models.dense())
    loader.load()
    assert loader._session is not None
    session = loader._session._session
    remains = [weakref.ref(session), weakref.ref(session.graph), weakref.ref(loader.servable)]
    del session
    gc.disable()
    try:
        loader.unload()
        assert [remain() for remain in remains] == [None, None, None]
    finally:
        gc.enable()

    with pytest.raises(RuntimeError, match="is not loaded"):
        _ = loader.servable


def test_unload_before_load_does_nothing(tmp_path: Path) -> None:
    """A loader that never loaded has nothing to give back."""
    SavedModelLoader(tmp_path).unload()


def test_the_private_fast_call_exists() -> None:
    """Prepared callables are a private interface: this fails when a TensorFlow release drops them."""
    tf = import_tensorflow()

    assert callable(getattr(tf.compat.v1.Session, "_make_callable_from_options", None))


def test_graphs_can_be_dismantled_by_the_private_interface() -> None:
    """So is cutting a graph's reference cycles; without it unloading falls back on the collector."""
    graph = import_tensorflow().Graph()

    assert callable(getattr(graph, "Dismantle", None))
    assert hasattr(graph, "_functions")


class PublicSession:
    """A session that offers only what TensorFlow documents."""

    def __init__(self, session: GraphSession) -> None:
        self.make_callable = session._session.make_callable


def test_the_public_call_gives_the_same_values(saved_models: SavedModels) -> None:
    """Without the private interface everything goes on, more slowly."""
    session = GraphSession(SessionOptions())
    calls = [
        ("integers_n:0", "PartitionedCall:0", np.ones((2, 4), np.int64)),
        ("strings_s:0", "PartitionedCall_1:0", rows(b"a\0", b"\xff")),
    ]
    tensors = [tensor for feed, fetch, _ in calls for tensor in (feed, fetch)]
    session.restore(saved_models.three_signatures(), ["serve"], tensors, GraphRules())

    for feed, fetch, value in calls:
        (private,) = session.prepare([feed], [fetch])(value)
        (public,) = prepare_call(PublicSession(session), [feed], [fetch])(value)
        assert private.dtype == public.dtype
        assert private.tolist() == public.tolist()
    session.close()


@pytest.mark.parametrize("inter_op_threads", [-1, 0, 2])
def test_session_options_change_no_value(saved_models: SavedModels, inter_op_threads: int) -> None:
    """Where operations run is nobody's business but the operator's."""
    options = SessionOptions(intra_op_threads=1, inter_op_threads=inter_op_threads)
    loader = SavedModelLoader(saved_models.three_signatures(), options=options)
    loader.load()

    found = loader.servable.run("integers", {"n": np.ones((1, 4), np.int64)}, [])

    assert found["shifted"].tolist() == [[3, 3, 3, 3]]
    loader.unload()


@pytest.mark.parametrize("field", ["intra_op_threads", "inter_op_threads"])
def test_impossible_session_options_are_refused(field: str) -> None:
    """A number of threads below what has a meaning is named."""
    with pytest.raises(ValueError, match=f"{field} is -2"):
        SessionOptions(**{field: -2})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("without_graph", errors.LoadFailed, "there is no saved_model.pb"),
        ("cut_short", errors.LoadFailed, "cut short"),
        ("corrupt", errors.InvalidModel, "is no SavedModel"),
        ("without_variables", errors.LoadFailed, "variables of the SavedModel are missing"),
        ("cut_variables", errors.LoadFailed, "could not be loaded"),
        ("unknown_operation", errors.InvalidModel, "operation that this TensorFlow lacks: .*MutMal"),
    ],
)
def test_a_model_that_cannot_be_loaded_says_why(
    saved_models: SavedModels, name: str, kind: type[errors.LoadFailed], message: str
) -> None:
    """Whether trying again may help is told, and no path, because requesters hear of it."""
    directory = getattr(saved_models, name)()
    loader = SavedModelLoader(directory)

    with pytest.raises(errors.LoadFailed, match=message) as caught:
        loader.load()

    assert type(caught.value) is kind
    assert str(directory.parents[2]) not in str(caught.value)


def test_a_failed_load_can_be_repeated(saved_models: SavedModels, tmp_path: Path) -> None:
    """The same loader succeeds once the files are there."""
    loader = SavedModelLoader(tmp_path / "1")
    with pytest.raises(errors.LoadFailed):
        loader.load()

    (tmp_path / "1").symlink_to(saved_models.dense())
    loader.load()

    assert "serving_default" in loader.servable.signatures
    loader.unload()


def test_wrong_tags_end_the_load(saved_models: SavedModels) -> None:
    """The tags that exist are named; trying again cannot help."""
    with pytest.raises(errors.InvalidModel, match="no graph tagged train; it has serve"):
        SavedModelLoader(saved_models.dense(), tags=["train"]).load()


def test_refused_inputs_are_the_requesters_fault(three: SavedModelServable) -> None:
    """The message says what TensorFlow found, without nodes, frames and paths; the cause is kept."""
    with pytest.raises(errors.InvalidInput, match=re.escape("In[0]: [1,63], In[1]: [64,10]")) as caught:
        three.run("serving_default", {"x": np.ones((1, 63), np.float32)}, [])

    assert "{{" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert type(caught.value.__cause__).__name__ == "InvalidArgumentError"


def test_a_string_that_is_no_bytes_is_refused(three: SavedModelServable) -> None:
    """An object array of something else is an input error, though TensorFlow calls it internal."""
    with pytest.raises(errors.InvalidInput, match="Unsupported object type int"):
        three.run("strings", {"s": np.array([1], dtype=object)}, [])


def test_a_failure_leaves_the_next_call_alone(saved_models: SavedModels) -> None:
    """A signature that refuses goes on refusing and serving as before."""
    loader = SavedModelLoader(saved_models.picky())
    loader.load()

    with pytest.raises(errors.InvalidInput, match="x is too small"):
        loader.servable.run("never", {"x": np.zeros((1, 2), np.float32)}, [])
    with pytest.raises(errors.InvalidInput, match="StringToNumberOp could not correctly convert string"):
        loader.servable.run("words", {"s": rows(b"one")}, [])

    assert loader.servable.run("words", {"s": rows(b"1.5")}, [])["number"].tolist() == [1.5]
    loader.unload()


def test_a_failed_load_keeps_no_session_alive(saved_models: SavedModels) -> None:
    """An error may be kept for a status for hours; the session that it came from is gone at once."""
    session_type = import_tensorflow().compat.v1.Session

    def sessions() -> int:
        return sum(isinstance(each, session_type) for each in gc.get_objects())

    gc.collect()
    before = sessions()
    gc.disable()
    try:
        with pytest.raises(errors.LoadFailed) as kept:
            SavedModelLoader(saved_models.cut_variables()).load()
        after = sessions()
    finally:
        gc.enable()

    assert kept.value.__cause__ is not None
    assert after == before


MEMORY_SCRIPT = """
import os, pathlib, sys
import numpy as np
from lifecycle.saved_model_loader import SavedModelLoader

def resident_bytes():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

small, heavy = map(pathlib.Path, sys.argv[1:])
SavedModelLoader(small).load()
before = resident_bytes()
for _ in range(3):
    loader = SavedModelLoader(heavy)
    loader.load()
    loader.servable.run("serving_default", {"x": np.ones((1, 2048), np.float32)}, [])
    loaded = resident_bytes()
    loader.unload()
    print(loaded - before, resident_bytes() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads Linux's account of memory")
def test_unload_gives_the_memory_back_to_the_system(saved_models: SavedModels) -> None:
    """64 MB of weights come and go three times; in a process of its own, whose account is clean."""
    arguments = [sys.executable, "-c", MEMORY_SCRIPT, str(saved_models.dense()), str(saved_models.heavy())]

    done = subprocess.run(arguments, check=True, capture_output=True, text=True)

    accounts = [tuple(int(each) // 2**20 for each in line.split()) for line in done.stdout.splitlines()]
    assert len(accounts) == 3
    for loaded, left in accounts:
        assert loaded > 60
        assert left < 40
