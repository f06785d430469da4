"""What names one version, and how a handle on one is asked for."""

import dataclasses
import enum
from typing import Self


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class ServableId:
    """One version of one servable. Version 0 is a version like any other.

    Ordered by name, then by version.
    """

    name: str
    version: int

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a servable's name is empty; give it a name")
        if self.version < 0:
            raise ValueError(f"version of servable {self.name!r} is {self.version}; expected 0 or more")

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"


class Pick(enum.Enum):
    """Which of a servable's available versions is meant."""

    SPECIFIC = "specific"
    EARLIEST = "earliest"
    LATEST = "latest"


@dataclasses.dataclass(frozen=True, slots=True)
class ServableRequest:
    """A request for a handle; made by `specific`, `earliest` or `latest`."""

    name: str
    pick: Pick
    version: int | None = None

    @classmethod
    def specific(cls, name: str, version: int) -> Self:
        """The version of that number and no other."""
        return cls(name, Pick.SPECIFIC, version)

    @classmethod
    def earliest(cls, name: str) -> Self:
        """The lowest available version."""
        return cls(name, Pick.EARLIEST)

    @classmethod
    def latest(cls, name: str) -> Self:
        """The highest available version."""
        return cls(name, Pick.LATEST)

    @classmethod
    def of(cls, name: str, version: int | None) -> Self:
        """The named version, or the latest when none is named."""
        return cls.latest(name) if version is None else cls.specific(name, version)

    def __str__(self) -> str:
        return f"{self.name}/{self.pick.value if self.version is None else self.version}"
