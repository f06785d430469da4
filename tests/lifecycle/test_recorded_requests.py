"""Recorded requests, and what a signature makes of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batching import merging
from lifecycle import errors
from lifecycle.recorded_requests import BoundRequest, RecordedRequest, bind
from lifecycle.signature import Signature, TensorSpec
from tests.fakes.servables import AddingServable
from tests.kit.numpy_models import rows

ROWS = Signature(
    "s",
    "",
    {"x": TensorSpec("x", "DT_FLOAT", (None, 2)), "w": TensorSpec("w", "DT_STRING", (None,))},
    {"y": TensorSpec("y", "DT_FLOAT", (None,))},
)


def request(
    outputs: tuple[str, ...] = (), signature: str = "serving_default", **inputs: Any
) -> RecordedRequest:
    """A request with these arrays, whatever the signature."""
    return RecordedRequest("record 3", signature, lambda _signature: inputs, outputs)


def bound(signature: Signature = ROWS, **inputs: Any) -> BoundRequest:
    """A request that fits."""
    return BoundRequest("record 3", signature, inputs, ())


@pytest.mark.parametrize(
    ("recorded", "said"),
    [
        (request(signature="other", x=np.zeros((1, 2), "f4")), "signature 'other' does not exist"),
        (request(z=np.zeros((1, 2), "f4")), "missing: 'x', not known: 'z'"),
        (request(x=np.zeros((1, 2), "f8")), "the dtype differs"),
        (request(x=np.zeros((1, 3), "f4")), "dimension 1 differs"),
        (request(("nothing",), x=np.zeros((1, 2), "f4")), "has no output 'nothing'"),
    ],
)
def test_a_request_that_does_not_fit_is_refused_with_its_place(recorded: RecordedRequest, said: str) -> None:
    """As the same request would be from a topic."""
    with pytest.raises(errors.InvalidInput, match=f"^record 3: .*{said}"):
        bind(recorded, AddingServable(1))


def test_a_request_is_told_the_signature_that_it_is_for() -> None:
    """It may need its dtypes, or the name of its only input."""
    told: list[Signature] = []

    def inputs(signature: Signature) -> Mapping[str, Any]:
        told.append(signature)
        return {"x": np.zeros((1, 2), np.float32)}

    servable = AddingServable(1)
    found = bind(RecordedRequest("p", "serving_default", inputs, ("y",)), servable)

    assert told == [servable.signatures["serving_default"]]
    assert (found.signature, found.outputs, found.rows) == (told[0], ("y",), 1)


def test_rows_are_counted_where_they_can_be_added() -> None:
    """Not where inputs differ, where there is none, or where a signature fixes them."""
    x, w = np.zeros((3, 2), np.float32), rows(b"a", b"b", b"c")
    fixed = Signature("s", "", {"x": TensorSpec("x", "DT_FLOAT", (3, 2))}, {})

    assert bound(x=x, w=w).rows == 3
    assert bound(x=x, w=w[:2]).rows is None
    assert bound(x=x[:0], w=w[:0]).rows is None
    assert bound(fixed, x=x).rows is None


@given(given_rows=st.integers(1, 9), wanted=st.integers(1, 20))
def test_rows_are_padded_as_those_of_a_batch(given_rows: int, wanted: int) -> None:
    """The last one again and again; fewer are the first ones."""
    x = np.arange(2 * given_rows, dtype=np.float32).reshape(given_rows, 2)
    w = rows(*[b"%d" % n for n in range(given_rows)])
    kept = min(given_rows, wanted)

    found = bound(x=x, w=w).with_rows(wanted)

    for name, array in {"x": x, "w": w}.items():
        expected = merging.merge([array[:kept]], wanted)
        assert found[name].dtype == expected.dtype
        assert found[name].tolist() == expected.tolist()
