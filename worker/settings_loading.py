"""Puts the sources of settings together: defaults < TOML file < environment < flags.

Each value keeps its origin, so that `headrace config` can show it. An error names the variable, the flag,
or the file and key at fault; all wrong settings are told at once, one message each.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from worker.settings import Settings, all_fields, environment_name
from worker.settings_group import PATTERNS_IN_WORDS
from worker.settings_kafka import Binding
from worker.settings_rules import ContradictionsError
from worker.settings_secrets import MASK, mask
from worker.settings_sources import (
    CONFIG_VARIABLE,
    Problem,
    Tree,
    merge,
    nearest,
    read_environment,
    read_file,
    read_flags,
)

DEFAULT = "default"
_PROPERTIES = re.compile(r"kafka\.\w*properties\b")


@dataclass(frozen=True)
class Origin:
    """Where a value came from: `default`, `file`, `environment` or `flag`, and the place in it."""

    kind: str
    place: str = ""


@dataclass(frozen=True)
class Loaded:
    """Settings, and the origin of each by its dotted name (each property of the Kafka client has its own)."""

    settings: Settings
    origins: Mapping[str, Origin]

    def origin(self, dotted: str) -> Origin:
        """Where a setting came from."""
        return self.origins.get(dotted, Origin(DEFAULT))


class SettingsInvalidError(Exception):
    """The settings cannot be used. Its text has one line for each that is wrong."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


def load_settings(
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    config_file: Path | None = None,
    *,
    flag_names: Mapping[str, str] | None = None,
) -> Loaded:
    """The settings from all sources.

    Args:
        flags: values by dotted name (`kafka.group`, `kafka.properties.linger.ms`); a text is read as a
            variable's.
        environ: the environment; the process's own by default.
        config_file: the TOML file; by default the one that `HEADRACE_CONFIG` names, if any.
        flag_names: for errors, which flag gave a value; `--set` where it is not said.

    Raises:
        SettingsInvalidError: something is misspelt, out of range or contradicts something else.
    """
    environ = os.environ if environ is None else environ
    if config_file is None and (named := environ.get(CONFIG_VARIABLE)):
        config_file = Path(named)
    sources = [] if config_file is None else [read_file(config_file)]
    sources += [read_environment(environ), read_flags(flags or {}, flag_names)]

    problems = [problem for source in sources for problem in source.problems]
    tree: Tree = {}
    origins: dict[str, Origin] = {}
    for source in sources:
        tree = merge(tree, source.tree)
        origins |= {dotted: Origin(source.kind, place) for dotted, place in source.places.items()}
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        raise SettingsInvalidError([*problems, *_problems(error, origins)]) from None
    if problems:
        raise SettingsInvalidError(problems)
    return Loaded(settings, origins)


def _problems(error: ValidationError, origins: Mapping[str, Origin]) -> list[Problem]:
    """One problem a wrong value: pydantic tells each member of a union and each list around an item too."""
    errors = error.errors()
    inner = {details["loc"][:n] for details in errors for n in range(1, len(details["loc"]))}
    found: dict[tuple[str, str], list[Problem]] = {}
    for details in errors:
        if details["loc"] not in inner:
            found.setdefault(_locate(details["loc"]), _explain(details, origins))
    return [problem for problems in found.values() for problem in problems]


def _explain(details: ErrorDetails, origins: Mapping[str, Origin]) -> list[Problem]:
    """What one of pydantic's errors means to whoever set the value."""
    cause = details.get("ctx", {}).get("error")
    if isinstance(cause, ContradictionsError):
        return [Problem(_place(c.field, origins), c.message) for c in cause.contradictions]
    dotted, inner = _locate(details["loc"])
    if details["type"] == "extra_forbidden":
        message = "is no setting" + _suggestion(dotted, inner, _origin(dotted, origins).kind)
    elif details["type"] == "value_error":
        message = details["msg"].removeprefix("Value error, ")
    else:
        message = f"{_expectation(details)}, got {_shown(dotted, details['input'])}"
    return [Problem(_place(dotted, origins), f"{inner}: {message}" if inner else message)]


def _shown(dotted: str, value: object) -> str:
    """A wrong value, as far as it may be shown: what holds others may hold secrets."""
    if isinstance(value, Mapping):
        return "a table" + ("; quote names that have dots" if _PROPERTIES.match(dotted) else "")
    if dotted == "kafka" or _PROPERTIES.match(dotted):
        return repr(MASK)
    return repr(mask(dotted, value))


def _expectation(details: ErrorDetails) -> str:
    if details["type"] == "string_pattern_mismatch":
        return f"should be {PATTERNS_IN_WORDS[details['ctx']['pattern']]}"
    if len(details["loc"]) > 1 and str(details["loc"][1]).endswith("properties"):
        return "should be a text, a number, true or false" if len(details["loc"]) > 2 else "should be a table"
    return details["msg"].removeprefix("Input ")


def _locate(location: tuple[int | str, ...]) -> tuple[str, str]:
    """The setting that a location of pydantic's is about, and what inside of it."""
    path = [str(step) for step in location]
    if path[:1] == ["bindings"]:
        return "bindings", "".join(f"[{step}]" if step.isdigit() else f".{step}" for step in path[1:]).lstrip(
            "."
        )
    if path[:1] == ["kafka"] and len(path) > 2 and path[1].endswith("properties"):
        return ".".join(path[:3]), ""
    return ".".join(path[:2]), ".".join(path[2:])


def _origin(dotted: str, origins: Mapping[str, Origin]) -> Origin:
    if dotted in origins:
        return origins[dotted]
    inside = (origin for name, origin in origins.items() if name.startswith(dotted + "."))
    return next(inside, Origin(DEFAULT))


def _place(dotted: str, origins: Mapping[str, Origin]) -> str:
    return _origin(dotted, origins).place or dotted


def _suggestion(dotted: str, inner: str, kind: str) -> str:
    if inner:
        return nearest(inner.rpartition(".")[2], Binding.model_fields)
    names: list[Any] = [name for name, _ in all_fields()]
    if kind == "environment":
        return nearest(environment_name(dotted), map(environment_name, names))
    return nearest(dotted, [*names, *Settings.model_fields])
