"""From a long way to a fault to a short one."""

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def reduced(
    batches: Sequence[Sequence[T]], differs: Callable[[list[Sequence[T]]], bool]
) -> list[Sequence[T]]:
    """The fewest values, in the fewest batches, that a greedy search finds to differ still.

    Args:
        batches: what a new decoder, or a new worker, was given when it differed.
        differs: whether a new one that is given these batches differs.
    """
    left = _fewer(list(batches), differs)
    for at in range(len(left)):
        before, after = left[:at], left[at + 1 :]
        left[at] = _fewer(list(left[at]), lambda values: differs([*before, values, *after]))  # noqa: B023  # called at once
    return [values for values in left if values]


def _fewer(items: list[T], differs: Callable[[list[T]], bool]) -> list[T]:
    """What is left when chunks are taken away as long as it differs, large ones first."""
    size = max(1, len(items) // 2)
    while True:
        at = 0
        while at < len(items):
            fewer = items[:at] + items[at + size :]
            if differs(fewer):
                items = fewer
            else:
                at += size
        if size == 1:
            return items
        size = max(1, size // 2)
