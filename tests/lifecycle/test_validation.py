"""Golden requests: when an answer is as expected, and what a wrong one means."""

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest

from lifecycle import errors, validation
from lifecycle.aspired_versions_manager import AspiredVersionsManager
from lifecycle.loader import Loader
from lifecycle.numpy_loader import NumpyLoader
from lifecycle.recorded_requests import RecordedRequest
from lifecycle.servable_id import ServableId
from lifecycle.signature import Signature, TensorSpec
from lifecycle.source import AspiredVersion
from lifecycle.validation import Expected, GoldenRequest, ValidatedLoader
from tests.fakes.servables import FakeLoader
from tests.kit import numpy_models
from tests.kit.numpy_models import rows

Array = npt.NDArray[Any]


def floats(values: npt.ArrayLike) -> Array:
    """An array of DT_FLOAT."""
    return np.array(values, np.float32)


def integers(values: npt.ArrayLike) -> Array:
    """An array of DT_INT64."""
    return np.array(values, np.int64)


class Answering:
    """A servable and its loader: answers each request by what it has been given, or fails."""

    def __init__(self, error: Exception | None = None, **answer: npt.ArrayLike) -> None:
        self.answer = {name: np.asarray(array) for name, array in answer.items()}
        outputs = {name: TensorSpec(name, "DT_FLOAT", None) for name in answer}
        self.signatures = {
            "serving_default": Signature(
                "serving_default", "", {"x": TensorSpec("x", "DT_FLOAT", (None,))}, outputs
            )
        }
        self.error = error
        self.unloads = 0

    @property
    def servable(self) -> "Answering":
        """Itself."""
        return self

    def load(self) -> None:
        """Load."""

    def unload(self) -> None:
        """Count."""
        self.unloads += 1

    def run(self, signature: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]:
        """Answer, or fail when told so."""
        if self.error is not None:
            raise self.error
        return self.answer


def golden(
    x: npt.ArrayLike = (1.0,), *, tolerances: Mapping[str, float] | None = None, **expected: npt.ArrayLike
) -> GoldenRequest:
    """A golden request with these expected outputs."""
    inputs = {"x": np.asarray(x, np.float32)}
    wanted = {name: Expected(np.asarray(array), **(tolerances or {})) for name, array in expected.items()}
    return GoldenRequest(
        RecordedRequest("line 1", "serving_default", lambda _signature: inputs), lambda _signature: wanted
    )


def refusal(servable: Any, *requests: GoldenRequest) -> str:
    """Why a servable does not pass."""
    with pytest.raises(errors.ValidationFailed) as caught:
        validation.validate(servable, requests)
    return str(caught.value)


@pytest.mark.parametrize(
    ("found", "expected", "tolerances"),
    [
        (floats([1, 2]), floats([1.00005, 2]), {}),
        (floats([1, 2]), floats([1.5, 2]), {"absolute": 0.6}),
        (floats([100]), floats([150]), {"relative": 0.4}),
        (floats([np.nan, np.inf, -np.inf]), floats([np.nan, np.inf, -np.inf]), {}),
        (np.array([1, 2], ml_dtypes.bfloat16), np.array([1.01, 2], ml_dtypes.bfloat16), {"relative": 0.01}),
        (np.array([1 + 1j], np.complex64), np.array([1 + 1.00005j], np.complex64), {}),
        (integers([1, 2]), integers([1, 2]), {}),
        (rows(b"a", b""), rows(b"a", b""), {}),
        (np.array([True]), np.array([True]), {}),
        (np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32), {}),
        (np.float32(3), np.float32(3), {}),
    ],
    ids=str,
)
def test_an_answer_within_its_tolerance_passes(
    found: Array, expected: Array, tolerances: dict[str, float]
) -> None:
    """Numbers that are no integers may differ a little; everything else is equal."""
    validation.validate(Answering(y=found), [golden(y=expected, tolerances=tolerances)])


@pytest.mark.parametrize(
    ("found", "expected", "tolerances", "said"),
    [
        (
            floats([1, 2, 3]),
            floats([1, 2.5, 3.5]),
            {},
            "[1] is 2.0; expected 2.5 ± 0.00026 (2 of 3 values",
        ),
        (floats([1]), floats([1.5]), {"absolute": 0.4}, "[0] is 1.0; expected 1.5 ± 0.4 (1 of 1"),
        (
            floats([1]),
            floats([1.00005]),
            {"absolute": 0, "relative": 0},
            "[0] is 1.0; expected 1.00004",
        ),
        (floats([np.nan]), floats([1]), {}, "[0] is nan; expected 1.0"),
        (floats([1]), floats([np.nan]), {}, "[0] is 1.0; expected nan"),
        (floats([1]), floats([np.inf]), {}, "[0] is 1.0; expected inf"),
        (floats([np.inf]), floats([-np.inf]), {}, "[0] is inf; expected -inf"),
        (
            integers([[1, 2]]),
            integers([[1, 3]]),
            {"absolute": 9},
            "[0, 1] is 2; expected 3 (1 of 2 values differ)",
        ),
        (rows(b"cat"), rows(b"dog"), {}, "[0] is b'cat'; expected b'dog'"),
        (np.array([True]), np.array([False]), {}, "[0] is True; expected False"),
        (np.float32(1), np.float32(2), {}, " is 1.0; expected 2.0"),
        (floats([1, 2]), floats([[1, 2]]), {}, " has the shape [2]; expected [1, 2]"),
        (rows(b"c" * 100), rows(b"d"), {}, "…; expected b'd'"),
    ],
    ids=str,
)
def test_a_wrong_answer_names_request_output_and_element(
    found: Array, expected: Array, tolerances: dict[str, float], said: str
) -> None:
    """What came, and what was expected within which tolerance."""
    message = refusal(Answering(y=found), golden(y=expected, tolerances=tolerances))

    assert message.startswith("validation failed: line 1: output 'y'")
    assert said in message


