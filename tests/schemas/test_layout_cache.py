"""The layout cache: bounded, and forgetting what was not used for longest."""

import numpy as np

from schemas import layout as layouts
from schemas.codec import default_codec, encode
from schemas.layout import MOST_CONSTANT_BYTES, Layout, learn
from schemas.layout_cache import MOST_LENGTHS, MOST_VARIANTS, LayoutCache
from schemas.layout_matcher import LayoutMatcher
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor


def value_of(model: str = "m", second_width: int = 1) -> bytes:
    """A request; the second input's width lies behind the head."""
    inputs = tuple(
        Tensor.from_numpy(name, np.zeros((1, width), "<f4"))
        for name, width in (("x", 1), ("y", second_width))
    )
    return encode(PredictRequest(model, inputs=inputs, id="a"))


def learnt(value: bytes) -> Layout | None:
    """What a value teaches."""
    return learn(value, *default_codec().decode_marked(value, PredictRequest), 100)


def known(cache: LayoutCache, value: bytes) -> bool:
    """Whether the cache recognises a value."""
    return bool(LayoutMatcher(cache).match([value], [0])[0])


def test_the_layout_not_used_for_longest_goes_first() -> None:
    """Past its bound the cache forgets the layout whose last use is longest ago."""
    cache = LayoutCache(max_layouts=2)
    one, two, three = (value_of(model) for model in ("a", "bb", "ccc"))
    for value in (one, two):
        layout = learnt(value)
        assert layout is not None
        cache.add(layout)

    assert known(cache, one)
    layout = learnt(three)
    assert layout is not None
    cache.add(layout)

    assert [known(cache, value) for value in (one, two, three)] == [True, False, True]
    assert len(cache) == 2


def test_what_is_not_recognised_is_given_back_in_order() -> None:
    """Values of known heads that turn out to be something else keep their order among the others."""
    cache = LayoutCache(max_layouts=10)
    for model in "ab":
        layout = learnt(value_of(model))
        assert layout is not None
        cache.add(layout)
    unlike = [value_of(model, second_width=2) for model in "aba"]

    matches, left = LayoutMatcher(cache).match([*unlike, value_of("b"), b"garbage", *unlike], list(range(8)))

    assert [match.positions for match in matches] == [[3]]
    assert left == [0, 1, 2, 4, 5, 6, 7]


def test_bytes_are_bounded() -> None:
    """Large layouts are kept in smaller numbers."""
    layout = learnt(value_of())
    assert layout is not None
    cache = LayoutCache(max_layouts=1000, max_bytes=3 * layout.constant_bytes)
    for n in range(20):
        more = learnt(value_of(chr(ord("a") + n)))
        assert more is not None
        cache.add(more)

    assert len(cache) == 3


def test_a_layout_learnt_twice_is_kept_once() -> None:
    """Learning what is known changes nothing."""
    cache = LayoutCache(max_layouts=10)
    for _ in range(3):
        layout = learnt(value_of())
        assert layout is not None
        cache.add(layout)

    assert len(cache) == 1


def test_variants_of_one_head_are_bounded() -> None:
    """Layouts that differ behind the head only are tried in turn, and so are few."""
    cache = LayoutCache(max_layouts=1000)
    for width in range(1, 3 * MOST_VARIANTS):
        layout = learnt(value_of(second_width=width))
        assert layout is not None
        cache.add(layout)

    assert len(cache) == MOST_VARIANTS
    assert known(cache, value_of(second_width=3 * MOST_VARIANTS - 1))
    assert not known(cache, value_of(second_width=1))


def test_a_very_large_layout_is_not_learnt() -> None:
    """A request whose names take much room is read by the general decoder each time."""
    assert learnt(value_of("m" * MOST_CONSTANT_BYTES)) is None
    assert learnt(value_of("m" * (MOST_CONSTANT_BYTES // 2))) is not None


def test_a_flood_of_lengths_hides_no_layout_for_long() -> None:
    """A layout behind more lengths of heads than are tried is tried again as soon as it is learnt again."""
    cache = LayoutCache(max_layouts=1000)
    for size in range(1, MOST_LENGTHS + 2):
        layout = learnt(value_of("m" * size))
        assert layout is not None
        cache.add(layout)
    hidden = value_of("m")
    assert not known(cache, hidden)

    layout = learnt(hidden)
    assert layout is not None
    cache.add(layout)

    assert known(cache, hidden)


def test_of_a_layout_that_is_not_learnt_nothing_is_kept() -> None:
    """Requesters make up names as long as a record, and another for each."""
    layouts._one_object.cache_clear()

    assert learnt(value_of("m" * MOST_CONSTANT_BYTES)) is None

    assert layouts._one_object.cache_info().currsize == 0
