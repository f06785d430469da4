"""How requests that name neither version nor label are divided among versions: the `split` of a model's config.

As text it is one `TARGET=WEIGHT` after the other, in the order in which they share out the requests:
`stable=95 canary=5`. A target of digits only is a version, any other one a label.
"""

import contextlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

MOST_VARIANTS = 100
"""Of one model; each is looked at for every block of requests."""
MOST_WEIGHT = 1e9


@dataclass(frozen=True, slots=True)
class Variant:
    """One part of the requests.

    Attributes:
        target: the version, or the label, that answers it.
        weight: how large it is, by the sum of all weights; 0 for none.
    """

    target: int | str
    weight: float

    def __str__(self) -> str:
        return f"{self.target}={weight_text(self.weight)}"


@dataclass(frozen=True, slots=True)
class TrafficSplit:
    """All parts, in their order. What it is made of is checked when it is made.

    Raises:
        ValueError: there are too many, nothing has a weight, one is out of range, or a target is there twice.
    """

    variants: tuple[Variant, ...]

    def __post_init__(self) -> None:
        if len(self.variants) > MOST_VARIANTS:
            raise ValueError(f"{len(self.variants):,} targets; at most {MOST_VARIANTS} are allowed")
        targets = self.targets
        for variant in self.variants:
            if not (math.isfinite(variant.weight) and 0 <= variant.weight <= MOST_WEIGHT):
                raise ValueError(f"the weight of {variant.target} is {variant.weight:g}; expected 0 to 1e9")
            if targets.count(variant.target) > 1:
                raise ValueError(f"{variant.target} is there twice")
        if not any(variant.weight for variant in self.variants):
            raise ValueError("nothing has a weight above 0")

    @classmethod
    def of(cls, parts: Iterable[tuple[str, float]]) -> Self:
        """The split of targets, as text, and weights. Raises `ValueError` as the class does."""
        return cls(tuple(Variant(target_of(target), weight) for target, weight in parts))

    @classmethod
    def parse(cls, text: str) -> Self:
        """What `str` has written.

        Raises:
            ValueError: it means nothing; the message says what was expected.
        """
        return cls.of(map(part_of, text.split()))

    @property
    def targets(self) -> tuple[int | str, ...]:
        """The versions and labels that are named, also those of no weight."""
        return tuple(variant.target for variant in self.variants)

    def __str__(self) -> str:
        return " ".join(map(str, self.variants))


def target_of(text: str) -> int | str:
    """The version or the label that a target means."""
    return int(text) if text.isascii() and text.isdecimal() else text


def part_of(text: str) -> tuple[str, float]:
    """One `TARGET=WEIGHT`. Raises `ValueError` where it is none."""
    target, equals, weight = text.partition("=")
    if target and equals:
        with contextlib.suppress(ValueError):
            return target, float(weight)
    raise ValueError(f"{text!r} is not understood; expected TARGET=WEIGHT, as in stable=95 or 3=5")


def weight_text(weight: float) -> str:
    """A weight, without a fraction where it has none."""
    return str(int(weight)) if weight == int(weight) else repr(weight)
