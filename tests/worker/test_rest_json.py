"""TensorFlow Serving's JSON formats: documents in, documents out, and what is said about wrong ones."""

import json
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from schemas.dtype import DType
from worker import rest_json
from worker.rest_json import Layout
from worker.rest_json_errors import InvalidJson

FLOAT = {"x": DType.DT_FLOAT}
SIGNAL = {"tag": DType.DT_STRING, "signal": DType.DT_INT32, "sensor": DType.DT_INT64}


def tensors(document: object, dtypes: Mapping[str, DType] | None) -> dict[str, np.ndarray[Any, Any]]:
    """The tensors of a document, by way of its text (a string is taken as text already)."""
    text = document if isinstance(document, str | bytes) else json.dumps(document)
    return rest_json.parse(text).tensors(dtypes)


def problem(document: object, dtypes: Mapping[str, DType] | None = None) -> str:
    """What is said about a document that cannot be taken."""
    with pytest.raises(InvalidJson) as caught:
        tensors(document, dtypes)
    return str(caught.value)


def test_rows_of_a_single_input_need_no_name() -> None:
    """Each instance is a row of the only input, with dimension 0 in front."""
    found = tensors({"instances": [[[1, 2]], [[3, 4.5]]]}, FLOAT)

    assert list(found) == ["x"]
    assert found["x"].dtype == np.float32
    assert found["x"].tolist() == [[[1, 2]], [[3, 4.5]]]


def test_rows_of_scalars_make_a_vector() -> None:
    """A list of plain values is one dimension."""
    found = tensors({"instances": ["foo", "bar", "bäz"]}, {"s": DType.DT_STRING})["s"]

    assert found.dtype == object
    assert found.tolist() == [b"foo", b"bar", "bäz".encode()]


def test_rows_of_several_inputs_are_objects() -> None:
    """The example of TensorFlow Serving's page: two instances of three inputs."""
    rows = [
        {"tag": "foo", "signal": [1, 2, 3, 4, 5], "sensor": [[1, 2], [3, 4]]},
        {"sensor": [[4, 5], [6, 8]], "signal": [3, 4, 1, 2, 5], "tag": "bar"},
    ]

    found = tensors({"instances": rows}, SIGNAL)

    assert list(found) == list(SIGNAL)
    assert found["tag"].tolist() == [b"foo", b"bar"]
    assert found["signal"].tolist() == [[1, 2, 3, 4, 5], [3, 4, 1, 2, 5]]
    assert found["sensor"].shape == (2, 2, 2)
    assert found["sensor"].dtype == np.int64


def test_columns_equal_the_rows_turned() -> None:
    """The column format of the same example gives the same tensors."""
    columns = {
        "sensor": [[[1, 2], [3, 4]], [[4, 5], [6, 8]]],
        "tag": ["foo", "bar"],
        "signal": [[1, 2, 3, 4, 5], [3, 4, 1, 2, 5]],
    }

    found = tensors({"inputs": columns}, SIGNAL)

    assert list(found) == list(SIGNAL)
    assert found["sensor"].tolist() == columns["sensor"]
    assert found["signal"].dtype == np.int32


def test_a_single_column_needs_no_name() -> None:
    """The only input may stand bare under `inputs`, with every dimension written out; or be named."""
    assert tensors({"inputs": [[1.5, 2]]}, FLOAT)["x"].tolist() == [[1.5, 2]]
    assert tensors({"inputs": {"x": [[1.5, 2]]}}, FLOAT)["x"].tolist() == [[1.5, 2]]


def test_columns_may_be_scalars_and_of_any_length() -> None:
    """In the column format inputs share no dimension; a bare value has no dimensions at all."""
    found = tensors({"inputs": {"x": [[1], [2]], "rate": 0.5}}, {"x": DType.DT_INT8, "rate": DType.DT_DOUBLE})

    assert found["x"].shape == (2, 1)
    assert found["rate"].shape == ()
    assert found["rate"].item() == 0.5


def test_the_signature_is_read() -> None:
    """`signature_name` is optional."""
    assert rest_json.parse('{"instances": [1]}').signature is None
    assert rest_json.parse('{"signature_name": "classify", "inputs": 1}').signature == "classify"


