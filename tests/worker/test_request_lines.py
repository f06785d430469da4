"""Recorded and golden requests as JSON lines."""

import json
from typing import Any

import numpy as np
import pytest

from lifecycle.errors import InvalidInput
from lifecycle.signature import Signature, TensorSpec
from worker import request_lines
from worker.request_lines import InvalidLine

TWO = Signature(
    "serving_default",
    "",
    {"x": TensorSpec("x", "DT_FLOAT", (None, 2))},
    {"scores": TensorSpec("scores", "DT_FLOAT", (None, 2)), "best": TensorSpec("best", "DT_INT64", (None,))},
)
ONE = Signature(
    "words", "", {"w": TensorSpec("w", "DT_STRING", (None,))}, {"n": TensorSpec("n", "DT_INT64", (None,))}
)


def golden(line: Any, signature: Signature = TWO) -> dict[str, tuple[Any, float, float]]:
    """What a line expects: values and tolerances by output."""
    (found,) = request_lines.golden([json.dumps(line)], "f")
    return {
        name: (each.values.tolist(), each.absolute, each.relative)
        for name, each in found.expected(signature).items()
    }


def test_a_line_is_a_request_of_either_format() -> None:
    """With the dtypes of the signature that it calls; empty lines are passed over, and counted."""
    lines = [
        '{"inputs": {"x": [[1, 2]]}}',
        "",
        '{"instances": [{"x": [1, 2]}, {"x": [3, 4]}], "signature_name": "other"}',
    ]
    first, second = request_lines.recorded(lines, "the file")

    assert (first.place, first.signature) == ("line 1 of the file", "serving_default")
    assert (second.place, second.signature) == ("line 3 of the file", "other")
    inputs = first.inputs(TWO)
    assert inputs["x"].dtype == np.float32
    assert second.inputs(TWO)["x"].tolist() == [[1, 2], [3, 4]]


def test_an_answer_is_that_of_a_reply() -> None:
    """In columns or in rows, by name or bare, with the dtypes of the signature's outputs."""
    asked = {"inputs": [[1, 2]]}
    both = {"scores": ([[0.5, 1.5]], 1e-5, 1e-4), "best": ([1], 1e-5, 1e-4)}

    assert golden(asked | {"outputs": {"scores": [[0.5, 1.5]], "best": [1]}}) == both
    assert golden(asked | {"predictions": [{"scores": [0.5, 1.5], "best": 1}]}) == both
    assert golden(asked | {"outputs": {"best": [1]}}) == {"best": both["best"]}
    assert golden({"inputs": ["a"], "outputs": [7]}, ONE) == {"n": ([7], 1e-5, 1e-4)}
    assert golden({"instances": ["a"], "predictions": [7]}, ONE) == {"n": ([7], 1e-5, 1e-4)}


def test_tolerances_are_for_all_outputs_or_for_each() -> None:
    """What is not said has its default."""
    line = {"inputs": [[1, 2]], "outputs": {"scores": [[0.5, 1.5]], "best": [1]}}

    assert golden(line | {"absolute_tolerance": 0.5})["scores"][1:] == (0.5, 1e-4)
    found = golden(line | {"relative_tolerance": {"scores": 0}})
    assert (found["scores"][1:], found["best"][1:]) == ((1e-5, 0.0), (1e-5, 1e-4))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 1 of f: the document: line 1 column"),
        ("[]", "line 1 of f: the document: it is a list"),
        ('{"outputs": 1}', "expected either 'instances' or 'inputs', found neither"),
        ('{"inputs": [1]}', "expected either 'outputs' or 'predictions' beside the request, found neither"),
        ('{"inputs": [1], "outputs": 1, "predictions": [1]}', "found both"),
        ('{"inputs": [1], "outputs": {}}', "'outputs' is empty"),
        (
            '{"inputs": [1], "outputs": 1, "tolerance": 1}',
            "unknown 'tolerance'; expected some of absolute_tolerance",
        ),
        (
            '{"inputs": [1], "outputs": 1, "absolute_tolerance": -1}',
            "absolute_tolerance: expected a number, 0 or more",
        ),
        ('{"inputs": [1], "outputs": 1, "absolute_tolerance": true}', "expected a number"),
        (
            '{"inputs": [1], "outputs": 1, "relative_tolerance": {"y": "much"}}',
            "relative_tolerance: expected",
        ),
        ('{"inputs": [1], "outputs": 1, "relative_tolerance": NaN}', "relative_tolerance: expected"),
    ],
)
def test_a_line_that_is_no_golden_request_is_named(line: str, said: str) -> None:
    """Before a version is there."""
    with pytest.raises(InvalidLine, match="line 1 of f: ") as caught:
        list(request_lines.golden([line], "f"))
    assert said in str(caught.value)


