"""Claims: a tensor whose data lies elsewhere, in requests and replies."""

import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies

from schemas import codec
from schemas.claim import (
    MOST_STRINGS,
    PREFIX,
    Claim,
    check_claims,
    claims_of,
    pieces_of,
    with_data,
    without_data,
)
from schemas.dtype import DType
from schemas.errors import Code, InvalidClaim, InvalidTensor
from schemas.predict_reply import PredictReply
from schemas.predict_request import PredictRequest
from schemas.request_decoder import RequestDecoder
from schemas.tensor import Tensor

NUMBERS = Tensor.from_numpy("x", np.arange(6, dtype=np.float32).reshape(2, 3))
STRINGS = Tensor.from_numpy("s", np.array([[b"one"], [b""], [b"\0three"]], dtype=object))
SHA = "sha256:" + "0" * 64


def claimed(tensor: Tensor, **changes: Any) -> PredictRequest:
    """A request whose one input lies elsewhere; *changes* are of the claim."""
    claim = replace(Claim.of_data("memory://in/x", pieces_of(tensor)), **changes)
    return PredictRequest(
        "m", inputs=(without_data(tensor),), id="r", parameters={PREFIX + tensor.name: claim.to_bytes()}
    )


def raw(request: PredictRequest) -> bytes:
    """The record, whether or not the request is sound."""

    class Unchecked(PredictRequest):
        def to_wire(self) -> dict[str, Any]:
            inputs = [
                {
                    "name": t.name,
                    "dtype": t.dtype.name,
                    "shape": list(t.shape),
                    "data": list(t.data) if isinstance(t.data, tuple) else bytes(t.data),
                }
                for t in self.inputs
            ]
            return {**PredictRequest("m", id=self.id, parameters={}).to_wire(), "inputs": inputs} | {
                "parameters": dict(self.parameters)
            }

    return codec.encode(Unchecked("m", inputs=request.inputs, id=request.id, parameters=request.parameters))


@pytest.mark.parametrize("tensor", [NUMBERS, STRINGS], ids=["numbers", "strings"])
def test_the_data_comes_back_as_it_was(tensor: Tensor) -> None:
    """What lies at the place of a claim makes the whole tensor again."""
    lying = b"".join(pieces_of(tensor))

    again = with_data(without_data(tensor), lying)

    assert again.to_numpy().tolist() == tensor.to_numpy().tolist()
    assert Claim.of_data("u", [lying]) == Claim.of_data("u", pieces_of(tensor))


def test_strings_lie_as_the_documentation_says() -> None:
    """Eight bytes for each length, little-endian, then the strings."""
    tensor = Tensor.from_numpy("s", np.array([b"ab", b"c"], dtype=object))

    assert b"".join(pieces_of(tensor)) == b"\2" + 7 * b"\0" + b"\1" + 7 * b"\0" + b"abc"


@pytest.mark.parametrize("tensor", [NUMBERS, STRINGS], ids=["numbers", "strings"])
def test_requests_and_replies_pass_the_codec(tensor: Tensor) -> None:
    """The record has no data, and both readers say what is claimed."""
    request = claimed(tensor)
    reply = PredictReply("m", 1, request.inputs, None, "r", request.parameters)

    assert codec.decode(codec.encode(request), PredictRequest) == request
    assert codec.decode(codec.encode(reply), PredictReply) == reply
    assert claims_of(request.parameters)[tensor.name].size_bytes == sum(map(len, pieces_of(tensor)))


def test_a_claimed_request_is_of_the_kind_of_its_neighbours() -> None:
    """It can be stacked with requests that brought their data; only those teach a layout."""
    decoder = RequestDecoder()
    plain = codec.encode(PredictRequest("m", inputs=(NUMBERS,), id="p"))

    blocks, rejected = decoder.decode([plain, codec.encode(claimed(NUMBERS)), plain])

    assert rejected == []
    with_claim = next(block for block in blocks if block.claims())
    assert {block.kind for block in blocks} == {with_claim.kind}
    assert with_claim.rows_each == 2
    assert with_claim.claims()["x"].uri == "memory://in/x"
    assert [block.claims() for block in blocks if block is not with_claim] == [{}]


def test_other_parameters_are_no_claims() -> None:
    """They are kept and mean nothing; data must then be in the record."""
    other = replace(claimed(NUMBERS), parameters={"colour": b"blue"})

    _, (rejected,) = RequestDecoder().decode([raw(other)])

    assert "takes 24 bytes of data, given 0" in str(rejected.error)


