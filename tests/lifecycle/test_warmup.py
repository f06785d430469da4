"""Warm-up: which batches are made up, and what their failure means."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lifecycle import errors, prediction_log, warmup
from lifecycle.loader import Loader
from lifecycle.numpy_loader import NumpyLoader
from lifecycle.recorded_requests import RecordedRequest
from lifecycle.saved_model_loader import SavedModelLoader
from lifecycle.signature import Signature, TensorSpec
from lifecycle.warmup import WarmupMode
from tests.fakes.servables import FailingLoader
from tests.kit import numpy_models
from tests.kit.models import SavedModels
from tests.kit.numpy_models import rows

Array = npt.NDArray[Any]


def signature(*specs: TensorSpec, name: str = "s") -> Signature:
    """A signature with those inputs."""
    return Signature(name, "", {spec.name: spec for spec in specs}, {})


class Recorder:
    """A servable and its loader: notes what it is run with, and fails when it has been given an error."""

    def __init__(self, *signatures: Signature, error: Exception | None = None) -> None:
        self.signatures = {each.name: each for each in signatures}
        self.error = error
        self.calls: list[tuple[str, dict[str, Array]]] = []
        self.outputs: list[Sequence[str]] = []
        self.loads = self.unloads = 0

    @property
    def servable(self) -> "Recorder":
        """Itself."""
        return self

    def load(self) -> None:
        """Count."""
        self.loads += 1

    def unload(self) -> None:
        """Count."""
        self.unloads += 1

    def run(self, signature: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]:
        """Note the call, fail when told so."""
        self.calls.append((signature, dict(inputs)))
        self.outputs.append(outputs)
        if self.error is not None:
            raise self.error
        return {}


PIXELS = TensorSpec("x", "DT_FLOAT", (None, 64))
WORDS = TensorSpec("w", "DT_STRING", (None,))


def test_a_batch_is_zeros_and_empty_strings_in_the_declared_shape() -> None:
    """Rows where dimension 0 is open, one where another is, and the dtype of each."""
    found = warmup.synthetic_batch(
        signature(
            PIXELS, WORDS, TensorSpec("o", "DT_BFLOAT16", (None, None, 3)), TensorSpec("k", "DT_BOOL", ())
        ),
        rows=5,
    )

    assert found is not None
    shapes = {name: (array.dtype.name, array.shape) for name, array in found.items()}
    assert shapes == {
        "x": ("float32", (5, 64)),
        "w": ("object", (5,)),
        "o": ("bfloat16", (5, 1, 3)),
        "k": ("bool", ()),
    }
    assert found["w"].tolist() == [b""] * 5
    assert not found["x"].any()


def test_a_fixed_dimension_0_stays_fixed() -> None:
    """Only an open one takes the given number of rows."""
    found = warmup.synthetic_batch(signature(TensorSpec("x", "DT_INT32", (3, None))), rows=5)

    assert found is not None
    assert found["x"].shape == (3, 1)


@pytest.mark.parametrize("spec", [TensorSpec("x", "DT_FLOAT", None), TensorSpec("x", "DT_QINT8", (None,))])
def test_what_cannot_be_made_up_is_left_out_with_a_record(
    spec: TensorSpec, caplog: pytest.LogCaptureFixture
) -> None:
    """An open rank or a dtype without a twin is no reason to refuse a model."""
    servable = Recorder(signature(spec, name="vague"), signature(PIXELS, name="clear"))

    warmup.warm_up(servable)

    assert [name for name, _ in servable.calls] == ["clear"]
    assert [record.getMessage() for record in caplog.records] == [
        "signature 'vague' is not warmed up: its inputs cannot be made up"
    ]


def test_each_batch_size_is_run_where_rows_are_open() -> None:
    """A signature with a fixed shape is run once."""
    servable = Recorder(
        signature(PIXELS, name="rows"), signature(TensorSpec("x", "DT_FLOAT", (2,)), name="one")
    )

    warmup.warm_up(servable, (1, 8))

    assert [(name, inputs["x"].shape) for name, inputs in servable.calls] == [
        ("rows", (1, 64)),
        ("rows", (8, 64)),
        ("one", (2,)),
    ]


def test_sizes_whose_rows_are_too_large_are_left_out() -> None:
    """No batch of requests is that large either; the smallest is run all the same. Strings only refer."""
    small, large = Recorder(signature(PIXELS, WORDS)), Recorder(signature(PIXELS))

    warmup.warm_up(small, (1, 8, 32), most_bytes=8 * 256)
    warmup.warm_up(large, (4, 8), most_bytes=1)

    assert [len(inputs["x"]) for _, inputs in small.calls] == [1, 8]
    assert [len(inputs["x"]) for _, inputs in large.calls] == [4]


def test_a_warmed_loader_is_loaded_once_it_has_run() -> None:
    """The inner loader is loaded, run, and given through."""
    inner = Recorder(signature(PIXELS))
    loader = warmup.WarmedLoader(inner)

    loader.load()

    assert (inner.loads, len(inner.calls), inner.unloads) == (1, 1, 0)
    assert loader.servable is inner
    loader.unload()
    assert inner.unloads == 1


@pytest.mark.parametrize(
    ("error", "retriable"),
    [
        (errors.InvalidInput("too small"), False),
        (errors.ExecutionFailed("broken"), False),
        (errors.ExecutionInterrupted("no memory"), True),
        (RuntimeError("anything"), True),
    ],
)
def test_a_failure_fails_the_load_with_its_reason(error: Exception, retriable: bool) -> None:
    """Nothing stays loaded, and what may pass may be retried."""
    inner = Recorder(signature(PIXELS), error=error)

    with pytest.raises(errors.LoadFailed, match=f"warm-up of signature 's' failed: {error}") as caught:
        warmup.WarmedLoader(inner).load()

    assert (inner.loads, inner.unloads, caught.value.retriable) == (1, 1, retriable)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("spec", [WORDS, TensorSpec("x", "DT_FLOAT", (None, None, 3))])
def test_a_model_may_refuse_what_had_to_be_guessed(
    spec: TensorSpec, caplog: pytest.LogCaptureFixture
) -> None:
    """An empty string is no JPEG, nor is one pixel a picture: the model is served all the same."""
    caplog.set_level(logging.WARNING)

    warmup.warm_up(Recorder(signature(spec), error=errors.InvalidInput("no picture")))

    assert "refuses made-up inputs: no picture" in caplog.text


def test_a_guess_that_breaks_the_model_still_fails_the_load() -> None:
    """Only a refused input is excused, not a failure to compute."""
    with pytest.raises(errors.PermanentLoadFailure):
        warmup.warm_up(Recorder(signature(WORDS), error=errors.ExecutionFailed("broken")))


def test_a_real_model_is_warmed_up(tmp_path: Path) -> None:
    """Numbers, integers and strings alike."""
    held: list[float] = []
    directory = numpy_models.write_three_signatures(tmp_path, sleep_seconds=1)

    warmup.WarmedLoader(NumpyLoader(directory, hold=held.append)).load()

    assert len(held) == 3


def test_no_batch_is_larger_than_asked_for() -> None:
    """One row by default: warm-up costs little memory."""
    servable = Recorder(signature(PIXELS))

    warmup.warm_up(servable)

    np.testing.assert_array_equal(servable.calls[0][1]["x"], np.zeros((1, 64), np.float32))


def recorded(signature: str = "rows", outputs: tuple[str, ...] = (), **inputs: Array) -> RecordedRequest:
    """A recorded request."""
    return RecordedRequest(f"record of {signature}", signature, lambda _signature: inputs, outputs)


def batchable(name: str = "rows") -> Signature:
    """A signature whose requests can be stacked."""
    return Signature(name, "", {"x": PIXELS}, {"y": TensorSpec("y", "DT_FLOAT", (None,))})


def pixels(count: int) -> Array:
    """Rows that can be told apart."""
    return np.arange(count * 64, dtype=np.float32).reshape(count, 64)


def test_a_recorded_request_is_run_as_it_is_where_nothing_is_said_of_batches() -> None:
    """With the outputs that it asks for, and as often as it is there."""
    servable = Recorder(batchable())

    warmup.warm_up(servable, recorded=[recorded(x=pixels(3)), recorded(x=pixels(2), outputs=("y",))])

    assert [len(inputs["x"]) for _, inputs in servable.calls] == [3, 2]
    assert servable.outputs == [(), ("y",)]


def test_a_recorded_request_is_run_at_each_size_of_batches() -> None:
    """Padded with its last row, or cut."""
    servable = Recorder(batchable())

    warmup.warm_up(servable, (2, 8), recorded=[recorded(x=pixels(3))])

    first, second = (inputs["x"] for _, inputs in servable.calls)
    np.testing.assert_array_equal(first, pixels(3)[:2])
    np.testing.assert_array_equal(second, pixels(3)[[0, 1, 2, 2, 2, 2, 2, 2]])


def test_recorded_rows_that_are_too_large_are_left_out() -> None:
    """As made-up ones are."""
    servable = Recorder(batchable())

    warmup.warm_up(servable, (2, 8, 32), most_bytes=8 * 256, recorded=[recorded(x=pixels(3))])

    assert [len(inputs["x"]) for _, inputs in servable.calls] == [2, 8]


def test_only_signatures_without_a_recorded_request_get_a_made_up_one() -> None:
    """The others have something better."""
    servable = Recorder(batchable("asked"), batchable("other"))

    warmup.warm_up(servable, recorded=[recorded("asked", x=pixels(3)), recorded("asked", x=pixels(1))])

    assert [(name, len(inputs["x"])) for name, inputs in servable.calls] == [
        ("asked", 3),
        ("asked", 1),
        ("other", 1),
    ]


def test_a_recorded_request_that_does_not_fit_fails_the_load_for_good() -> None:
    """The file has to be written anew."""
    inner = Recorder(batchable())
    loader = warmup.WarmedLoader(inner, recorded=lambda: [recorded(x=np.zeros((1, 3), np.float32))])

    with pytest.raises(
        errors.PermanentLoadFailure, match="warm-up failed: record of rows: input 'x' of signature"
    ):
        loader.load()
    assert (inner.loads, inner.unloads, inner.calls) == (1, 1, [])


@pytest.mark.parametrize(
    ("error", "retriable"),
    [
        (errors.InvalidInput("no picture"), False),
        (errors.ExecutionFailed("broken"), False),
        (errors.ExecutionInterrupted("no memory"), True),
        (RuntimeError("anything"), True),
    ],
)
def test_a_recorded_request_that_fails_fails_the_load(error: Exception, retriable: bool) -> None:
    """Also one that is refused: somebody has sent it, so it is no guess. It is tried again where that may help."""
    inner = Recorder(signature(WORDS, name="rows"), error=error)
    loader = warmup.WarmedLoader(inner, recorded=lambda: [recorded(w=rows(b"a"))])

    with pytest.raises(errors.LoadFailed, match=f"warm-up by record of rows failed: {error}") as caught:
        loader.load()
    assert (inner.unloads, caught.value.retriable) == (1, retriable)


def test_each_load_reads_the_recorded_requests_anew() -> None:
    """What could not be read may be there at the next try."""
    reads: list[Exception | None] = [errors.LoadFailed("the file cannot be read"), None]
    inner = Recorder(batchable())

    def read() -> Sequence[RecordedRequest]:
        failure = reads.pop(0)
        if failure is not None:
            raise failure
        return [recorded(x=pixels(3))]

    loader = warmup.WarmedLoader(inner, recorded=read)
    with pytest.raises(errors.LoadFailed, match="the file cannot be read"):
        loader.load()
    loader.load()

    assert (inner.loads, inner.unloads) == (2, 1)
    assert [len(inputs["x"]) for _, inputs in inner.calls] == [3]


def test_a_failure_may_be_no_more_than_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """The version is available, and the log says what is wrong."""
    caplog.set_level(logging.WARNING)
    inner = Recorder(batchable(), error=errors.ExecutionFailed("broken"))

    warmup.WarmedLoader(inner, mode=lambda: WarmupMode.WARN).load()

    assert (inner.loads, inner.unloads) == (1, 0)
    assert (
        "a version is available without the rest of its warm-up: warm-up of signature 'rows' failed: broken"
        in caplog.text
    )


def test_a_failed_load_is_no_warning() -> None:
    """There is nothing that could be available."""
    loader = warmup.WarmedLoader(FailingLoader(errors.LoadFailed("no file")), mode=lambda: WarmupMode.WARN)

    with pytest.raises(errors.LoadFailed, match="no file"):
        loader.load()


def test_nothing_is_run_where_the_warm_up_is_off() -> None:
    """Nor is a file opened."""
    inner = Recorder(batchable())
    opened: list[bool] = []

    def read() -> Sequence[RecordedRequest]:
        opened.append(True)
        return []

    warmup.WarmedLoader(inner, recorded=read, mode=lambda: WarmupMode.OFF).load()

    assert (inner.loads, inner.calls, opened) == (1, [], [])


@pytest.mark.tensorflow
def test_a_saved_model_is_warmed_up_by_tensorflow_servings_file(
    saved_models: SavedModels, tmp_path: Path
) -> None:
    """Predict, classify, regress and multi-inference logs, written by TensorFlow and run on a real model."""
    from tests.kit.prediction_logs import example, examples_request, log, predict, write

    directory = tmp_path / "1"
    shutil.copytree(saved_models.three_signatures(), directory)
    task = {"model_spec": {"signature_name": "strings"}}
    multi = {"tasks": [task, task], "input": examples_request("", example(a=1.0))["input"]}
    write(
        directory,
        predict({"x": pixels(3)}),
        predict({"n": np.arange(8).reshape(2, 4)}, "integers", ["shifted"]),
        log(classify_log={"request": examples_request("strings", example(a=1.0), example(a=2.0))}),
        log(regress_log={"request": examples_request("strings", example(a=1.0))}),
        log(multi_inference_log={"request": multi}),
    )
    spy = Spy(SavedModelLoader(directory))

    warmup.WarmedLoader(spy, (4,), recorded=lambda: prediction_log.read(directory)).load()

    assert spy.calls == [("serving_default", 4), ("integers", 4), *[("strings", 4)] * 4]
    spy.unload()


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("inputs", "signature", "said"),
    [
        (
            {"x": [1.0]},
            "",
            r"record 1 of .*tf_serving_warmup_requests: input 'x' .*expected DT_FLOAT\[\?,64\]",
        ),
        (
            {"x": [1.0]},
            "none",
            "signature 'none' does not exist; expected one of 'integers', 'serving_default'",
        ),
    ],
)
def test_a_record_that_a_saved_model_cannot_run_is_named(
    saved_models: SavedModels, tmp_path: Path, inputs: dict[str, Any], signature: str, said: str
) -> None:
    """With what was expected."""
    from tests.kit.prediction_logs import predict, write

    write(tmp_path, predict(inputs, signature))
    loader = warmup.WarmedLoader(
        SavedModelLoader(saved_models.three_signatures()), recorded=lambda: prediction_log.read(tmp_path)
    )

    with pytest.raises(errors.PermanentLoadFailure, match=said):
        loader.load()


class Spy:
    """A loader whose servable notes which signature is run by how many rows."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self.calls: list[tuple[str, int]] = []

    @property
    def servable(self) -> "Spy":
        """Itself."""
        return self

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """The inner servable's."""
        return self._loader.servable.signatures

    def load(self) -> None:
        """Load."""
        self._loader.load()

    def unload(self) -> None:
        """Unload."""
        self._loader.unload()

    def run(self, signature: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]:
        """Note the call, and run it."""
        self.calls.append((signature, len(next(iter(inputs.values())))))
        return self._loader.servable.run(signature, inputs, outputs)
