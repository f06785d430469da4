"""Small real SavedModels, built when a test first asks for one and kept for the rest of the run.

Most compute what `tests.kit.numpy_models.expected` says. Importing this module is cheap; building the first
model imports TensorFlow, so that tests that use it carry the marker `tensorflow`.
"""

import functools
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lifecycle.saved_model_tensorflow import import_tensorflow
from tests.kit import numpy_models

VOCABULARY = ("water", "wheel", "mill")
NEVER_WRITTEN = "/tmp/headrace-test-is-never-written"
"""What models name that are refused: no such file is ever there."""


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

    def texts(self) -> Path:
        """`serving_default`: `ids` DT_INT64, `mask` DT_BOOL, `words` DT_STRING, all [?,?], and `pair` DT_FLOAT[?,2].

        It gives `sums` of the ids under the mask, `text`, the words together, and ids and pair as they came:
        `padded`, `same`.
        """
        return self._once("texts", 1, lambda path: _export(path, _texts()))

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

    def touchy(self) -> Path:
        """`x` DT_FLOAT[?,2] to `y`, 2 x + 1. `serving_default` refuses -1; `narrow` has no memory for 65 rows."""
        return self._once("touchy", 1, lambda path: _export(path, _touchy()))

    def gathering(self) -> Path:
        """Parts that gather batches inside: `A` up to 8 rows, which refuses -1, and behind it `B` up to 32.

        `serving_default`: `x` DT_FLOAT[?] to `y`, 2 x + 1, and the rows of the batches that each was in, `a` and `b`
        DT_INT32[?]. `first` has part `A` alone, `plain` none: `x` to `y`, 2 x. `shapeless` is `first`
        without `a`, and does not say the shape of `y`.
        """
        return self._once("gathering", 1, lambda path: _export(path, _gathering()))

    def touchy_inside(self) -> Path:
        """`touchy`'s `serving_default`, in a part that gathers batches of up to 8 rows."""
        return self._once(
            "touchy_inside", 1, lambda path: _export(path, {"serving_default": _touchy_inside()})
        )

    def keras(self) -> Path:
        """A Keras model by its own `export`: `pixels` DT_FLOAT[?,64] to `output_0` DT_FLOAT[?,10]."""
        return self._once("keras", 1, _export_keras)

    def version_one(self, *, as_text: bool = False) -> Path:
        """A graph of TensorFlow 1: `x` [?,3] to `y` [?,2], and `x` itself as the output `same`."""
        name = "version_one_text" if as_text else "version_one"
        return self._once(name, 1, lambda path: _export_version_one(path, as_text=as_text))

    def version_one_vocabulary(self) -> Path:
        """A graph of TensorFlow 1: `word` [?] to `place` [?], its line in an asset whose path is a constant."""
        return self._once("version_one_vocabulary", 1, _export_version_one_vocabulary)

    def reaching_out(self, how: str) -> Path:
        """`serving_default`: `x` DT_FLOAT[?] to `y`, by a graph that does beside it what `REACHING_OUT` has there."""
        return self._once(
            f"reaching_out_{how}", 1, lambda path: _export(path, {"serving_default": _reaching_out(how)})
        )

    def reading(self, file: Path) -> Path:
        """`serving_default`: `x` DT_FLOAT[?] to `y`, each x plus the length of that file."""
        return self._once("reading", 1, lambda path: _export(path, {"serving_default": _reading(str(file))}))

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


def _texts() -> dict[str, Any]:
    tf = import_tensorflow()
    dtypes = {"ids": tf.int64, "mask": tf.bool, "words": tf.string}
    specs = [tf.TensorSpec([None, None], dtype, name) for name, dtype in dtypes.items()]

    def run(ids: Any, mask: Any, words: Any, pair: Any) -> dict[str, Any]:
        sums = tf.reduce_sum(tf.where(mask, ids, 0), axis=1)
        text = tf.strings.reduce_join(words, axis=1)
        return {"sums": sums, "text": text, "padded": tf.identity(ids), "same": tf.identity(pair)}

    signature = [*specs, tf.TensorSpec([None, 2], tf.float32, "pair")]
    return {"serving_default": tf.function(run, input_signature=signature)}


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


