"""The NumPy loader and its format."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lifecycle import errors
from lifecycle.numpy_loader import NumpyLoader, NumpyServable
from lifecycle.signature import Signature, TensorSpec
from tests.kit import numpy_models
from tests.kit.numpy_models import pixels, rows

Change = Callable[[dict[str, Any]], object]


def loaded(directory: Path) -> NumpyServable:
    """The servable of a model that needs no time."""
    loader = NumpyLoader(directory)
    loader.load()
    return loader.servable


def write(directory: Path, *steps: dict[str, Any], x: object = None, y: object = None) -> Path:
    """A model of one signature from `x` to `y`, both DT_FLOAT[?,2] unless told otherwise."""
    spec = {"dtype": "DT_FLOAT", "shape": [None, 2]}
    signature = {"inputs": {"x": x or spec}, "outputs": {"y": y or spec}, "steps": steps}
    (directory / "model.json").write_text(json.dumps({"signatures": {"serving_default": signature}}))
    return directory


def step(kind: str, **keys: object) -> dict[str, Any]:
    """A step from `x` to `y`."""
    return {"kind": kind, "input": "x", "output": "y", **keys}


@pytest.mark.parametrize("version", [1, 2])
def test_a_dense_model_computes_what_its_arrays_say(tmp_path: Path, version: int) -> None:
    """Each version answers by its own weights."""
    servable = loaded(numpy_models.write_dense(tmp_path, version))
    x = pixels(5)

    found = servable.run("serving_default", {"x": x}, [])

    expected = numpy_models.expected(version, "serving_default", {"x": x})
    np.testing.assert_array_equal(found["scores"], expected["scores"])
    np.testing.assert_array_equal(found["best"], expected["best"])


def test_signatures_are_those_of_the_file(tmp_path: Path) -> None:
    """Names, dtypes and open dimensions are taken over, sorted by name."""
    servable = loaded(numpy_models.write_three_signatures(tmp_path))

    assert list(servable.signatures) == ["integers", "serving_default", "strings"]
    assert servable.signatures["strings"] == Signature(
        "strings",
        "headrace/numpy",
        {"s": TensorSpec("s", "DT_STRING", (None,))},
        {"echo": TensorSpec("echo", "DT_STRING", (None,))},
    )


def test_integers_and_strings_come_back_exactly(tmp_path: Path) -> None:
    """Whole numbers stay whole and strings stay bytes."""
    servable = loaded(numpy_models.write_three_signatures(tmp_path, 3))

    shifted = servable.run("integers", {"n": np.array([[2**53 + 1, 0, 1, -1]])}, [])["shifted"]
    echo = servable.run("strings", {"s": rows(b"a\0", b"")}, ["echo"])["echo"]

    assert shifted.tolist() == [[2**54 + 5, 3, 5, 1]]
    assert echo.tolist() == [b"a\0", b""]


def test_only_the_wanted_outputs_come(tmp_path: Path) -> None:
    """An output filter gives exactly those."""
    servable = loaded(numpy_models.write_dense(tmp_path))

    assert list(servable.run("serving_default", {"x": pixels(1)}, ["best"])) == ["best"]


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("linear", lambda x: x),
        ("relu", lambda x: max(x, 0.0)),
        ("sigmoid", lambda x: 1 / (1 + math.exp(-x))),
        ("tanh", math.tanh),
    ],
)
def test_activations_are_the_usual_ones(
    tmp_path: Path, activation: str, function: Callable[[float], float]
) -> None:
    """Each is its textbook formula."""
    np.save(tmp_path / "w.npy", np.eye(2, dtype=np.float32))
    servable = loaded(write(tmp_path, step("dense", weights="w.npy", activation=activation)))

    found = servable.run("serving_default", {"x": np.array([[-2.0, 0.5]], np.float32)}, [])["y"]

    np.testing.assert_allclose(found[0], [function(-2.0), function(0.5)], rtol=1e-6)


def test_softmax_and_sigmoid_do_not_overflow(tmp_path: Path) -> None:
    """Large scores give 0 and 1, not a warning and not-a-number."""
    np.save(tmp_path / "w.npy", np.eye(2, dtype=np.float32))
    x = {"x": np.array([[1e4, -1e4]], np.float32)}

    for activation in ("softmax", "sigmoid"):
        servable = loaded(write(tmp_path, step("dense", weights="w.npy", activation=activation)))
        assert servable.run("serving_default", x, [])["y"].tolist() == [[1, 0]]


def test_cast_and_affine_follow_each_other(tmp_path: Path) -> None:
    """Steps are chained by the names of their values."""
    directory = write(
        tmp_path,
        {"kind": "affine", "input": "x", "output": "half", "scale": 0.5, "offset": 1},
        {"kind": "cast", "input": "half", "output": "y", "dtype": "DT_INT32"},
        y={"dtype": "DT_INT32", "shape": [None, 2]},
    )

    found = loaded(directory).run("serving_default", {"x": np.array([[4, 7]], np.float32)}, [])["y"]

    assert (found.dtype, found.tolist()) == (np.dtype(np.int32), [[3, 4]])


def test_small_floats_are_served(tmp_path: Path) -> None:
    """DT_BFLOAT16 and DT_HALF have their twins."""
    import ml_dtypes

    for name, dtype in (("DT_HALF", np.float16), ("DT_BFLOAT16", ml_dtypes.bfloat16)):
        spec = {"dtype": name, "shape": [None]}
        servable = loaded(write(tmp_path, step("affine", scale=2), x=spec, y=spec))
        found = servable.run("serving_default", {"x": np.array([1.5], dtype)}, [])["y"]
        assert (found.dtype, found.tolist()) == (np.dtype(dtype), [3.0])


def test_a_model_holds_loading_and_each_call_as_long_as_it_says(tmp_path: Path) -> None:
    """The time goes through the injected holder, once for the load and once for each call."""
    held: list[float] = []
    loader = NumpyLoader(
        numpy_models.write_dense(tmp_path, load_seconds=3.0, sleep_seconds=0.25), hold=held.append
    )

    loader.load()
    loader.servable.run("serving_default", {"x": pixels(1)}, [])
    loader.servable.run("serving_default", {"x": pixels(1)}, [])

    assert held == [3.0, 0.25, 0.25]


def test_the_real_holder_comes_back(tmp_path: Path) -> None:
    """A model that asks for a short time gets it from a real thread."""
    servable = loaded(numpy_models.write_dense(tmp_path, load_seconds=1e-6, sleep_seconds=1e-6))

    assert len(servable.run("serving_default", {"x": pixels(1)}, [])) == 2


def test_an_open_dimension_that_the_arrays_refuse_is_the_requesters_fault(tmp_path: Path) -> None:
    """Where the signature leaves a size open, a wrong one is an input error."""
    np.save(tmp_path / "b.npy", np.ones((2, 2), np.float32))
    spec = {"dtype": "DT_FLOAT", "shape": None}
    servable = loaded(write(tmp_path, step("dense", weights="b.npy"), x=spec, y=spec))

    with pytest.raises(errors.InvalidInput, match="refused its inputs"):
        servable.run("serving_default", {"x": np.ones((1, 3), np.float32)}, [])


def test_unload_forgets_the_model(tmp_path: Path) -> None:
    """After it there is no servable."""
    loader = NumpyLoader(numpy_models.write_dense(tmp_path))
    loader.load()

    loader.unload()

    with pytest.raises(RuntimeError, match="is not loaded"):
        _ = loader.servable


def test_what_is_missing_may_still_come(tmp_path: Path) -> None:
    """A missing directory, model.json or array, and a half-written file, may be retried; then it loads."""
    loader = NumpyLoader(tmp_path / "1")
    with pytest.raises(errors.LoadFailed, match="does not exist") as first:
        loader.load()
    (tmp_path / "1").mkdir()
    with pytest.raises(errors.LoadFailed, match=r"model\.json cannot be read: No such file") as second:
        loader.load()
    write(tmp_path / "1", step("dense", weights="w.npy"))
    with pytest.raises(errors.LoadFailed, match=r"w\.npy cannot be read") as third:
        loader.load()
    whole = (tmp_path / "1" / "model.json").read_text()
    (tmp_path / "1" / "model.json").write_text(whole[:40])
    with pytest.raises(errors.LoadFailed, match="is cut short") as fourth:
        loader.load()
    (tmp_path / "1" / "model.json").write_text(whole)
    np.save(tmp_path / "1" / "w.npy", np.eye(2, dtype=np.float32))

    loader.load()

    assert all(each.value.retriable for each in (first, second, third, fourth))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(sleep=1), "model.json: unknown 'sleep'"),
        (lambda m: m.update(signatures={}), "model.json.signatures: expected at least one signature"),
        (lambda m: m.pop("signatures"), "model.json.signatures: expected an object, found nothing"),
        (lambda m: m.update(sleep_seconds=-1), "model.json.sleep_seconds: expected 0 or more seconds"),
        (lambda m: m.update(load_seconds="long"), "model.json.load_seconds: expected a number, found 'long'"),
        (lambda m: m.update(signatures={"s": 1}), "signatures.s: expected an object, found 1"),
        (lambda m: sig(m).pop("steps"), "serving_default.steps: expected a list, found nothing"),
        (lambda m: sig(m).update(outputs={}), "serving_default: inputs or outputs are missing"),
        (lambda m: sig(m).update(extra=1), "serving_default: unknown 'extra'"),
        (lambda m: sig(m)["inputs"]["x"].update(dtype="float"), "x.dtype: expected the name of a dtype"),
        (lambda m: sig(m)["inputs"]["x"].update(shape=[-1]), "x.shape: expected a list of sizes"),
        (lambda m: sig(m)["inputs"]["x"].pop("shape"), "x.shape: expected a list of sizes"),
        (lambda m: sig(m)["outputs"]["scores"].update(shape=[None, 9]), "is declared DT_FLOAT[?,9], and is"),
        (lambda m: sig(m)["outputs"]["best"].update(dtype="DT_INT32"), "is declared DT_INT32[?], and is"),
        (lambda m: sig(m)["inputs"]["x"].update(shape=[None, 63]), "fails on zeros"),
        (lambda m: sig(m)["steps"].pop(), "no step gives the outputs best"),
        (lambda m: dense(m).pop("kind"), "steps[0].kind: expected a string, found nothing"),
        (lambda m: dense(m).update(kind="conv"), "steps[0].kind: expected one of affine, argmax, cast"),
        (lambda m: dense(m).update(input="z"), "steps[0].input: expected one of x, found 'z'"),
        (lambda m: dense(m).update(output="x"), "steps[0].output: expected a new name, found 'x'"),
        (lambda m: dense(m).update(activation="gelu"), "steps[0].activation: expected one of linear, relu"),
        (lambda m: dense(m).update(units=3), "steps[0]: unknown 'units'"),
        (lambda m: dense(m).update(weights="bias.npy"), "steps[0]: weights have rank 1; expected 2"),
        (lambda m: dense(m).update(bias="weights.npy"), "steps[0]: bias has shape [64, 10]; expected [10]"),
        (lambda m: dense(m).update(weights="../1/weights.npy"), "is no .npy file beside it"),
        (lambda m: dense(m).update(weights="model.json"), "is no .npy file beside it"),
    ],
)
def test_a_wrong_file_is_refused_by_the_place(tmp_path: Path, change: Change, message: str) -> None:
    """Each error names the key, what was expected there and what was found; retrying is no use."""
    directory = numpy_models.write_dense(tmp_path)
    model = json.loads((directory / "model.json").read_text())
    change(model)
    (directory / "model.json").write_text(json.dumps(model))

    with pytest.raises(errors.InvalidModel) as caught:
        NumpyLoader(directory).load()

    assert message in str(caught.value)


def sig(model: dict[str, Any]) -> dict[str, Any]:
    """The signature of the dense model."""
    found: dict[str, Any] = model["signatures"]["serving_default"]
    return found


def dense(model: dict[str, Any]) -> dict[str, Any]:
    """The first step of the dense model."""
    found: dict[str, Any] = sig(model)["steps"][0]
    return found


def test_a_fraction_does_not_silently_become_whole(tmp_path: Path) -> None:
    """`affine` on integers needs whole numbers."""
    spec = {"dtype": "DT_INT64", "shape": [None]}

    with pytest.raises(errors.InvalidModel, match="scale and offset of int64 numbers must be whole"):
        loaded(write(tmp_path, step("affine", scale=0.5), x=spec, y=spec))


@pytest.mark.parametrize("data", [b"{]}", b"[1]}", b"\xff}"])
def test_what_is_no_json_is_refused(tmp_path: Path, data: bytes) -> None:
    """A complete file that is something else is a wrong model."""
    (tmp_path / "model.json").write_bytes(data)

    with pytest.raises(errors.InvalidModel, match="is no JSON"):
        NumpyLoader(tmp_path).load()


@pytest.mark.parametrize("data", [b"", b"text", b"\x93NUMPY\x01\x00"])
def test_what_is_no_array_is_refused(tmp_path: Path, data: bytes) -> None:
    """Also a pickle, which could run code."""
    (tmp_path / "w.npy").write_bytes(data)

    with pytest.raises(errors.InvalidModel, match=r"w\.npy is no array"):
        NumpyLoader(write(tmp_path, step("dense", weights="w.npy"))).load()


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    """An object array would run code of whoever wrote it."""
    np.save(tmp_path / "w.npy", np.array([[object()]]), allow_pickle=True)

    with pytest.raises(errors.InvalidModel, match="is no array"):
        NumpyLoader(write(tmp_path, step("dense", weights="w.npy"))).load()