def test_outputs_that_are_not_expected_may_be_anything() -> None:
    """One that does not exist is a fault."""
    servable = Answering(y=floats([1]), z=floats([2]))

    validation.validate(servable, [golden(z=floats([2]))])
    assert "has no output 'w'; expected one of 'y', 'z'" in refusal(servable, golden(w=floats([2])))


def test_a_request_that_does_not_fit_fails_the_version() -> None:
    """Its answer is not the expected one, whatever the reason."""
    message = refusal(Answering(y=floats([1])), golden(np.zeros((2, 2)), y=floats([1])))

    assert message.startswith("validation failed: line 1: input 'x' of signature 'serving_default': expected")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.InvalidInput("too small"), errors.ValidationFailed),
        (errors.ExecutionFailed("broken"), errors.ValidationFailed),
        (errors.ExecutionInterrupted("no memory"), errors.LoadFailed),
        (RuntimeError("anything"), errors.LoadFailed),
    ],
)
def test_a_run_that_fails_is_tried_again_only_where_it_may_pass(
    error: Exception, kind: type[Exception]
) -> None:
    """A wrong answer comes again each time."""
    loader = Answering(error, y=floats([1]))

    with pytest.raises(errors.LoadFailed, match=f"validation failed: line 1: {error}") as caught:
        ValidatedLoader(loader, lambda: [golden(y=floats([1]))]).load()
    assert type(caught.value) is kind
    assert caught.value.retriable is (kind is errors.LoadFailed)
    assert loader.unloads == 1


def test_a_loader_without_golden_requests_is_itself() -> None:
    """Nothing is run."""
    inner = Answering(RuntimeError("it was run"), y=floats([1]))
    loader = ValidatedLoader(inner, tuple)

    loader.load()

    assert loader.servable is inner
    loader.unload()
    assert inner.unloads == 1


@pytest.mark.parametrize(("batch_rows", "run"), [((1,), 3), ((2, 4, 8), 4), ((1, 2), 3), ((3,), 3)])
def test_a_request_is_padded_as_a_batch_of_it_would_be(batch_rows: tuple[int, ...], run: int) -> None:
    """And the rows of padding are no part of its answer."""
    sizes: list[int] = []

    class Sized(FakeLoader):
        """Notes the rows that it is run by."""

        def run(self, signature: str, inputs: Mapping[str, Any], outputs: Sequence[str]) -> Mapping[str, Any]:
            sizes.append(len(inputs["x"]))
            return super().servable.run(signature, inputs, outputs)

        @property
        def signatures(self) -> Mapping[str, Signature]:
            return super().servable.signatures

        @property
        def servable(self) -> Any:
            return self

    x = floats([[1, 2], [3, 4], [5, 6]])
    loader = ValidatedLoader(Sized(7.0), lambda: [golden(x, y=x + 7, number=np.full(3, 7.0))], batch_rows)

    loader.load()

    assert sizes == [run]


def test_how_many_requests_were_answered_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of a real model, with strings and integers."""
    caplog.set_level(logging.INFO)
    directory = numpy_models.write_three_signatures(tmp_path)

    def asked() -> Sequence[GoldenRequest]:
        given = {
            "serving_default": {"x": numpy_models.pixels(2)},
            "integers": {"n": np.arange(4).reshape(1, 4)},
            "strings": {"s": rows(b"a", b"\0")},
        }
        return [_of_model(1, signature, inputs) for signature, inputs in given.items()]

    ValidatedLoader(NumpyLoader(directory), asked).load()

    assert "a version answers 3 golden requests as expected" in caplog.text


def _of_model(version: int, signature: str, inputs: Mapping[str, Array]) -> GoldenRequest:
    """A golden request that this version of the model answers as expected."""
    expected = {
        name: Expected(array) for name, array in numpy_models.expected(version, signature, inputs).items()
    }
    return GoldenRequest(
        RecordedRequest(f"a request for {signature}", signature, lambda _signature: inputs),
        lambda _signature: expected,
    )


def test_a_version_that_answers_wrongly_is_never_available_and_the_former_one_serves(tmp_path: Path) -> None:
    """Its load ends at once: trying again would give the same answer."""
    wanted = _of_model(1, "serving_default", {"x": numpy_models.pixels(1)})
    manager = AspiredVersionsManager()
    seen: list[str] = []
    manager.bus.subscribe(lambda event: seen.append(f"{event.id} {event.state.name}"))

    def aspired(version: int) -> AspiredVersion:
        numpy_models.write_dense(tmp_path, version)

        def make() -> Loader:
            return ValidatedLoader(NumpyLoader(tmp_path / str(version)), lambda: [wanted])

        return AspiredVersion(ServableId("m", version), make)

    first = aspired(1)
    for versions in ([first], [aspired(2)]):
        manager.set_aspired_versions("m", versions)
        for _ in range(6):
            manager.step()

    with manager.handle("m") as handle:
        assert handle.id.version == 1
    assert "m/2 AVAILABLE" not in seen
    (status,) = [each for each in manager.states() if each.id.version == 2]
    assert re.search(
        r"loading m/2 failed \(try 1 of \d+\): validation failed: a request for serving_default: "
        r"output 'scores'\[0, 0\] is",
        str(status.error),
    )
    manager.close(timeout_seconds=60)
