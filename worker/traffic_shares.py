"""Who answers a request of a split model, and what a shadow is given: by keys, so what belongs together stays so.

A key's place between 0 and 1 is the same on every worker and for ever, and each variant has a span of places, in the
order of the split. So a variant that is listed last and grows keeps the keys that it has, and takes more. Places differ
from model to model, so that not the same keys are tried on in all of them.
"""

import zlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import repeat
from typing import TYPE_CHECKING, Self

import numpy as np

from schemas.model_config import ModelConfig
from schemas.request_kind import RequestKind
from schemas.traffic_shadow import TrafficShadow
from schemas.traffic_split import TrafficSplit, Variant

if TYPE_CHECKING:
    import numpy.typing as npt

_PLACES = 2.0**32
_ELSEWHERE = np.uint32(0x9E3779B9)


class TrafficShares:
    """A model's split, ready for use; immutable, so any thread may ask it.

    Attributes:
        variants: those that have a weight.
    """

    __slots__ = ("_salt", "_weights", "variants")

    def __init__(self, model: str, split: TrafficSplit) -> None:
        self.variants: tuple[Variant, ...] = tuple(each for each in split.variants if each.weight)
        self._weights = np.array([variant.weight for variant in self.variants])
        self._salt = zlib.crc32(model.encode())

    @classmethod
    def of(cls, model: str, config: ModelConfig) -> Self | None:
        """The shares of a valid config; None where it has no split."""
        return None if config.split is None else cls(model, TrafficSplit.parse(config.split))

    def kinds(self, kind: RequestKind) -> list[RequestKind]:
        """What requests that name neither version nor label ask for in each variant."""
        return [_aimed(kind, variant.target) for variant in self.variants]

    def assign(self, keys: Sequence[bytes], there: Sequence[int]) -> "npt.NDArray[np.intp]":
        """The variant of each key, by its number in `variants`.

        Args:
            keys: what requests stick by.
            there: the variants that can answer, ascending, at least one. The keys of others are divided among these by
                their weights, and come back to their own as soon as that is there.
        """
        if len(there) == 1:
            return np.full(len(keys), there[0], np.intp)
        sums = np.fromiter(map(zlib.crc32, keys, repeat(self._salt)), np.uint32, len(keys))
        chosen = _by_weight(_mixed(sums), self._weights)
        if len(there) < len(self.variants):
            among = np.array(there, np.intp)
            astray = ~np.isin(chosen, among)
            elsewhere = _by_weight(_mixed(sums[astray] ^ _ELSEWHERE), self._weights[among])
            chosen[astray] = among[elsewhere]
        return chosen


class ShadowShare:
    """The part of a model's requests that another version is tried on; immutable, so any thread may ask it.

    It depends on keys as a split does, and not on the split: it has its share of the requests of each variant.

    Attributes:
        topic: where the other version's replies go; None: nowhere.
    """

    __slots__ = ("_places", "_salt", "_target", "topic")

    def __init__(self, model: str, shadow: TrafficShadow) -> None:
        self.topic = shadow.topic
        self._target = shadow.target
        self._places = shadow.share * _PLACES
        self._salt = zlib.crc32(b"shadow of " + model.encode())

    @classmethod
    def of(cls, model: str, config: ModelConfig) -> Self | None:
        """The share of a valid config; None where it has no shadow."""
        return None if config.shadow is None else cls(model, TrafficShadow.parse(config.shadow))

    def kind(self, kind: RequestKind) -> RequestKind:
        """What requests that name neither version nor label would ask for if they asked for the shadow."""
        return _aimed(kind, self._target)

    def chosen(self, keys: Sequence[bytes]) -> list[int]:
        """The numbers of the keys whose requests are its; a larger share has those of a smaller one, and more."""
        sums = np.fromiter(map(zlib.crc32, keys, repeat(self._salt)), np.uint32, len(keys))
        found: list[int] = np.flatnonzero(_mixed(sums) < self._places).tolist()
        return found


def _aimed(kind: RequestKind, target: int | str) -> RequestKind:
    """The same kind, for a version or a label."""
    return replace(kind, label=target) if isinstance(target, str) else replace(kind, version=target)


def _by_weight(
    places: "npt.NDArray[np.uint32]", weights: "npt.NDArray[np.float64]"
) -> "npt.NDArray[np.intp]":
    """In whose span each place lies."""
    ends = np.cumsum(weights)[:-1] / weights.sum() * _PLACES
    return np.searchsorted(ends, places, side="right").astype(np.intp, copy=False)


def _mixed(sums: "npt.NDArray[np.uint32]") -> "npt.NDArray[np.uint32]":
    """Checksums of keys that differ in a digit lie at regular distances; mixed they lie anywhere.

    Source: the finalizer of MurmurHash3 (Austin Appleby, public domain).
    """
    mixed = sums ^ (sums >> np.uint32(16))
    mixed *= np.uint32(0x85EBCA6B)
    mixed ^= mixed >> np.uint32(13)
    mixed *= np.uint32(0xC2B2AE35)
    mixed ^= mixed >> np.uint32(16)
    return mixed
