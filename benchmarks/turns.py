"""Rounds: every contender once, then every one again, so that a slow minute of the machine hits all of them."""

from collections.abc import Callable, Mapping
from typing import TypeVar

T = TypeVar("T")


def in_turn(
    contenders: Mapping[str, Callable[[], T]], rounds: int, say: Callable[[T], str]
) -> dict[str, list[T]]:
    """Run each contender in each round; its results by its name. *say* tells one result in a line."""
    results: dict[str, list[T]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name, run in contenders.items():
            results[name].append(run())
            print(f"round {number + 1} of {rounds}: {name}: {say(results[name][-1])}", flush=True)
    return results
