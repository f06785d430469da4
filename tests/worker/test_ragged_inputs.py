"""What pads an input, by the text that says it, and which dimensions are padded at all."""

from typing import Any

import pytest

from lifecycle.signature import Signature, TensorSpec
from schemas.dtype import DType
from schemas.request_kind import RequestKind, TensorLayout
from worker.ragged_inputs import ANY_SIZE, of_kind, pad_value
from worker.ragged_options import RaggedOptions

MOST_BYTES = 1000


def signature(*shapes: tuple[int | None, ...]) -> Signature:
    """Inputs `x0`, `x1` … of these shapes."""
    inputs = {f"x{n}": TensorSpec(f"x{n}", "DT_INT32", shape) for n, shape in enumerate(shapes)}
    return Signature("s", "predict", inputs, {"y": TensorSpec("y", "DT_INT32", (None,))})


def kind(*inner_shapes: tuple[int, ...]) -> RequestKind:
    """Requests with these shapes after their rows."""
    inputs = tuple(TensorLayout(f"x{n}", DType.DT_INT32, shape) for n, shape in enumerate(inner_shapes))
    return RequestKind("m", None, None, "s", (), inputs)


def test_only_dimensions_that_the_signature_leaves_open_are_ragged() -> None:
    """The others tell queues apart as ever."""
    found = of_kind(
        RaggedOptions((8,)), signature((None, None, 3), (None, 2)), kind((5, 3), (2,)), MOST_BYTES
    )

    assert found is not None
    assert [each.inner_shape for each in found.inputs] == [(ANY_SIZE, 3), (2,)]
    assert found.ragged.inner_shape("x0", [(5, 3)]) == (8, 3)
    assert found.ragged.inner_shape("x1", [(2,)]) == (2,)


@pytest.mark.parametrize("shapes", [[(None, 3)], [(None,)], [(3, None)]])
def test_where_nothing_is_open_nothing_is_ragged(shapes: list[Any]) -> None:
    """Fixed dimensions, no dimension at all, and signatures that are not batchable."""
    assert of_kind(RaggedOptions(), signature(*shapes), kind((3,)), MOST_BYTES) is None


def test_kinds_that_differ_in_lengths_share_a_queue() -> None:
    """What tells queues apart is one object, so that comparing it costs nothing."""
    options, of = RaggedOptions(pad_values=("x0=1",)), signature((None, None))
    first, second = (of_kind(options, of, kind((length,)), MOST_BYTES) for length in (3, 4))

    assert first is second is not None
    assert hash(first) == hash(second)


@pytest.mark.parametrize(("length", "row_bytes"), [(0, 0), (1, 32), (8, 32), (9, 64), (16, 64), (100, 512)])
def test_bytes_of_a_row_are_padded_and_a_power_of_two(length: int, row_bytes: int) -> None:
    """By the bucket of 8, or their own length; so few lengths bound a batch otherwise."""
    buckets = (8,) if length else ()
    found = of_kind(RaggedOptions(buckets), signature((None, None)), kind((length,)), MOST_BYTES)

    assert found is not None
    assert found.row_bytes(kind((length,))) == row_bytes


@pytest.mark.parametrize(
    ("text", "dtype", "value"),
    [
        ("-1", DType.DT_INT64, -1),
        ("0.5", DType.DT_FLOAT, 0.5),
        ("1", DType.DT_BFLOAT16, 1.0),
        ("TRUE", DType.DT_BOOL, True),
        ("false", DType.DT_BOOL, False),
        ("", DType.DT_STRING, b""),
        ("ü=", DType.DT_STRING, "ü=".encode()),
    ],
)
def test_a_pad_value_is_read_by_its_inputs_dtype(text: str, dtype: DType, value: object) -> None:
    """Strings are UTF-8."""
    assert pad_value(text, dtype) == value


@pytest.mark.parametrize(
    ("text", "dtype"),
    [("x", DType.DT_INT64), ("0.5", DType.DT_INT64), ("", DType.DT_FLOAT), ("1", DType.DT_BOOL)],
)
def test_a_pad_value_of_another_dtype_is_none(text: str, dtype: DType) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError):  # noqa: PT011 - Python's own words
        pad_value(text, dtype)


@pytest.mark.parametrize("text", ["x0=5000000000", "x0=x"])
def test_a_pad_value_that_does_not_fit_pads_nothing(text: str, caplog: pytest.LogCaptureFixture) -> None:
    """The log says which inputs."""
    assert of_kind(RaggedOptions(pad_values=(text,)), signature((None, None)), kind((3,)), MOST_BYTES) is None
    assert [record.__dict__["inputs"] for record in caplog.records] == ["x0"]
