"""Which versions of a model lie under its base path.

A version is a child directory whose name is a number; leading zeros are taken (`0003` is version 3), and
where two names mean one version the plain one wins. Everything else under the base path is passed over.
Source: TensorFlow Serving's `file_system_storage_path_source.cc`. Unlike there, a path that cannot be read
concerns its own model only.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from schemas.version_selection import (
    HIGHEST_VERSION,
    AllVersions,
    LatestVersions,
    SpecificVersions,
    VersionSelection,
)
from worker.arrivals import Arrivals
from worker.operator_rules import OperatorRules
from worker.store_uris import opened_as

ListDirectories = Callable[[str], Iterable[str]]
"""The names of the directories right under a path; raises OSError."""

MOST_REASONS = 10
_NUMBER = re.compile(r"[0-9]+", re.ASCII)


@dataclass(frozen=True)
class VersionPaths:
    """What was found for one selection under one base path.

    The sentences name no path, but between quotation marks: they may be told to requesters, without what is quoted.

    Attributes:
        paths: the directory of each version to serve.
        missing: why a version that was asked for by its number, or that lies there, cannot be served.
        problem: why no version can be served at all; None when one was found or asked for by its number.
        arriving: versions that would be served if their files were all there.
    """

    paths: Mapping[int, str] = field(default_factory=dict)
    missing: Mapping[int, str] = field(default_factory=dict)
    problem: str | None = None
    arriving: tuple[int, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for is there, so that looking again soon cannot help."""
        return not self.missing and self.problem is None and not self.arriving


def list_directories(path: str) -> tuple[str, ...]:
    """The names of the directories (and links to some) right under *path*; raises OSError."""
    with os.scandir(path) as entries:
        return tuple(entry.name for entry in entries if entry.is_dir())


def find_versions(
    base_path: str,
    selection: VersionSelection,
    directories: ListDirectories = list_directories,
    arrivals: Arrivals | None = None,
    rules: OperatorRules | None = None,
) -> VersionPaths:
    """Find the versions that *selection* means; raises nothing: what cannot be read is told in the result.

    Of `latest` and `all` only directories whose files are all there count, as *arrivals* says; one that is named by its
    number is taken at its word. Nothing is opened that *rules* do not allow; a version that leads elsewhere by a link
    is missing, with the reason.
    """
    rules = rules or OperatorRules()
    found, reason = _listed(opened_as(base_path), directories, rules)
    match selection:
        case SpecificVersions(versions):
            elsewhere = _elsewhere(
                {version: found[version] for version in versions if version in found}, rules
            )
            absent = {
                version: reason or f"the base path has no directory for version {version}"
                for version in versions
                if version not in found
            }
            return VersionPaths(
                paths={v: found[v] for v in versions if v in found and v not in elsewhere},
                missing={v: (absent | elsewhere)[v] for v in versions if v in absent or v in elsewhere},
            )
        case LatestVersions(count):
            most = count
        case AllVersions():
            most = len(found)
    if (many := rules.problem_of_versions(min(most, len(found)))) is not None:
        return VersionPaths(problem=many)
    if arrivals is not None and reason is None:
        arrivals.keep(set(found.values()))
    highest = _highest(found, most, arrivals, rules)
    if highest.paths or highest.missing or highest.arriving:
        return highest
    return VersionPaths(problem=reason or "the base path holds no version (a directory named by a number)")


def with_refused(
    before: Mapping[int, str], found: VersionPaths, selection: VersionSelection
) -> dict[int, str]:
    """What was found, and what was found before and is refused by now: that is no reason to unload it."""
    paths = {version: before[version] for version in found.missing if version in before} | dict(found.paths)
    most = selection.count if isinstance(selection, LatestVersions) else len(paths)
    return dict(sorted(paths.items(), reverse=True)[:most])


def first_reasons(reasons: Iterable[str]) -> str | None:
    """The first of the reasons why versions are missing, each once, and how many more there are; None for none."""
    told = list(dict.fromkeys(reasons))
    more = len(told) - MOST_REASONS
    return "; ".join([*told[:MOST_REASONS], *([f"{more:,} more"] if more > 0 else [])]) or None


def _highest(
    found: Mapping[int, str], most: int, arrivals: Arrivals | None, rules: OperatorRules
) -> VersionPaths:
    """The highest versions that can be served, so many at most; and what stands before them and cannot."""
    wanted: dict[int, str] = {}
    refused: dict[int, str] = {}
    arriving = []
    for version in sorted(found, reverse=True):
        if len(wanted) >= most:
            break
        if (problem := rules.roots.problem_of(found[version])) is not None:
            refused[version] = problem
        elif arrivals is None or arrivals.complete(found[version]):
            wanted[version] = found[version]
        else:
            arriving.append(version)
    return VersionPaths(paths=wanted, missing=refused, arriving=tuple(arriving[:most]))


def _listed(
    base_path: str, directories: ListDirectories, rules: OperatorRules
) -> tuple[dict[int, str], str | None]:
    """Every version under the base path; or none, and why it cannot be listed."""
    if (problem := rules.roots.problem_of(base_path)) is not None:
        return {}, f"the base path is not opened: {problem}"
    try:
        return _by_version(base_path, directories(base_path)), None
    except (OSError, ValueError) as error:  # ValueError: a name that this system has no bytes for
        return {}, f"the base path cannot be listed: {_why(error)}"


def _elsewhere(found: Mapping[int, str], rules: OperatorRules) -> dict[int, str]:
    """The versions that lead out of the roots, and why they are refused."""
    problems = {version: rules.roots.problem_of(path) for version, path in found.items()}
    return {version: problem for version, problem in problems.items() if problem is not None}


def _by_version(base_path: str, names: Iterable[str]) -> dict[int, str]:
    found: dict[int, str] = {}
    # The shortest name last: it is the one without leading zeros, and wins.
    for name in sorted(names, key=len, reverse=True):
        if _NUMBER.fullmatch(name) and len(name) <= 32 and (version := int(name)) <= HIGHEST_VERSION:
            found[version] = os.path.join(base_path, name)  # noqa: PTH118 - a control record's path stays text
    return found


def _why(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
