"""Which versions of a model are aspired: a list, the latest few, or all that are found."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

HIGHEST_VERSION = 2**63 - 1


@dataclass(frozen=True, slots=True)
class SpecificVersions:
    """These versions and no other."""

    versions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LatestVersions:
    """The highest `count` versions that are found under the base path."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class AllVersions:
    """Every version that is found under the base path."""


VersionSelection = SpecificVersions | LatestVersions | AllVersions


def selection_to_wire(selection: VersionSelection) -> tuple[str, dict[str, Any]]:
    """The union branch by name, and its fields."""
    match selection:
        case SpecificVersions(versions):
            fields: dict[str, Any] = {"versions": list(versions)}
        case LatestVersions(count):
            fields = {"count": count}
        case AllVersions():
            fields = {}
    return f"headrace.v1.{type(selection).__name__}", fields


def selection_from_wire(wire: tuple[str, Mapping[str, Any]]) -> VersionSelection:
    """The selection of a decoded union branch, which comes with its name."""
    name, fields = wire
    match name.rpartition(".")[2]:
        case "SpecificVersions":
            return SpecificVersions(tuple(fields["versions"]))
        case "LatestVersions":
            return LatestVersions(fields["count"])
        case _:
            return AllVersions()