def test_a_recorded_request_has_no_answer() -> None:
    """It would not be looked at."""
    with pytest.raises(InvalidLine, match="line 2 of f: unknown 'outputs'"):
        list(request_lines.recorded(["", '{"inputs": [1], "outputs": [1]}'], "f"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"inputs": {"z": 1}, "outputs": {"best": [1]}}, "inputs: input 'x' is missing"),
        ({"inputs": [["a", 2]], "outputs": {"best": [1]}}, r"expected a number \(DT_FLOAT\)"),
    ],
)
def test_a_request_that_does_not_fit_the_signature_is_told(line: Any, said: str) -> None:
    """When the signature is known."""
    (found,) = request_lines.golden([json.dumps(line)], "f")

    with pytest.raises(InvalidInput, match=said):
        found.request.inputs(TWO)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            {"outputs": {"none": [1]}},
            "there is no output 'none'; signature 'serving_default' has the outputs 'best', 's",
        ),
        ({"outputs": {"best": [1.5]}}, r"outputs.best\[0\]: expected a whole number"),
        ({"outputs": [1]}, "expected values by output"),
        ({"predictions": 1}, "expected a list of rows"),
        ({"predictions": [{"best": 1}, {"scores": [1, 2]}]}, "expected the same outputs in each row"),
        (
            {"outputs": {"best": [1]}, "absolute_tolerance": {"scores": 1}},
            "there is no expected output 'scores'",
        ),
    ],
)
def test_an_answer_that_does_not_fit_the_signature_is_told(answer: Any, said: str) -> None:
    """When the signature is known."""
    (found,) = request_lines.golden([json.dumps({"inputs": [[1, 2]]} | answer)], "f")

    with pytest.raises(InvalidInput, match=said):
        found.expected(TWO)


def test_a_dtype_that_json_has_no_place_for_is_told() -> None:
    """Complex numbers, and those that no request can carry."""
    for dtype, said in (
        ("DT_COMPLEX64", "cannot be given as JSON"),
        ("DT_QINT8", "'x' is DT_QINT8, which cannot"),
    ):
        strange = Signature("s", "", {"x": TensorSpec("x", dtype, (None,))}, {})
        (found,) = request_lines.recorded(['{"inputs": [1]}'], "f")
        with pytest.raises(InvalidInput, match=said):
            found.inputs(strange)


def test_two_texts_that_say_the_same_are_one() -> None:
    """Whatever their blanks and the order of their keys; a separator of lines inside a string stays there."""
    first = ['{"inputs": {"b": [1], "a": ["\u2028"]}, "outputs": [1.50]}', "", ""]
    second = ['{ "outputs" : [1.5], "inputs": {"a": ["\\u2028"], "b": [1]}}']

    found = request_lines.canonical(first, "f")

    assert found == request_lines.canonical(second, "f")
    assert found.isascii()
    assert json.loads(found) == json.loads(second[0])
    with pytest.raises(InvalidLine, match="line 2 of f: unknown 'note'"):
        request_lines.canonical([*second, '{"inputs": [1], "outputs": [1], "note": 1}'], "f")