def without_name(value: dict[str, Any]) -> dict[str, Any]:
    """The claim without its uri."""
    return {name: each for name, each in value.items() if name != "uri"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda _: b"\xff", "no JSON object"),
        (lambda _: b"[" * 60_000, "no JSON object"),
        (lambda _: b"[]", "no JSON object"),
        (lambda _: b"{}", "no JSON object"),
        (lambda c: json.dumps(without_name(c)).encode(), "no JSON object"),
        (lambda c: json.dumps(c | {"uri": 7}).encode(), "the uri"),
        (lambda c: json.dumps(c | {"uri": ""}).encode(), "the uri"),
        (lambda c: json.dumps(c | {"uri": "file:///a\nb"}).encode(), "the uri"),
        (lambda c: json.dumps(c | {"uri": "file:///\ud800"}).encode(), "the uri"),
        (lambda c: json.dumps(c | {"bytes": True}).encode(), "the bytes"),
        (lambda c: json.dumps(c | {"bytes": -1}).encode(), "the bytes"),
        (lambda c: json.dumps(c | {"bytes": 24.0}).encode(), "the bytes"),
        (lambda c: json.dumps(c | {"bytes": 23}).encode(), "takes 24 bytes"),
        (lambda c: json.dumps(c | {"checksum": "md5:" + "0" * 32}).encode(), "the checksum"),
        (lambda c: json.dumps(c | {"checksum": SHA.upper()}).encode(), "the checksum"),
        (lambda c: json.dumps(c | {"checksum": SHA + "\n"}).encode(), "the checksum"),
    ],
)
def test_a_claim_that_cannot_be_read_is_answered(
    change: Callable[[dict[str, Any]], bytes], reason: str
) -> None:
    """The request is rejected with its id, and the reason names the tensor."""
    sound = claimed(NUMBERS)
    value = change(json.loads(sound.parameters[PREFIX + "x"]))

    _, (rejected,) = RequestDecoder().decode([raw(replace(sound, parameters={PREFIX + "x": value}))])

    assert isinstance(rejected.error, InvalidClaim)
    assert rejected.error.code is Code.INVALID_ARGUMENT
    assert rejected.request_id == b"r"
    assert rejected.model == "m"
    assert reason in str(rejected.error)
    assert "'x'" in str(rejected.error)


def test_what_a_claim_does_not_know_is_passed_over() -> None:
    """A later release may say more."""
    value = json.loads(claimed(NUMBERS).parameters[PREFIX + "x"]) | {"encoding": "none"}

    assert Claim.from_bytes("x", json.dumps(value).encode()).size_bytes == 24


def test_a_claim_without_its_tensor_is_refused() -> None:
    """Nobody would fetch it."""
    request = claimed(NUMBERS)

    with pytest.raises(InvalidClaim, match="no such tensor"):
        codec.encode(replace(request, inputs=()))


def test_a_tensor_has_its_data_in_one_place() -> None:
    """Data beside a claim would leave open which of them counts."""
    with pytest.raises(InvalidTensor, match="it has data as well"):
        codec.encode(replace(claimed(NUMBERS), inputs=(NUMBERS,)))


def test_dtype_and_shape_are_checked_as_ever() -> None:
    """A claim excuses no tensor that could not be."""
    huge = Tensor("x", DType.DT_FLOAT, (2**40,), b"")
    _, (rejected,) = RequestDecoder().decode([raw(replace(claimed(NUMBERS), inputs=(huge,)))])

    assert "overflows" in str(rejected.error)


def test_the_number_of_strings_is_bounded() -> None:
    """A string costs more memory than its bytes."""
    many = Tensor("s", DType.DT_STRING, (MOST_STRINGS + 1,), ())

    with pytest.raises(InvalidClaim, match="at most 65536 strings"):
        check_claims([many], {"s": Claim("u", 10**7, SHA)})


@pytest.mark.parametrize("lengths", [[3, 2], [2**64 - 1, 1], [0, 0]])
def test_lengths_of_strings_that_lie_are_told(lengths: list[int]) -> None:
    """They say more or less than there is."""
    lying = np.array(lengths, "<u8").tobytes() + b"abcd"

    with pytest.raises(InvalidClaim, match="not the lengths of 2 strings"):
        with_data(Tensor("s", DType.DT_STRING, (2,), ()), lying)


@given(strategies.binary(max_size=200) | strategies.text(max_size=100).map(str.encode))
def test_any_bytes_are_a_claim_or_refused(value: bytes) -> None:
    """Nothing else is ever raised."""
    with contextlib.suppress(InvalidClaim):
        claim = Claim.from_bytes("x", value)
        assert Claim.from_bytes("x", claim.to_bytes()) == claim


JSON = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.floats()
    | strategies.text(),
    lambda inner: (
        strategies.lists(inner, max_size=3) | strategies.dictionaries(strategies.text(), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(
    strategies.fixed_dictionaries(
        {"uri": JSON, "bytes": JSON, "checksum": JSON | strategies.just(SHA)},
    )
)
def test_any_members_are_a_claim_or_refused(members: dict[str, Any]) -> None:
    """Likewise for what is JSON."""
    with contextlib.suppress(InvalidClaim):
        claim = Claim.from_bytes("x", json.dumps(members).encode())
        assert (claim.uri, claim.size_bytes) == (members["uri"], members["bytes"])
