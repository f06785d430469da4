"""Rounds: every contender once, then every one again, so that a slow minute of the machine hits all of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

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


def listed(
    results: Mapping[str, Sequence[T]], figures: Callable[[T], Mapping[str, Any]], called: str = "contender"
) -> list[dict[str, Any]]:
    """Every single run with its round, for the JSON file; *called* is the key of the contenders' names."""
    return [
        {called: name, "round": number, **figures(result)}
        for name, of_one in results.items()
        for number, result in enumerate(of_one, 1)
    ]