@pytest.mark.parametrize("digits", ["aGVsbG8=", "aGVsbG8", " aGVs\nbG8= "])
def test_binary_strings_are_base64(digits: str) -> None:
    """`b64` objects stand for bytes in every place where a string can stand, with or without padding."""
    encoded = {"b64": digits}
    string = {"s": DType.DT_STRING}

    assert tensors({"instances": [encoded, "x"]}, string)["s"].tolist() == [b"hello", b"x"]
    assert tensors({"instances": [[encoded]]}, string)["s"].tolist() == [[b"hello"]]
    assert tensors({"instances": [{"s": [encoded]}]}, string)["s"].tolist() == [[b"hello"]]
    assert tensors({"inputs": encoded}, string)["s"].item() == b"hello"
    assert tensors({"inputs": {"s": encoded}}, string)["s"].item() == b"hello"


def test_an_input_may_be_named_b64() -> None:
    """Only an object whose single key is `b64` with a string is base64; a number there is an input."""
    assert tensors({"instances": [{"b64": 1}]}, {"b64": DType.DT_INT32})["b64"].tolist() == [1]


def test_empty_strings_and_nulls_inside_bytes_survive() -> None:
    """Strings keep trailing zero bytes and may be empty, which numpy's own string type would lose."""
    found = tensors({"instances": ["", "a\x00", {"b64": "AAA="}]}, {"s": DType.DT_STRING})["s"]

    assert found.tolist() == [b"", b"a\x00", b"\x00\x00"]


@pytest.mark.parametrize("dtype", [DType.DT_FLOAT, DType.DT_DOUBLE, DType.DT_HALF, DType.DT_BFLOAT16])
def test_floating_types_take_whole_numbers_and_the_non_finite(dtype: DType) -> None:
    """Whole numbers, decimals, exponents, NaN and both infinities are numbers."""
    found = tensors('{"instances": [1, -2.5, 1e2, NaN, Infinity, -Infinity]}', {"x": dtype})["x"]

    assert found.dtype == dtype.numpy
    assert str(found.astype(np.float64).tolist()) == "[1.0, -2.5, 100.0, nan, inf, -inf]"


@pytest.mark.parametrize(
    ("dtype", "lost"),
    [
        (DType.DT_FLOAT, 2**24 + 1),
        (DType.DT_DOUBLE, 2**53 + 1),
        (DType.DT_HALF, 2**11 + 1),
        (DType.DT_BFLOAT16, 2**8 + 1),
        (DType.DT_FLOAT, 10**400),
    ],
)
def test_a_whole_number_that_a_float_cannot_hold_is_refused(dtype: DType, lost: int) -> None:
    """Silent rounding of an identifier is worse than an error; the neighbour that fits is taken."""
    assert "without loss" in problem({"instances": [lost]}, {"x": dtype})
    if lost < 2**60:
        assert tensors({"instances": [lost - 1, -2 * (lost - 1)]}, {"x": dtype})["x"].tolist() == [
            lost - 1,
            -2 * (lost - 1),
        ]


@pytest.mark.parametrize(
    ("dtype", "number"), [(DType.DT_FLOAT, "1e39"), (DType.DT_HALF, "65520"), (DType.DT_BFLOAT16, "3.4e38")]
)
def test_a_decimal_out_of_range_is_refused(dtype: DType, number: str) -> None:
    """A finite number does not become infinite on its way."""
    assert "instances[1]" in problem(f'{{"instances": [1, {number}]}}', {"x": dtype})


def test_a_decimal_beyond_every_type_is_refused() -> None:
    """Python's parser would make an infinity of it."""
    assert "1e400 is too large" in problem('{"instances": [1e400]}', {"x": DType.DT_DOUBLE})


@pytest.mark.parametrize(
    "dtype",
    [t for t in DType if t.name.startswith(("DT_INT", "DT_UINT"))],
)
def test_integers_keep_to_the_range_of_their_type(dtype: DType) -> None:
    """Both ends fit; one more does not, and the message says what does."""
    limits = np.iinfo(dtype.numpy.name)
    low, high = int(limits.min), int(limits.max)

    found = tensors({"instances": [low, high]}, {"x": dtype})["x"]

    assert found.dtype == dtype.numpy
    assert found.tolist() == [low, high]
    for outside in (low - 1, high + 1):
        assert f"out of the range of {dtype.name}, {low} to {high}" in problem(
            {"instances": [outside]}, {"x": dtype}
        )


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (DType.DT_INT32, 1.0),
        (DType.DT_INT32, True),
        (DType.DT_INT32, "1"),
        (DType.DT_INT32, None),
        (DType.DT_FLOAT, True),
        (DType.DT_FLOAT, "1"),
        (DType.DT_FLOAT, None),
        (DType.DT_FLOAT, {"b64": "AA=="}),
        (DType.DT_BOOL, 1),
        (DType.DT_BOOL, "true"),
        (DType.DT_STRING, 1),
        (DType.DT_STRING, None),
        (DType.DT_STRING, False),
    ],
)
def test_values_are_never_converted_between_kinds(dtype: DType, value: object) -> None:
    """As in TensorFlow Serving, a value of another kind is an error that names place, type and value."""
    said = problem({"instances": [[0 if value is None else value], [value]]}, {"x": dtype})

    assert said.startswith(("instances[0][0]: expected", "instances[1][0]: expected"))
    assert dtype.name in said


