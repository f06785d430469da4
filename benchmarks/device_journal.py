"""What a device has done: each run's start and end, in a file of its process's own that anybody may read meanwhile.

Times are those of the machine's monotonic clock, which all processes share.
"""

import itertools
import os
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

_RUN = struct.Struct("<ddq")


class Run(NamedTuple):
    """One batch on the device: monotonic seconds, and rows."""

    start: float
    end: float
    rows: int


class Journal:
    """Written by one process; each run is one appended record, so that readers never see half of one."""

    def __init__(self, folder: Path) -> None:
        """Begin this process's journal; what another process of the same number has left there goes."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        self._file = os.open(_file(folder, os.getpid()), flags, 0o644)

    def add(self, run: Run) -> None:
        """Note a run; from any thread."""
        os.write(self._file, _RUN.pack(*run))

    def close(self) -> None:
        """Write no more."""
        os.close(self._file)


def read(folder: Path, process: int) -> list[Run]:
    """The runs of a process so far, by their starts; none when it has not begun."""
    file = _file(folder, process)
    content = file.read_bytes() if file.exists() else b""
    return sorted(Run(*fields) for fields in _RUN.iter_unpack(content))


def busy_share(runs: Iterable[Run], start: float, end: float) -> float:
    """The part of the time from *start* to *end* in which one of the runs was on. Requires: they do not overlap."""
    inside = (min(run.end, end) - max(run.start, start) for run in runs)
    return sum(seconds for seconds in inside if seconds > 0) / (end - start)


def ended_within(runs: Iterable[Run], start: float, end: float) -> list[Run]:
    """Those that ended in that time; *end* itself is outside."""
    return [run for run in runs if start <= run.end < end]


def gaps(runs: Sequence[Run]) -> list[float]:
    """The seconds between each run and the next. Requires: sorted."""
    return [after.start - before.end for before, after in itertools.pairwise(runs)]


def _file(folder: Path, process: int) -> Path:
    return folder / f"{process}.runs"
