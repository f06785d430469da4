"""Signatures, and the checks of requests against them."""

import re

import pytest

from lifecycle import errors
from lifecycle.signature import Signature, TensorSpec, check_inputs, check_outputs, find_signature


def spec(name: str, dtype: str = "DT_FLOAT", shape: tuple[int | None, ...] | None = (None, 64)) -> TensorSpec:
    """A spec."""
    return TensorSpec(name, dtype, shape)


SIGNATURE = Signature(
    "serving_default",
    "tensorflow/serving/predict",
    {"x": spec("x"), "mask": spec("mask", "DT_BOOL", None)},
    {"y": spec("y"), "z": spec("z", "DT_STRING", (None,))},
)
GOOD = {"x": ("DT_FLOAT", (5, 64)), "mask": ("DT_BOOL", ())}


def given(**changes: tuple[str, tuple[int, ...]] | None) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Good inputs, but for the changes; None takes one away."""
    return {name: each for name, each in {**GOOD, **changes}.items() if each is not None}


def test_fitting_inputs_pass() -> None:
    """Any size fits an unknown dimension, and any shape an unknown rank."""
    check_inputs(SIGNATURE, given())
    check_inputs(SIGNATURE, given(x=("DT_FLOAT", (0, 64)), mask=("DT_BOOL", (2, 3, 4))))


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        pytest.param(
            given(x=None),
            ["'mask' DT_BOOL[any rank], 'x' DT_FLOAT[?,64]", "given 'mask'", "missing: 'x'"],
            id="missing",
        ),
        pytest.param(given(u=("DT_FLOAT", (1,))), ["given 'mask', 'u', 'x'", "not known: 'u'"], id="unknown"),
        pytest.param({}, ["given none", "missing: 'mask', 'x'"], id="none"),
        pytest.param(
            given(x=("DT_INT32", (1, 64))),
            ["input 'x'", "'serving_default'", "expected DT_FLOAT[?,64]", "given DT_INT32[1,64]", "dtype"],
            id="dtype",
        ),
        pytest.param(
            given(x=("DT_FLOAT", (64,))),
            ["given DT_FLOAT[64]", "rank differs (2 expected, 1 given)"],
            id="rank",
        ),
        pytest.param(
            given(x=("DT_FLOAT", (1, 63))), ["dimension 1 differs (64 expected, 63 given)"], id="dimension"
        ),
    ],
)
def test_unfitting_inputs_are_told_apart(
    inputs: dict[str, tuple[str, tuple[int, ...]]], words: list[str]
) -> None:
    """The message says what was expected, what came, and where they differ."""
    with pytest.raises(errors.InvalidInput) as caught:
        check_inputs(SIGNATURE, inputs)

    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize("names", [[], ["y"], ["z", "y"]], ids=str)
def test_known_outputs_pass(names: list[str]) -> None:
    """None at all, some and all outputs can be asked for."""
    check_outputs(SIGNATURE, names)


def test_unknown_output_is_refused() -> None:
    """The message lists the outputs that there are."""
    with pytest.raises(errors.InvalidInput, match=re.escape("no output 'w'; expected one of 'y', 'z'")):
        check_outputs(SIGNATURE, ["y", "w"])


def test_output_named_twice_is_refused() -> None:
    """An output can be had once only."""
    with pytest.raises(errors.InvalidInput, match="'y' of signature 'serving_default' is asked for twice"):
        check_outputs(SIGNATURE, ["y", "y"])


def test_signature_is_found_by_name() -> None:
    """A known name gives its signature."""
    assert find_signature({"serving_default": SIGNATURE}, "serving_default") is SIGNATURE


def test_unknown_signature_is_refused() -> None:
    """The message lists the signatures that there are."""
    with pytest.raises(
        errors.InvalidInput, match="'classify' does not exist; expected one of 'serving_default'"
    ):
        find_signature({"serving_default": SIGNATURE}, "classify")


@pytest.mark.parametrize(
    ("inputs", "outputs", "expected"),
    [
        pytest.param([spec("x")], [spec("y")], True, id="all free"),
        pytest.param([spec("x"), spec("n", shape=())], [spec("y")], False, id="scalar input"),
        pytest.param([spec("x", shape=(1, 64))], [spec("y")], False, id="fixed input"),
        pytest.param([spec("x")], [spec("y", shape=(10,))], False, id="fixed output"),
        pytest.param([spec("x", shape=None)], [spec("y")], False, id="unknown rank"),
        pytest.param([], [spec("y")], False, id="no input"),
    ],
)
def test_batchable_means_that_rows_can_be_stacked(
    inputs: list[TensorSpec], outputs: list[TensorSpec], *, expected: bool
) -> None:
    """Requests may be stacked only where dimension 0 of every input and output is free."""
    signature = Signature(
        "s", "m", {each.name: each for each in inputs}, {each.name: each for each in outputs}
    )

    assert signature.batchable is expected