def test_booleans_are_booleans() -> None:
    """True and false make a DT_BOOL."""
    found = tensors({"instances": [[True, False]]}, {"x": DType.DT_BOOL})["x"]

    assert found.dtype == np.bool_
    assert found.tolist() == [[True, False]]


@pytest.mark.parametrize(
    ("rows", "place"),
    [
        ([[1, 2], [3, 4], [5, 6, 7]], "instances[2]"),
        ([[1, 2], [3, 4], [[5, 6]]], "instances[2]"),
        ([1, [1]], "instances[1]"),
        ([[1], 1], "instances[1]"),
        ([[[1, 2], [3]]], "instances[0][1]"),
        ([[[1, 2], 3]], "instances[0][1]"),
        ([[1, [2]]], "instances[0][1]"),
        ([[[1], [2, 3]], [[1], [2]]], "instances[0][1]"),
    ],
)
def test_ragged_rows_are_refused_with_their_place(rows: object, place: str) -> None:
    """All rows have the shape of the first, and all lists of one depth one length."""
    assert problem({"instances": rows}, FLOAT).startswith(f"{place}: ")


def test_the_place_leads_through_names() -> None:
    """The path names the input as well as the indices."""
    rows = [{"a": [[1]], "b": 1}, {"a": [["x"]], "b": 1}]

    said = problem({"instances": rows}, {"a": DType.DT_INT32, "b": DType.DT_INT32})

    assert said == 'instances[1].a[0][0]: expected a whole number (DT_INT32), got "x"'


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"a": 1}], "instances[0]: input 'b' is missing; the signature has the inputs 'a', 'b'"),
        (
            [{"a": 1, "b": 1, "c": 1}],
            "instances[0]: there is no input 'c'; the signature has the inputs 'a', 'b'",
        ),
        ([1], "instances: the signature has the inputs 'a', 'b'; expected objects that name each of them"),
        ([{"a": 1, "b": 1}, [1]], "instances[1]: expected an object as in the first row, got a list"),
        (
            [{"a": 1, "b": 1}, {"b64": "AA=="}],
            "instances[1]: expected an object as in the first row, got an object",
        ),
    ],
)
def test_objects_name_each_input_exactly(rows: object, said: str) -> None:
    """A missing, unknown or nameless input is told with what the signature has."""
    assert problem({"instances": rows}, {"a": DType.DT_INT32, "b": DType.DT_INT32}) == said


def test_a_row_is_no_object_where_the_first_is_none() -> None:
    """Values and objects do not mix."""
    said = problem({"instances": ["a", {"s": "b"}]}, {"s": DType.DT_STRING})

    assert said == "instances[1]: expected a value as in the first row, got an object"


