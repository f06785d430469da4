"""Warm-up: which batches are made up, and what their failure means."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lifecycle import errors, warmup
from lifecycle.numpy_loader import NumpyLoader
from lifecycle.signature import Signature, TensorSpec
from tests.kit import numpy_models

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
