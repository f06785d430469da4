"""Finds scenarios: each module of `benchmarks.scenarios` is one, by its name."""

import importlib
import pkgutil
from typing import cast

from benchmarks import scenarios
from benchmarks.scenario import Scenario


class UnknownScenario(LookupError):
    """No module of that name; the message has the names that there are."""


def names() -> list[str]:
    """Every scenario's name, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(scenarios.__path__))


def scenario(name: str) -> Scenario:
    """The scenario of that name.

    Raises:
        UnknownScenario: there is none.
    """
    if name not in names():
        raise UnknownScenario(f"no scenario {name!r}; there are: {', '.join(names())}")
    return cast("Scenario", importlib.import_module(f"{scenarios.__name__}.{name}"))
