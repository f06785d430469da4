"""How ragged dimensions are padded, as the settings or a model's config say it, whatever the model's inputs are."""

import itertools
from typing import NamedTuple

OFF, ON = "off", "on"
MOST_SIZES = 1000
MOST_DIGITS = 9


class RaggedOptions(NamedTuple):
    """See `worker.ragged_inputs`, which applies them.

    Attributes:
        buckets: sizes to pad to, increasing; empty: the largest of the batch.
        pad_values: `INPUT=VALUE`, for inputs that are not padded with zero, False or an empty string.
    """

    buckets: tuple[int, ...] = ()
    pad_values: tuple[str, ...] = ()

    def problems(self) -> list[str]:
        """What is wrong with them, for any model."""
        found = [
            f"{text[:64]!r} is no pad value; expected INPUT=VALUE"
            for text in self.pad_values
            if text.find("=") < 1
        ]
        if any(bucket < 1 for bucket in self.buckets):
            found.append("sizes must be at least 1")
        if any(a >= b for a, b in itertools.pairwise(self.buckets)):
            found.append("the sizes must increase")
        return found


def sizes_of(text: str) -> tuple[int, ...] | None:
    """The sizes that a model says: none for `on`; None in their place: it is `off`.

    Raises:
        ValueError: it is neither of them, nor sizes.
    """
    if text in (OFF, ON):
        return None if text == OFF else ()
    parts = text.split(",")
    if not all(part.isascii() and part.isdecimal() and len(part) <= MOST_DIGITS for part in parts):
        raise ValueError(f"{text[:32]!r}; expected off, on, or sizes, as in 32,64,128")
    if len(parts) > MOST_SIZES:
        raise ValueError(f"{len(parts):,} sizes; at most {MOST_SIZES:,} are allowed")
    sizes = tuple(map(int, parts))
    for problem in RaggedOptions(buckets=sizes).problems():
        raise ValueError(f"{text[:32]!r}: {problem}")
    return sizes


def mode_of(text: str) -> str:
    """The same text, which says `off`, `on` or sizes. Raises ValueError as `sizes_of` does."""
    sizes_of(text)
    return text


def pad_values_of(text: str) -> list[str]:
    """What a model says, `INPUT=VALUE` on each line.

    Raises:
        ValueError: a line says something else.
    """
    values = text.splitlines()
    for problem in RaggedOptions(pad_values=tuple(values)).problems():
        raise ValueError(problem)
    return values
