"""Which variant answers which key."""

import itertools
from collections import Counter

import numpy as np
import pytest

from schemas.traffic_shadow import TrafficShadow
from schemas.traffic_split import TrafficSplit
from worker.traffic_shares import ShadowShare, TrafficShares

KEYS = [b"user-%d" % n for n in range(100_000)]


def shares(text: str, model: str = "m") -> TrafficShares:
    """Those of a split."""
    return TrafficShares(model, TrafficSplit.parse(text))


def assigned(text: str, model: str = "m", keys: list[bytes] = KEYS) -> list[int]:
    """The variant of each key, all being there."""
    found = shares(text, model)
    return list(map(int, found.assign(keys, range(len(found.variants)))))


@pytest.mark.parametrize("text", ["1=95 2=5", "1=50 2=50", "1=0.1 2=0.8 3=0.1", "1=1 2=0 3=999"])
@pytest.mark.parametrize("form", ["user-%d", "%d", "%08x", "tenant/%d/device"])
def test_keys_are_divided_by_the_weights(text: str, form: str) -> None:
    """Whatever keys look like: those that differ in a digit are divided like any others."""
    keys = [(form % n).encode() for n in range(100_000)]
    split = shares(text)

    counted = Counter(split.assign(keys, range(len(split.variants))).tolist())

    total = sum(variant.weight for variant in split.variants)
    for n, variant in enumerate(split.variants):
        assert counted[n] / len(keys) == pytest.approx(variant.weight / total, abs=0.005)


def test_a_variant_that_grows_at_the_end_keeps_its_keys() -> None:
    """From 5 % to 50 % to all: whoever was with the canary stays with it."""
    steps = [np.array(assigned(text)) == 1 for text in ("1=95 2=5", "1=50 2=50", "1=1 2=99")]

    for fewer, more in itertools.pairwise(steps):
        assert not (fewer & ~more).any()
        assert fewer.sum() < more.sum()


def test_a_key_has_one_variant_on_every_worker_and_for_ever() -> None:
    """Pinned: a release that divides differently would let each key change its version."""
    keys = [b"", b"a", b"user-1", b"user-2", "schlüssel".encode(), bytes(100)]

    assert assigned("1=1 2=1 3=1 4=1", keys=keys) == [1, 3, 2, 0, 2, 2]


def test_models_try_their_versions_on_different_keys() -> None:
    """Else the same few users would get every canary."""
    one, other = (np.array(assigned("1=90 2=10", model)) == 1 for model in ("m", "n"))

    assert (one & other).mean() == pytest.approx(0.01, abs=0.003)


def test_keys_of_a_variant_that_is_not_there_are_divided_among_the_others() -> None:
    """By their weights; the keys of the others stay where they are."""
    split = shares("1=50 2=30 3=20")
    whole, without = split.assign(KEYS, [0, 1, 2]), split.assign(KEYS, [1, 2])

    assert (without[whole != 0] == whole[whole != 0]).all()
    astray = Counter(without[whole == 0].tolist())
    assert astray[1] / astray.total() == pytest.approx(0.6, abs=0.01)
    assert set(astray) == {1, 2}
    assert set(split.assign(KEYS, [2]).tolist()) == {2}


def shadowed(share: float, model: str = "m") -> set[int]:
    """The keys whose requests a shadow of that share has."""
    return set(ShadowShare(model, TrafficShadow(2, share)).chosen(KEYS))


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 1.0])
def test_a_shadow_has_its_share_of_the_keys(share: float) -> None:
    """And all of them where that is all."""
    assert len(shadowed(share)) / len(KEYS) == pytest.approx(share, abs=0.005)
    assert len(shadowed(1.0)) == len(KEYS)


def test_a_shadow_that_grows_keeps_its_keys() -> None:
    """Who compares replies sees the same users throughout."""
    assert shadowed(0.01) < shadowed(0.1) < shadowed(0.5)


def test_a_shadow_has_its_share_of_each_variant_of_a_split() -> None:
    """Else it would be tried on the users of one version alone."""
    variants, chosen = np.array(assigned("1=50 2=50")), shadowed(0.2)
    of_first = [n in chosen for n in np.flatnonzero(variants == 0).tolist()]

    assert np.mean(of_first) == pytest.approx(0.2, abs=0.01)


def test_models_have_their_shadows_tried_on_different_keys() -> None:
    """As with splits."""
    assert len(shadowed(0.1) & shadowed(0.1, "n")) / len(KEYS) == pytest.approx(0.01, abs=0.003)


def test_a_shadows_keys_are_the_same_on_every_worker_and_for_ever() -> None:
    """Pinned, as those of a split are."""
    assert ShadowShare("m", TrafficShadow(2, 0.25)).chosen(KEYS[:20]) == [0, 6, 9, 10, 11, 17, 18, 19]