def test_columns_name_each_input_exactly() -> None:
    """As for rows; TensorFlow Serving passes over inputs that it does not know, which hides misspellings."""
    two = {"a": DType.DT_INT32, "b": DType.DT_INT32}

    assert problem({"inputs": {"a": 1}}, two).startswith("inputs: input 'b' is missing")
    assert problem({"inputs": {"a": 1, "b": 1, "c": 1}}, two).startswith("inputs: there is no input 'c'")
    assert problem({"inputs": [1]}, two).startswith("inputs: the signature has the inputs 'a', 'b'")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1 column 1: Expecting value"),
        ('{"instances": [1,]}', "line 1 column"),
        ("[1]", "it is a list, expected an object"),
        ("{}", "expected either 'instances' or 'inputs', found neither"),
        ('{"instances": [1], "inputs": [1]}', "found both"),
        ('{"instances": []}', "instances: it is empty"),
        ('{"instances": 1}', "instances: expected a list, got a number"),
        ('{"instances": {"x": 1}}', "instances: expected a list, got an object"),
        ('{"instances": null}', "instances: expected a list, got null"),
        ('{"signature_name": 5, "instances": [1]}', "signature_name: expected a string, got a number"),
        ('{"inputs": {"x": 1, "x": 2}}', "the key 'x' stands twice"),
        ('{"instances": [{"b64": "%%"}]}', "instances[0]: the value of 'b64' is not base64"),
        ('{"instances": [{"b64": "A"}]}', "instances[0]: the value of 'b64' is not base64"),
        ('{"instances": ["\\ud800"]}', "instances[0]: it is half a character"),
        ("[" * 100_000, "nested too deeply"),
        (b'{"instances": ["\xff"]}', "it is not UTF-8"),
    ],
)
def test_broken_documents_are_told_what_is_wrong(text: str | bytes, said: str) -> None:
    """Each has one sentence that says where and what."""
    assert said in problem(text, {"x": DType.DT_STRING})


def test_types_that_json_lacks_are_refused() -> None:
    """There is no way to write a complex number."""
    assert "DT_COMPLEX64 cannot be given as JSON" in problem({"instances": [1]}, {"x": DType.DT_COMPLEX64})


def test_long_values_are_cut_in_messages() -> None:
    """An error message stays one that a terminal bears."""
    assert len(problem({"instances": ["x" * 10_000]}, FLOAT)) < 120


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ([1, 2], DType.DT_INT32),
        ([-(2**31), 2**31 - 1], DType.DT_INT32),
        ([1, 2**31], DType.DT_INT64),
        ([-(2**31) - 1], DType.DT_INT64),
        ([1, 2.0], DType.DT_FLOAT),
        ([[]], DType.DT_FLOAT),
        ([True], DType.DT_BOOL),
        (["a"], DType.DT_STRING),
        ([{"b64": "AA=="}], DType.DT_STRING),
    ],
)
def test_unknown_inputs_get_tensorflows_types(value: object, dtype: DType) -> None:
    """Without a signature the values decide, over all rows of an input."""
    assert tensors({"inputs": {"x": value}}, None)["x"].dtype == dtype.numpy
    assert tensors({"instances": [{"x": value}, {"x": value}]}, None)["x"].dtype == dtype.numpy


def test_rows_guess_one_type_for_a_column() -> None:
    """A whole number in the first row and a decimal in the second make one input of floats."""
    assert tensors({"instances": [{"x": 1}, {"x": 1.5}]}, None)["x"].dtype == np.float32


def test_unknown_inputs_must_be_named() -> None:
    """A bare value cannot be given to an input whose name nobody knows."""
    assert "name them" in problem({"instances": [1]})
    assert "name them" in problem({"inputs": [1]})


def test_rows_with_unknown_inputs_follow_the_first() -> None:
    """The names of the first row hold for all."""
    assert "input 'y' is missing; the first row has the inputs 'x', 'y'" in problem(
        {"instances": [{"x": 1, "y": 2}, {"x": 1}]}
    )


def test_a_single_output_is_bare() -> None:
    """Rows and columns of one output have no name around them."""
    outputs = {"y": np.array([[1, 2], [3, 4]], np.int32)}

    assert rest_json.reply(outputs, Layout.ROW) == {"predictions": [[1, 2], [3, 4]]}
    assert rest_json.reply(outputs, Layout.COLUMN) == {"outputs": [[1, 2], [3, 4]]}


def test_several_outputs_are_named() -> None:
    """Rows are objects of every output; columns are one object."""
    outputs = {"label": np.array([7, 3]), "scores": np.array([[0.5], [0.25]])}

    rows = [{"label": 7, "scores": [0.5]}, {"label": 3, "scores": [0.25]}]
    assert rest_json.reply(outputs, Layout.ROW) == {"predictions": rows}
    assert rest_json.reply(outputs, Layout.COLUMN) == {
        "outputs": {"label": [7, 3], "scores": [[0.5], [0.25]]}
    }


def test_outputs_named_bytes_are_base64() -> None:
    """String outputs whose name ends in `_bytes` are binary; others are text."""
    words = np.array([[b"hello"], [b"tf"]], dtype=object)

    assert rest_json.reply({"word_bytes": words}, Layout.ROW) == {
        "predictions": [[{"b64": "aGVsbG8="}], [{"b64": "dGY="}]]
    }
    assert rest_json.reply({"word": words}, Layout.ROW) == {"predictions": [["hello"], ["tf"]]}