def _gathering() -> dict[str, Any]:
    tf = import_tensorflow()

    def seen(x: Any) -> Any:
        return tf.fill(tf.shape(x), tf.shape(x)[0])

    def rows_of(x: Any) -> Any:  # a batch function does not say what shape it gives
        return tf.ensure_shape(x, [None])

    # Far longer than calls that are there need to come together, so that what is full is run as such.
    batched = functools.partial(
        tf.nondifferentiable_batch_function, num_batch_threads=1, batch_timeout_micros=500_000
    )

    @batched(max_batch_size=8)  # type: ignore[untyped-decorator]
    def double(x: Any) -> Any:
        with tf.control_dependencies([tf.debugging.assert_none_equal(x, -1.0, message="this row is marked")]):
            return 2 * x, seen(x)

    @batched(max_batch_size=32)  # type: ignore[untyped-decorator]
    def add_one(x: Any) -> Any:
        return x + 1, seen(x)

    def both(x: Any) -> dict[str, Any]:
        doubled, a = double(x)
        y, b = add_one(doubled)
        return {"y": rows_of(y), "a": rows_of(a), "b": rows_of(b)}

    def first(x: Any) -> dict[str, Any]:
        doubled, a = double(x)
        return {"y": rows_of(doubled), "a": rows_of(a)}

    def shapeless(x: Any) -> dict[str, Any]:
        return {"y": double(x)[0]}

    def plain(x: Any) -> dict[str, Any]:
        return {"y": 2 * x}

    signature = [tf.TensorSpec([None], tf.float32, "x")]
    functions = {"serving_default": both, "first": first, "plain": plain, "shapeless": shapeless}
    return {name: tf.function(each, input_signature=signature) for name, each in functions.items()}


def _touchy_inside() -> Any:
    tf = import_tensorflow()

    @tf.nondifferentiable_batch_function(  # type: ignore[untyped-decorator]
        num_batch_threads=1, max_batch_size=8, batch_timeout_micros=1_000
    )
    def part(x: Any) -> Any:
        with tf.control_dependencies([tf.debugging.assert_none_equal(x, -1.0, message="this row is marked")]):
            return 2 * x + 1

    def run(x: Any) -> dict[str, Any]:
        return {"y": tf.ensure_shape(part(x), [None, 2])}

    return tf.function(run, input_signature=[tf.TensorSpec([None, 2], tf.float32, "x")])


def _touchy() -> dict[str, Any]:
    tf = import_tensorflow()

    def marked(x: Any) -> dict[str, Any]:
        with tf.control_dependencies([tf.debugging.assert_none_equal(x, -1.0, message="this row is marked")]):
            return {"y": 2 * x + 1}

    def narrow(x: Any) -> dict[str, Any]:
        # Ones of 4 EiB, which no machine has, for more than 64 rows; else a single one.
        size = tf.where(tf.shape(x)[0] > 64, tf.constant(2**60, tf.int64), tf.constant(1, tf.int64))
        return {"y": 2 * x + tf.reduce_max(tf.fill([size], 1.0))}

    spec = tf.TensorSpec([None, 2], tf.float32, "x")
    return {
        "serving_default": tf.function(marked, input_signature=[spec]),
        "narrow": tf.function(narrow, input_signature=[spec]),
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


def _export_version_one_vocabulary(path: Path) -> None:
    tf = import_tensorflow()
    tf1 = tf.compat.v1
    file = path.parent / "vocabulary.txt"
    file.write_text("\n".join(VOCABULARY) + "\n")
    graph, lookup = tf1.Graph(), tf1.lookup
    with graph.as_default(), tf1.Session(graph=graph) as session:
        asset = tf1.constant(str(file))
        tf1.add_to_collection(tf1.GraphKeys.ASSET_FILEPATHS, asset)
        index = lookup.TextFileIndex
        lines = lookup.TextFileInitializer(asset, tf1.string, index.WHOLE_LINE, tf1.int64, index.LINE_NUMBER)
        word = tf1.placeholder(tf1.string, [None], name="word")
        place = lookup.StaticHashTable(lines, -1).lookup(word)
        tables = tf1.tables_initializer()
        session.run(tables)
        builder = tf1.saved_model.Builder(str(path))
        signature = tf1.saved_model.predict_signature_def({"word": word}, {"place": place})
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {"serving_default": signature},
            assets_collection=tf1.get_collection(tf1.GraphKeys.ASSET_FILEPATHS),
            main_op=tables,
        )
        builder.save()
    file.unlink()  # the model carries its own copy


