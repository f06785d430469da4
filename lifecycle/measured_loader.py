"""Corrects what a loaded version is said to take by what the process grew by while it was loaded.

Estimates are upper bounds, and what they have too much keeps other models out. The growth of the process is another
upper bound, unless something else ended meanwhile, or the load used memory that lay free in the process: so it counts
only where no other load or unload ran beside it, and takes no more than half away from an estimate.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from lifecycle import resources
from lifecycle.loader import Loader
from lifecycle.loader_around import LoaderAround
from lifecycle.resources import HOST, ResourceAllocation

LEAST_SHARE = 0.5
"""Of an estimate, what is kept whatever was measured."""


def resident_bytes() -> int | None:
    """The process's memory that is in RAM, in bytes; None where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


class Undisturbed:
    """Knows which loads and unloads of a process ran alone. Thread-safe; one for all of its measured loaders."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards both
        self._running = 0
        self._begun = 0

    @contextlib.contextmanager
    def turn(self) -> Iterator[Callable[[], bool]]:
        """For as long as one runs; gives what tells whether it has been alone until then."""
        with self._lock:
            self._running += 1
            self._begun += 1
            own, first = self._begun, self._running == 1
        try:
            yield lambda: first and self._begun == own
        finally:
            with self._lock:
                self._running -= 1


class MeasuredLoader(LoaderAround):
    """A loader whose estimate after the load is no more than what the load was seen to take; it adds that to any.

    Memory of GPUs is not measured.
    """

    def __init__(
        self, loader: Loader, undisturbed: Undisturbed, resident: Callable[[], int | None] = resident_bytes
    ) -> None:
        super().__init__(loader)
        self._undisturbed = undisturbed
        self._resident = resident
        self._growth: int | None = None

    def estimate_resources(self) -> ResourceAllocation:
        """What the inner loader says, and no more than what was measured."""
        said = resources.estimate(self._loader)
        if self._growth is None:
            return said
        least = round(LEAST_SHARE * said.of(HOST))
        measured = {**said.memory, HOST: max(least, self._growth)}
        return said.at_most(ResourceAllocation(measured))

    def load(self) -> None:
        """Load, and measure what that takes; on a load thread."""
        with self._undisturbed.turn() as alone:
            before = self._resident()
            self._loader.load()
            after = self._resident()
            if alone() and before is not None and after is not None:
                self._growth = max(0, after - before)

    def unload(self) -> None:
        """Unload; on an unload thread."""
        with self._undisturbed.turn():
            self._loader.unload()
