"""Reads each place that settings come from into a tree of plain values, and keeps where each value stood.

A text, in the environment or after a flag, is read by one rule: a list or a table is JSON, everything else
is the text itself. Properties of the Kafka client have names with dots, which a variable's name cannot
have; below `HEADRACE_KAFKA__PROPERTIES__` an underscore stands for a dot (librdkafka's names have none of
their own).
"""

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_origin

from pydantic_settings import EnvSettingsSource, SettingsError

from worker.settings import ENVIRONMENT_PREFIX, NESTED_DELIMITER, Settings, all_fields, environment_name

CONFIG_VARIABLE = ENVIRONMENT_PREFIX + "CONFIG"
"""Names the TOML file; the only variable with our prefix that is no setting."""

_SERVICE_LINKS = re.compile(
    r"_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$"
)
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://")

Tree = dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """One wrong setting: where it stands, and what is wrong with it."""

    where: str
    """The variable, the flag, or the file and key."""
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


@dataclass
class Source:
    """One place that settings come from, as it was read.

    Attributes:
        kind: `file`, `environment` or `flag`.
        tree: the values, nested like the settings.
        places: for each dotted name that it gives, what a person would have to change.
        problems: what could not be read.
    """

    kind: str
    tree: Tree = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read_file(path: Path) -> Source:
    """The settings in a TOML file."""
    source = Source("file")
    try:
        source.tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        source.problems.append(Problem(str(path), f"cannot be read: {error.strerror or error}"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        source.problems.append(Problem(str(path), f"is not TOML: {error}"))
    source.places = {dotted: f"{path}: {dotted}" for dotted in leaves(source.tree)}
    return source


def read_environment(environ: Mapping[str, str]) -> Source:
    """The settings in variables that begin with `HEADRACE_`.

    Variables that Kubernetes makes for a service named `headrace…` are told apart by their form and left
    alone.
    """
    source = Source("environment")
    for name, text in sorted(environ.items()):
        upper = name.upper()
        ours = upper.startswith(ENVIRONMENT_PREFIX) and upper != CONFIG_VARIABLE
        if not ours or _is_service_link(upper, text):
            continue
        rest = name[len(ENVIRONMENT_PREFIX) :].lower().split(NESTED_DELIMITER)
        if ".".join(rest[:2]) in _TABLES and len(rest) > 2:
            rest = [*rest[:2], "_".join(rest[2:]).replace("_", ".")]
        _read_text(source, rest, text, name)
    return source


def read_flags(flags: Mapping[str, object], flag_names: Mapping[str, str] | None = None) -> Source:
    """Settings by dotted names: texts as on a command line, or values of the right type.

    *flag_names* says which flag gave a setting; others were given by `--set`.
    """
    source = Source("flag")
    for dotted, value in flags.items():
        path = dotted.split(".")
        if ".".join(path[:2]) in _TABLES and len(path) > 2:
            path = [*path[:2], ".".join(path[2:])]
        place = (flag_names or {}).get(dotted, f"--set {dotted}")
        if isinstance(value, str):
            _read_text(source, path, value, place)
        else:
            _put(source, path, value, place)
    return source


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The dotted name of each value in a tree; an empty table counts as a value."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def nearest(name: str, names: Iterable[str]) -> str:
    """A hint at the name that was perhaps meant; empty when none is like it."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def merge(lower: Tree, upper: Mapping[str, Any]) -> Tree:
    """Both trees, the upper one winning value by value; a list replaces a list."""
    merged = dict(lower)
    for key, value in upper.items():
        below = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(below, dict)
        merged[key] = merge(below, value) if both and isinstance(below, dict) else value
    return merged


_TABLES = frozenset(dotted for dotted, info in all_fields() if get_origin(info.annotation) is dict)


def _is_service_link(name: str, text: str) -> bool:
    if NESTED_DELIMITER in name:
        return False
    return bool(_SERVICE_LINKS.search(name) or (name.endswith("_PORT") and _SERVICE_URL.match(text)))


def _read_text(source: Source, path: list[str], text: str, place: str) -> None:
    """Let pydantic-settings read one text as it reads the environment, and add it to the source."""
    reader = EnvSettingsSource(Settings)
    variable = NESTED_DELIMITER.join([ENVIRONMENT_PREFIX.lower() + path[0], *path[1:]])
    reader.env_vars = {variable: text}
    try:
        tree = reader()
    except (SettingsError, ValueError):
        source.problems.append(Problem(place, "is not JSON, which a list or a table must be here"))
        return
    if not tree:
        source.problems.append(Problem(place, "is no setting" + _hint(source.kind, path)))
        return
    source.tree = merge(source.tree, tree)
    source.places |= dict.fromkeys(leaves(tree), place)


def _hint(kind: str, path: list[str]) -> str:
    known = [dotted for dotted, _ in all_fields()]
    if kind == "environment":
        return nearest(environment_name(".".join(path)), map(environment_name, known))
    return nearest(".".join(path), known)


def _put(source: Source, path: list[str], value: object, place: str) -> None:
    tree: Tree = {path[-1]: value}
    for key in reversed(path[:-1]):
        tree = {key: tree}
    source.tree = merge(source.tree, tree)
    source.places[".".join(path)] = place