def _reading(file: str) -> Any:
    tf = import_tensorflow()
    length = tf.strings.length
    return tf.function(
        lambda x: {"y": x + tf.cast(length(tf.io.read_file(file)), tf.float32)},
        input_signature=[tf.TensorSpec([None], tf.float32, "x")],
    )


def _reaching_out(how: str) -> Any:
    tf = import_tensorflow()
    beside = REACHING_OUT[how]
    return tf.function(
        lambda x: {"y": tf.identity(beside(tf, x))}, input_signature=[tf.TensorSpec([None], tf.float32, "x")]
    )


def _length(tf: Any, text: Any) -> Any:
    return tf.cast(tf.strings.length(text), tf.float32)


def _writing(tf: Any) -> Any:
    def write(x: Any) -> Any:
        tf.io.write_file(NEVER_WRITTEN, "x")
        return x * 3

    return tf.function(write)


def _first_line(tf: Any, x: Any) -> Any:
    lines = tf.data.TextLineDataset(NEVER_WRITTEN)
    return x + lines.reduce(0.0, lambda total, line: total + _length(tf, line))


def _printing(tf: Any, x: Any) -> Any:
    with tf.control_dependencies([tf.print(x, output_stream=f"file://{NEVER_WRITTEN}")]):
        return tf.identity(x)


def _saving(tf: Any, x: Any) -> Any:
    tf.raw_ops.SaveV2(prefix=NEVER_WRITTEN, tensor_names=["x"], shape_and_slices=[""], tensors=[x])
    return x


def _restoring(tf: Any, x: Any) -> Any:
    restore = tf.raw_ops.RestoreV2
    (found,) = restore(prefix=NEVER_WRITTEN, tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32])
    return x + found


def _table(tf: Any, x: Any) -> Any:
    raw = tf.raw_ops
    table = raw.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64, shared_name="words")
    raw.InitializeTableFromTextFileV2(
        table_handle=table, filename=NEVER_WRITTEN, key_index=-2, value_index=-1
    )
    return x + tf.cast(raw.LookupTableSizeV2(table_handle=table), tf.float32)


REACHING_OUT: Mapping[str, Callable[[Any, Any], Any]] = {
    "ReadFile": lambda tf, x: x + _length(tf, tf.io.read_file(NEVER_WRITTEN)),
    "ImmutableConst": lambda tf, x: (
        x + tf.raw_ops.ImmutableConst(dtype=tf.float32, shape=[1], memory_region_name=NEVER_WRITTEN)
    ),
    "MatchingFiles": lambda tf, x: x + tf.cast(tf.size(tf.io.matching_files("/*")), tf.float32),
    "EagerPyFunc": lambda tf, x: tf.ensure_shape(tf.py_function(lambda a: a, [x], tf.float32), [None]),
    "PyFunc": lambda tf, x: tf.ensure_shape(tf.numpy_function(lambda a: a, [x], tf.float32), [None]),
    "PyFuncStateless": lambda tf, x: tf.ensure_shape(
        tf.numpy_function(lambda a: a, [x], tf.float32, stateful=False), [None]
    ),
    "WriteFile": lambda tf, x: _writing(tf)(x),
    "WriteFile in a condition": lambda tf, x: tf.cond(
        tf.reduce_sum(x) > 1e30, lambda: _writing(tf)(x), lambda: x
    ),
    "WriteFile in a loop": lambda tf, x: tf.while_loop(
        lambda i, _: i < tf.cast(tf.size(x), tf.int32) - 7, lambda i, a: (i + 1, _writing(tf)(a)), (0, x)
    )[1],
    "WriteFile in a map": lambda tf, x: tf.map_fn(_writing(tf), x),
    "TextLineDataset": _first_line,
    "PrintV2": _printing,
    "SaveV2": _saving,
    "RestoreV2": _restoring,
    "InitializeTableFromTextFileV2": _table,
}
"""What a graph may do beside its work that a worker does not want, by the operation that does it."""
