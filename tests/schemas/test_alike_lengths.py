"""Records of many layouts and few lengths, sorted by a hash of what they begin with."""

import numpy as np
import numpy.typing as npt
import pytest

from schemas import alike_lengths, head_order
from schemas.codec import default_codec, encode
from schemas.layout import learn
from schemas.layout_cache import LayoutCache
from schemas.layout_match import FEW, Match
from schemas.layout_matcher import LayoutMatcher
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor

MANY = 2 * FEW
"""Records of one length that are enough for these tests."""


def value_of(model: str, request_id: str = "id", width: int = 2, name: str = "x") -> bytes:
    """A request of one row."""
    inputs = (Tensor.from_numpy(name, np.full((1, width), 7, "<f4")),)
    return encode(PredictRequest(model, inputs=inputs, id=request_id))


def knows(*values: bytes) -> LayoutMatcher:
    """A matcher that has seen these."""
    cache = LayoutCache(max_layouts=100)
    for value in values:
        layout = learn(value, *default_codec().decode_marked(value, PredictRequest), 100)
        assert layout is not None
        cache.add(layout)
    return LayoutMatcher(cache, MANY)


def found(matcher: LayoutMatcher, values: list[bytes]) -> tuple[dict[str, list[int]], list[int]]:
    """The positions of what was recognised, by model; and of the others."""
    matches, left = matcher.match(values, range(len(values)))
    positions: dict[str, list[int]] = {}
    for match in matches:
        positions.setdefault(
            match.layout.kind.model if isinstance(match, Match) else match.kind.model, []
        ).extend(match.positions)
    return positions, list(left)


def test_layouts_of_one_length_are_told_apart_and_keep_their_order() -> None:
    """Record by record mixed; each match has its records as rows, and their ids."""
    models = [f"model-{n}" for n in range(4)]
    matcher = knows(*map(value_of, models))
    values = [value_of(models[n % 4], f"{n:04}") for n in range(4 * MANY)]

    matches, left = matcher.match(values, range(len(values)))

    assert list(left) == []
    assert len(matches) == 4
    for match in matches:
        assert isinstance(match, Match)
        positions = list(match.positions)
        assert positions == list(range(positions[0], len(values), 4))
        assert match.matrix is not None
        assert [row.tobytes() for row in match.matrix] == [values[position] for position in positions]
        assert list(match.ids) == [b"%04d" % position for position in positions]
        assert match.layout.kind.model == models[positions[0]]


def test_heads_of_several_lengths_in_records_of_one_length() -> None:
    """A longer name, and an id that is as much shorter: found one length of heads after the other."""
    short, long = (
        [value_of("m", "123456789") for _ in range(MANY)],
        [value_of("m-longer", "12") for _ in range(MANY)],
    )
    assert len(short[0]) == len(long[0])
    values = [value for pair in zip(short, long, strict=True) for value in pair]

    positions, left = found(knows(short[0], long[0]), values)

    assert positions == {"m": list(range(0, 2 * MANY, 2)), "m-longer": list(range(1, 2 * MANY, 2))}
    assert left == []


def test_heads_that_differ_in_their_last_byte_or_high_in_a_word_are_not_one() -> None:
    """Every byte of a head is hashed, and none is lost by the product."""
    matrix = np.zeros((41, 48), np.uint8)
    for n in range(40):
        matrix[n + 1, n] = 1

    order, groups = head_order.by_head(matrix, 40)

    assert sorted(order.tolist()) == list(range(41))
    assert [end - start for start, end in groups] == [1] * 41


def test_equal_heads_are_one_group_in_their_order() -> None:
    """What lies behind the head does not count."""
    matrix = np.tile(np.arange(3, dtype=np.uint8), 5)[:, np.newaxis].repeat(20, axis=1)
    matrix[:, 17:] = np.arange(15)[:, np.newaxis]

    order, groups = head_order.by_head(matrix, 17)

    assert sorted(order[start:end].tolist() for start, end in groups) == [
        list(range(n, 15, 3)) for n in range(3)
    ]


@pytest.mark.parametrize("each", [1, FEW - 1, FEW, MANY])
def test_groups_of_several_heads_are_told_apart(each: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever makes up names that have one hash gains nothing but a slower look at them."""

    def by_no_head(
        matrix: npt.NDArray[np.uint8], _length: int
    ) -> tuple[npt.NDArray[np.intp], list[tuple[int, int]]]:
        records = len(matrix)
        return np.arange(records), [(start, min(start + each, records)) for start in range(0, records, each)]

    monkeypatch.setattr(alike_lengths, "by_head", by_no_head)
    models = [f"model-{n}" for n in range(4)]
    values = [value_of(model, f"{n:04}") for n in range(MANY) for model in models]
    values[-2] = value_of("nowhere", "1234")
    assert len(values[-2]) == len(values[0])

    positions, left = found(knows(*map(value_of, models)), values)

    last = len(values)
    assert positions == {
        model: [p for p in range(n, last, 4) if p != last - 2] for n, model in enumerate(models)
    }
    assert left == [last - 2]


def test_what_is_unknown_or_ends_otherwise_is_left() -> None:
    """An unknown model, a cut end, another input: of the same length as what is known."""
    known, other = value_of("known", "12345"), value_of("other", "12345")
    unknown, renamed = value_of("where", "12345"), value_of("known", "12345", name="y")
    wrong_end = known[:-1] + b"\1"
    assert {len(value) for value in (known, other, unknown, renamed, wrong_end)} == {len(known)}
    values = [known, other] * MANY
    values[4], values[7], values[9] = unknown, renamed, wrong_end

    positions, left = found(knows(known, other), values)

    assert left == [4, 7, 9]
    assert positions["known"] == [n for n in range(0, 2 * MANY, 2) if n != 4]
    assert positions["other"] == [n for n in range(1, 2 * MANY, 2) if n not in {7, 9}]


def test_few_records_of_each_layout_go_together_with_their_kind() -> None:
    """Requests of several numbers of rows and of one length, a few of each."""
    values = []
    for rows in (1, 2, 4, 8):
        inputs = (Tensor.from_numpy("x", np.zeros((rows, 8 // rows), "<u1")),)
        values += [encode(PredictRequest("m", inputs=inputs, id=f"{n:02}")) for n in range(FEW - 1)]
    assert len(set(map(len, values))) == 1
    matcher = knows(*values[:: FEW - 1])

    matches, left = matcher.match(values, range(len(values)))

    assert list(left) == []
    assert sorted(p for match in matches for p in match.positions) == list(range(len(values)))


def test_long_heads_and_many_lengths_are_looked_at_one_by_one() -> None:
    """The other way recognises them as well."""
    long_name = "n" * (head_order.LONGEST_HEAD + 1)
    matcher = knows(
        value_of("a", name=long_name), value_of("b", name=long_name), value_of("a"), value_of("b")
    )
    values = [value_of("ab"[n % 2], "i" * (n % 50 + 1)) for n in range(4 * MANY)]
    values += [value_of("ab"[n % 2], name=long_name) for n in range(4 * MANY)]

    positions, left = found(matcher, values)

    assert left == []
    assert len(positions["a"]) == len(positions["b"]) == 4 * MANY