def test_numbers_named_bytes_stay_numbers() -> None:
    """The suffix says something about strings only."""
    assert rest_json.reply({"size_bytes": np.array([3])}, Layout.ROW) == {"predictions": [3]}


def test_strings_that_are_no_text_are_base64_under_any_name() -> None:
    """Bytes that are no UTF-8 cannot stand in JSON otherwise."""
    assert rest_json.reply({"s": np.array([b"\xff", b"ok"], dtype=object)}, Layout.COLUMN) == {
        "outputs": [{"b64": "/w=="}, "ok"]
    }


def test_scalar_outputs_stand_in_columns_only() -> None:
    """What has no first dimension has no rows; the message says what to ask for."""
    scalar = {"loss": np.array(0.5), "y": np.array([1])}

    assert rest_json.reply(scalar, Layout.COLUMN) == {"outputs": {"loss": 0.5, "y": [1]}}
    with pytest.raises(InvalidJson, match="column format"):
        rest_json.reply(scalar, Layout.ROW)


def test_outputs_of_unequal_lengths_have_no_rows() -> None:
    """The message names each output's shape."""
    with pytest.raises(InvalidJson, match=r"a \[2, 3\], b \[1, 3\]"):
        rest_json.reply({"a": np.zeros((2, 3)), "b": np.zeros((1, 3))}, Layout.ROW)


def test_no_rows_are_an_empty_list() -> None:
    """An empty batch is answered by an empty list, be it one output or several."""
    assert rest_json.reply({"a": np.zeros((0, 2))}, Layout.ROW) == {"predictions": []}
    assert rest_json.reply({"a": np.zeros((0, 2)), "b": np.zeros((0, 1))}, Layout.ROW) == {"predictions": []}


def test_a_reply_without_outputs_is_refused() -> None:
    """As TensorFlow Serving does."""
    with pytest.raises(InvalidJson, match="no outputs"):
        rest_json.reply({}, Layout.ROW)


def test_complex_outputs_are_refused_by_name() -> None:
    """The output is named."""
    with pytest.raises(InvalidJson, match="output 'z'"):
        rest_json.reply({"z": np.zeros(1, np.complex64)}, Layout.COLUMN)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, ml_dtypes.bfloat16])
def test_narrow_floats_show_no_digits_that_they_do_not_have(dtype: Any) -> None:
    """A single-precision 0.2 is written 0.2, and non-finite numbers as JavaScript names them."""
    shown = json.dumps(rest_json.reply({"y": np.array([0.5, 3, np.nan, np.inf, -np.inf], dtype)}, Layout.ROW))

    assert shown == '{"predictions": [0.5, 3.0, NaN, Infinity, -Infinity]}'
    if dtype is np.float32:
        assert (
            json.dumps(rest_json.reply({"y": np.array([0.2, 3e-5], dtype)}, Layout.ROW))
            == '{"predictions": [0.2, 3e-05]}'
        )


@pytest.mark.parametrize("dtype", [t for t in DType if t is not DType.UNKNOWN and "COMPLEX" not in t.name])
@given(data=st.data())
def test_tensors_survive_the_way_through_json(dtype: DType, data: st.DataObject) -> None:
    """What is written in columns reads back as the same tensor, for every type that JSON can express."""
    shape = data.draw(st_numpy.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3))
    if dtype is DType.DT_STRING:
        size = int(np.prod(shape))
        array = np.empty(size, dtype=object)
        array[:] = data.draw(st.lists(st.binary(max_size=5), min_size=size, max_size=size))
        array = array.reshape(shape)
    elif dtype is DType.DT_BFLOAT16:
        array = data.draw(st_numpy.arrays(np.float16, shape)).astype(ml_dtypes.bfloat16)
    else:
        array = data.draw(st_numpy.arrays(dtype.numpy, shape))

    text = json.dumps({"inputs": {"x_bytes": rest_json.reply({"x_bytes": array}, Layout.COLUMN)["outputs"]}})
    back = rest_json.parse(text).tensors({"x_bytes": dtype})["x_bytes"]

    assert back.dtype == dtype.numpy
    assert back.shape == array.shape
    if dtype is DType.DT_STRING:
        assert back.tolist() == array.tolist()
    else:
        np.testing.assert_array_equal(back.astype(np.float64), array.astype(np.float64))
