"""Small real SavedModels, built when a test first asks for one and kept for the rest of the run.

Most compute what `tests.kit.numpy_models.expected` says. Importing this module is cheap; building the first
model imports TensorFlow, so that tests that use it carry the marker `tensorflow`.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lifecycle.saved_model_tensorflow import import_tensorflow
from tests.kit import numpy_models

VOCABULARY = ("water", "wheel", "mill")


class SavedModels:
    """SavedModels by name under one folder. A method returns a version's directory, `ROOT/NAME/VERSION`.

    The directories are shared by every test of a run: copy what you want to change.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def dense(self, version: int = 1) -> Path:
        """`serving_default`: `x` DT_FLOAT[?,64] to `scores` DT_FLOAT[?,10] and `best` DT_INT64[?]."""
        return self._once("dense", version, lambda path: _export(path, {"serving_default": _dense(version)}))

    def three_signatures(self, version: int = 1) -> Path:
        """`serving_default` as above, `integers` and `strings` as `numpy_models` has them.

        `strings` also gives `upper`, which no NumPy model computes.
        """
        return self._once("three", version, lambda path: _export(path, _three_signatures(version)))

    def shapes(self) -> Path:
        """`wide`: x [?,?] to `sums`; `any_rank`: x of any rank to `doubled`, `count` and `name`."""
        return self._once("shapes", 1, lambda path: _export(path, _shapes()))

    def small_floats(self) -> Path:
        """`serving_default` doubles `b` DT_BFLOAT16[?,2] and `h` DT_HALF[?]."""
        return self._once("small_floats", 1, lambda path: _export(path, _small_floats()))

    def vocabulary(self) -> Path:
        """`serving_default`: `word` DT_STRING[?] to `place` DT_INT64[?], its line in an asset file."""
        return self._once("vocabulary", 1, _export_vocabulary)

    def many_outputs(self, count: int = 8) -> Path:
        """`serving_default`: `x` DT_FLOAT[?] to `y0`, `y1` …, each x plus its number."""
        return self._once(
            "many_outputs", count, lambda path: _export(path, {"serving_default": _many_outputs(count)})
        )

    def heavy(self) -> Path:
        """`serving_default`: `x` DT_FLOAT[?,2048] to `y`, by 64 MB of weights."""
        return self._once("heavy", 1, lambda path: _export(path, {"serving_default": _heavy()}))

    def picky(self) -> Path:
        """Signatures that refuse what they are given: `never` always, `words` an empty string."""
        return self._once("picky", 1, lambda path: _export(path, _picky()))

    def keras(self) -> Path:
        """A Keras model by its own `export`: `pixels` DT_FLOAT[?,64] to `output_0` DT_FLOAT[?,10]."""
        return self._once("keras", 1, _export_keras)

    def version_one(self, *, as_text: bool = False) -> Path:
        """A graph of TensorFlow 1: `x` [?,3] to `y` [?,2], and `x` itself as the output `same`."""
        name = "version_one_text" if as_text else "version_one"
        return self._once(name, 1, lambda path: _export_version_one(path, as_text=as_text))

    def without_graph(self) -> Path:
        """A copy of `dense` that lacks its saved_model.pb."""
        return self._damaged("without_graph", lambda path: (path / "saved_model.pb").unlink())

    def cut_short(self) -> Path:
        """A copy of `dense` whose saved_model.pb ends in the middle."""
        return self._damaged("cut_short", _halve)

    def corrupt(self) -> Path:
        """A copy of `dense` whose saved_model.pb is something else."""
        return self._damaged("corrupt", lambda path: (path / "saved_model.pb").write_bytes(b"garbage" * 99))

    def without_variables(self) -> Path:
        """A copy of `dense` that lacks its variables."""
        return self._damaged("without_variables", lambda path: shutil.rmtree(path / "variables"))

    def cut_variables(self) -> Path:
        """A copy of `dense` whose variables end in the middle."""
        return self._damaged("cut_variables", _halve_variables)

    def unknown_operation(self) -> Path:
        """A copy of `dense` with an operation that TensorFlow does not know."""
        return self._damaged("unknown_operation", _misname_operation)

    def _once(self, name: str, version: int, build: Callable[[Path], object]) -> Path:
        path = self._root / name / str(version)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            build(path)
        return path

    def _damaged(self, name: str, damage: Callable[[Path], object]) -> Path:
        def copy_and_damage(path: Path) -> None:
            shutil.copytree(self.dense(), path)
            damage(path)

        return self._once(name, 1, copy_and_damage)


def _halve(path: Path) -> None:
    data = (path / "saved_model.pb").read_bytes()
    (path / "saved_model.pb").write_bytes(data[: len(data) // 2])


def _halve_variables(path: Path) -> None:
    (file,) = (path / "variables").glob("*.data-*")
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])


def _misname_operation(path: Path) -> None:
    data = (path / "saved_model.pb").read_bytes()
    (path / "saved_model.pb").write_bytes(data.replace(b"MatMul", b"MutMal"))


def _export(path: Path, functions: Mapping[str, Any]) -> None:
    tf = import_tensorflow()
    module = tf.Module()
    concrete = {name: function.get_concrete_function() for name, function in functions.items()}
    # A module keeps its variables alive and has them saved; functions keep neither.
    module.kept = [variable for function in concrete.values() for variable in function.graph.variables]
    module.tracked = list(concrete.values())
    tf.saved_model.save(module, str(path), signatures=concrete)


