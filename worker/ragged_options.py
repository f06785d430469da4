"""How ragged dimensions are padded, as the settings or a model's config say it, whatever the model's inputs are."""

import itertools
from collections.abc import Iterator
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
        raise ValueError(f"ragged is {text[:32]!r}; expected off, on, or sizes, as in 32,64,128")
    return tuple(map(int, parts))


def problems(ragged: str | None, pad_values: tuple[str, ...] | None) -> Iterator[str]:
    """What is wrong with what a model says."""
    try:
        sizes = None if ragged is None else sizes_of(ragged)
    except ValueError as error:
        yield str(error)
        return
    if sizes is not None and len(sizes) > MOST_SIZES:
        yield f"ragged has {len(sizes):,} sizes; at most {MOST_SIZES:,}"
        return
    for problem in RaggedOptions(buckets=sizes or ()).problems():
        yield f"ragged is {str(ragged)[:32]!r}: {problem}"
    for problem in RaggedOptions(pad_values=pad_values or ()).problems():
        yield f"ragged_pad_values: {problem}"
