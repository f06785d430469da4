"""How much memory of which device something takes or leaves: a value that is added up and compared."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Protocol, Self, runtime_checkable

from lifecycle import errors

_UNITS = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))

DISK_FACTOR = 1.2
"""Memory by size on disk, of a model of which nothing else is known (as in TensorFlow Serving)."""


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Device:
    """Something with memory of its own.

    Attributes:
        kind: the host, whose memory is RAM, or a GPU.
        instance: which of that kind, from 0, as TensorFlow counts those that it sees.
    """

    kind: Literal["host", "gpu"]
    instance: int = 0

    @property
    def owner(self) -> str:
        """Whose memory it is, for sentences: `the host's`, `GPU 0's`."""
        return "the host's" if self.kind == "host" else f"GPU {self.instance}'s"

    def __str__(self) -> str:
        return "host" if self.kind == "host" else f"{self.kind}:{self.instance}"


HOST = Device("host")


@dataclasses.dataclass(frozen=True, slots=True)
class ResourceAllocation:
    """Bytes of memory by device. A device that is not named has none of it.

    Attributes:
        memory: bytes, by device; none is 0.
    """

    memory: Mapping[Device, int] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for device, size in self.memory.items():
            if size < 0:
                raise ValueError(f"{size} bytes of {device.owner} memory; expected 0 or more")
        kept = {device: self.memory[device] for device in sorted(self.memory) if self.memory[device]}
        object.__setattr__(self, "memory", MappingProxyType(kept))

    def of(self, device: Device) -> int:
        """Bytes of that device's memory."""
        return self.memory.get(device, 0)

    def __add__(self, other: Self) -> Self:
        devices = self.memory.keys() | other.memory.keys()
        return type(self)({each: self.of(each) + other.of(each) for each in devices})

    def __sub__(self, other: Self) -> Self:
        """What is left of it; no less than nothing of any device."""
        return type(self)({each: max(0, size - other.of(each)) for each, size in self.memory.items()})

    def at_most(self, other: Self) -> Self:
        """The lesser of both, device by device."""
        return type(self)({each: min(size, other.of(each)) for each, size in self.memory.items()})

    def __str__(self) -> str:
        parts = [f"{bytes_text(size)} of {device.owner} memory" for device, size in self.memory.items()]
        return " and ".join(parts) or "no memory"


NOTHING = ResourceAllocation()


@runtime_checkable
class EstimatingLoader(Protocol):
    """A `loader.Loader` that can say what it needs; one that cannot is taken to need nothing.

    Source: TensorFlow Serving's `Loader::EstimateResources`.
    """

    def estimate_resources(self) -> ResourceAllocation:
        """The memory that the servable takes; called on a load thread, before the load and once after it.

        Before the load it must be no less than what is taken at any moment from the begin of the load to the end of
        the unload. After the load it may be less, such as without what only loading takes, and never counts for more.
        It should be cheap: sizes of files, no contents. It is tried again as a load is.

        Raises:
            PermanentLoadFailure: it cannot be said, and no repetition can help; the load fails.
            Exception: anything else is tried again as often as the options allow; then the load fails.
        """
        ...


def host(size_bytes: int) -> ResourceAllocation:
    """So much of the host's memory."""
    return ResourceAllocation({HOST: size_bytes})


def gpu(size_bytes: int, instance: int = 0) -> ResourceAllocation:
    """So much of one GPU's memory."""
    return ResourceAllocation({Device("gpu", instance): size_bytes})


def estimate(loader: object) -> ResourceAllocation:
    """What a loader says that it needs; nothing, when it says nothing.

    Raises:
        PermanentLoadFailure: it says something else than a `ResourceAllocation`.
        Exception: what the loader raises.
    """
    if not isinstance(loader, EstimatingLoader):
        return NOTHING
    return checked(loader.estimate_resources(), type(loader).__name__)


def checked(found: object, owner: str) -> ResourceAllocation:
    """What `estimate_resources` of that owner has given.

    Raises:
        PermanentLoadFailure: it is something else than a `ResourceAllocation`.
    """
    if not isinstance(found, ResourceAllocation):
        raise errors.PermanentLoadFailure(
            f"estimate_resources of {owner} gives a {type(found).__name__}; "
            "expected a lifecycle.resources.ResourceAllocation"
        )
    return found


def on_disk(directory: Path) -> ResourceAllocation:
    """What a model needs of which only the size on disk is known; nothing where no files can be seen."""
    return host(round(DISK_FACTOR * file_bytes(directory)))


def file_bytes(directory: Path, pattern: str = "*") -> int:
    """The bytes of the files below a directory whose names fit the pattern; what cannot be seen counts nothing.

    A load of such files tells best what is wrong with them, so nothing is raised here.
    """
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            path = Path(folder, name)
            if path.match(pattern):
                total += size_of(path)
    return total


def size_of(file: Path) -> int:
    """A file's bytes; 0 for one that cannot be seen."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


def bytes_text(size: int) -> str:
    """A number of bytes as people read it: `1.25 GiB`."""
    for name, unit in _UNITS:
        if size >= unit:
            return f"{size / unit:,.2f} {name}"
    return f"{size:,} bytes"