def _dense(version: int) -> Any:
    tf = import_tensorflow()
    matrix, bias = (tf.Variable(values) for values in numpy_models.weights(version))

    def run(x: Any) -> dict[str, Any]:
        scores = tf.matmul(x, matrix) + bias
        return {"scores": scores, "best": tf.argmax(scores, axis=-1)}

    run.kept = (matrix, bias)  # type: ignore[attr-defined]  # a graph holds its variables weakly
    return tf.function(run, input_signature=[tf.TensorSpec([None, numpy_models.PIXELS], tf.float32, "x")])


def _three_signatures(version: int) -> dict[str, Any]:
    tf = import_tensorflow()
    numbers = tf.TensorSpec([None, numpy_models.INTEGERS], tf.int64, "n")
    texts = tf.TensorSpec([None], tf.string, "s")
    return {
        "serving_default": _dense(version),
        "integers": tf.function(lambda n: {"shifted": n * 2 + version}, input_signature=[numbers]),
        "strings": tf.function(
            lambda s: {"echo": tf.identity(s), "upper": tf.strings.upper(s)}, input_signature=[texts]
        ),
    }


def _shapes() -> dict[str, Any]:
    tf = import_tensorflow()
    wide, anything = tf.TensorSpec([None, None], tf.float32, "x"), tf.TensorSpec(None, tf.float32, "x")
    return {
        "wide": tf.function(lambda x: {"sums": tf.reduce_sum(x, axis=-1)}, input_signature=[wide]),
        "any_rank": tf.function(
            lambda x: {"doubled": x * 2, "count": tf.size(x), "name": tf.constant(b"a\0")},
            input_signature=[anything],
        ),
    }


def _small_floats() -> dict[str, Any]:
    tf = import_tensorflow()
    specs = [tf.TensorSpec([None, 2], tf.bfloat16, "b"), tf.TensorSpec([None], tf.half, "h")]
    return {"serving_default": tf.function(lambda b, h: {"b": b * 2, "h": h * 2}, input_signature=specs)}


def _many_outputs(count: int) -> Any:
    tf = import_tensorflow()
    spec = tf.TensorSpec([None], tf.float32, "x")
    return tf.function(lambda x: {f"y{i}": x + float(i) for i in range(count)}, input_signature=[spec])


def _heavy() -> Any:
    tf = import_tensorflow()
    matrices = [tf.Variable(tf.ones((2048, 2048))) for _ in range(4)]

    def run(x: Any) -> dict[str, Any]:
        for matrix in matrices:
            x = tf.matmul(x, matrix)
        return {"y": x}

    run.kept = matrices  # type: ignore[attr-defined]  # a graph holds its variables weakly
    return tf.function(run, input_signature=[tf.TensorSpec([None, 2048], tf.float32, "x")])


def _picky() -> dict[str, Any]:
    tf = import_tensorflow()

    def never(x: Any) -> dict[str, Any]:
        with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(x > 1e30), ["x is too small"])]):
            return {"y": tf.identity(x)}

    def words(s: Any) -> dict[str, Any]:
        return {"number": tf.strings.to_number(s)}

    return {
        "never": tf.function(never, input_signature=[tf.TensorSpec([None, 2], tf.float32, "x")]),
        "words": tf.function(words, input_signature=[tf.TensorSpec([None], tf.string, "s")]),
    }


def _export_vocabulary(path: Path) -> None:
    tf = import_tensorflow()
    file = path.parent / "vocabulary.txt"
    file.write_text("\n".join(VOCABULARY) + "\n")
    lookup = tf.lookup
    initializer = lookup.TextFileInitializer(
        str(file), tf.string, lookup.TextFileIndex.WHOLE_LINE, tf.int64, lookup.TextFileIndex.LINE_NUMBER
    )
    module = tf.Module()
    module.table = lookup.StaticHashTable(initializer, default_value=-1)
    find = tf.function(
        lambda word: {"place": module.table.lookup(word)},
        input_signature=[tf.TensorSpec([None], tf.string, "word")],
    )
    tf.saved_model.save(module, str(path), signatures={"serving_default": find})
    file.unlink()  # the model carries its own copy


def _export_keras(path: Path) -> None:
    keras = import_tensorflow().keras
    layers = keras.layers
    keras.utils.set_random_seed(7)
    model = keras.Sequential(
        [keras.Input((64,), name="pixels"), layers.Dense(16, "relu"), layers.Dense(10, "softmax")]
    )
    model.export(str(path), verbose=False)


def _export_version_one(path: Path, *, as_text: bool) -> None:
    tf1 = import_tensorflow().compat.v1
    graph = tf1.Graph()
    with graph.as_default(), tf1.Session(graph=graph) as session:
        x = tf1.placeholder(tf1.float32, [None, 3], name="x")
        ones = tf1.get_variable("w", initializer=tf1.ones((3, 2)), use_resource=False)
        session.run(tf1.global_variables_initializer())
        signature = tf1.saved_model.predict_signature_def({"x": x}, {"y": x @ ones, "same": x})
        builder = tf1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save(as_text=as_text)
