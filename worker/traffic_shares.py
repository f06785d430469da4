"""Which version of a split model answers a request: by its key, so that what belongs together stays together.

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
        return [
            replace(kind, label=target) if isinstance(target, str) else replace(kind, version=target)
            for target in (variant.target for variant in self.variants)
        ]

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
