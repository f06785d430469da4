"""The client's encoder gives what the codec gives, also when it takes the short way."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from schemas.codec import encode
from schemas.dtype import DType
from schemas.errors import InvalidTensor, WireError
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from worker import client_requests
from worker.client_requests import RequestEncoder

NUMERIC = [t for t in DType if t not in {DType.UNKNOWN, DType.DT_STRING, DType.DT_BFLOAT16}]


def request(*arrays: Any, **fields: Any) -> PredictRequest:
    """A request with these inputs."""
    inputs = tuple(Tensor.from_numpy(f"x{i}", array) for i, array in enumerate(arrays))
    return PredictRequest("digits", inputs=inputs, **fields)


@given(data=st.data())
def test_every_request_is_encoded_as_the_codec_does(data: st.DataObject) -> None:
    """The first of its kind, and the second with other numbers."""
    encoder = RequestEncoder()
    layouts = data.draw(
        st.lists(
            st.tuples(st.sampled_from(NUMERIC), st_numpy.array_shapes(min_dims=0, min_side=0, max_side=70)),
            max_size=4,
        )
    )
    fields = data.draw(
        st.fixed_dictionaries(
            {
                "signature": st.text(max_size=3),
                "outputs": st.lists(st.text(max_size=3), max_size=2).map(tuple),
            },
            optional={"version": st.integers(0, 2**62), "label": st.none()},
        )
    )

    for seed in range(3):
        numbers = np.random.default_rng(seed)
        arrays = [
            np.frombuffer(numbers.bytes(int(np.prod(shape)) * dtype.itemsize), dtype.numpy).reshape(shape)
            for dtype, shape in layouts
        ]
        arrays = [a.view(np.uint8) % 2 == 1 if a.dtype == np.bool_ else a for a in arrays]
        asked = request(*arrays, **fields)
        assert encoder.encode(asked) == encode(asked)


def test_strings_go_the_long_way() -> None:
    """Their lengths differ from record to record."""
    encoder = RequestEncoder()
    for words in (["a", "bc"], ["abc", ""]):
        asked = request(np.zeros(2, np.float32), np.array(words))
        assert encoder.encode(asked) == encode(asked)


def test_many_inputs_go_the_long_way() -> None:
    """Their number takes more than one byte."""
    encoder = RequestEncoder()
    for number in (1, 2):
        asked = request(*[np.full(2, number)] * 70)
        assert encoder.encode(asked) == encode(asked)


def test_ids_and_parameters_go_the_long_way() -> None:
    """They stand behind the numbers."""
    encoder = RequestEncoder()
    for text in ("one", "three"):
        asked = request(np.zeros(2), id=text, parameters={"p": text.encode()})
        assert encoder.encode(asked) == encode(asked)


def test_a_tensor_that_lies_is_refused_also_the_second_time() -> None:
    """A template does not hide it."""
    encoder = RequestEncoder()
    encoder.encode(request(np.zeros(2, np.float32)))
    lying = PredictRequest("digits", inputs=(Tensor("x0", DType.DT_FLOAT, (2,), b"short"),))

    with pytest.raises(InvalidTensor):
        encoder.encode(lying)


@pytest.mark.parametrize("fields", [{"version": 1, "label": "stable"}, {"inputs": ("x", "x")}])
def test_contradictions_are_refused_each_time(fields: Any) -> None:
    """They never become a template."""
    encoder = RequestEncoder()
    if "inputs" in fields:
        fields = {"inputs": tuple(Tensor.from_numpy(name, np.zeros(1)) for name in fields["inputs"])}
    for _ in range(2):
        with pytest.raises(WireError):
            encoder.encode(PredictRequest("digits", **fields))


def test_kinds_without_end_do_not_fill_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that asks with another shape each time is served all the same."""
    monkeypatch.setattr(client_requests, "MOST_TEMPLATES", 10)
    encoder = RequestEncoder()
    for length in range(100):
        asked = request(np.zeros(length, np.float32))
        assert encoder.encode(asked) == encode(asked)

    assert len(encoder._templates) <= 10
