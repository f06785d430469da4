"""What the process does with memory that it has freed: keep it for the next request, give back what a model had.

By default the C library gives back what is free at the end of a heap at once, and maps large blocks anew each time:
with records of 150 KB the kernel then clears 37 pages for each, which costs more than to copy it (a record cost 169 µs
of CPU instead of 132 the whole way). So it is told to keep some. But then the heaps of other threads never shrink: six
loads and unloads of a model of 98 MB left 1.09 times what two had. So it is told otherwise for as long as an unload
lasts.

By default, too, threads get heaps of their own, up to eight a core. What one load leaves in one of them is of no use
to the next, which may run in another: twenty loads and unloads left 1.28 times what two had, and 1.00 times with two
heaps.
"""

import contextlib
import ctypes
import threading
from collections.abc import Iterator

from lifecycle.loader import Loader
from lifecycle.loader_around import LoaderAround
from lifecycle.saved_model_session import trim_memory

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h
_HEAPS = 2
_LARGEST_ON_THE_HEAP_BYTES = 32 << 20  # the most that the C library takes
_USUAL_TRIM_THRESHOLD = 128 << 10  # mallopt(3)


class FreedMemory:
    """The C library's memory, where it is glibc; elsewhere nothing happens.

    Args:
        most_bytes: how much of what is free at the end of a heap is kept.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = min(most_bytes, 2**31 - 1)
        self._lock = threading.Lock()  # guards the count, and what the C library was told of it
        self._unloads = 0

    def keep(self) -> None:
        """From now on use freed memory again, in few heaps; called before there are threads."""
        _set(_M_ARENA_MAX, _HEAPS)
        _set(_M_MMAP_THRESHOLD, _LARGEST_ON_THE_HEAP_BYTES)
        _set(_M_TRIM_THRESHOLD, self._most_bytes)

    @contextlib.contextmanager
    def giving_back(self) -> Iterator[None]:
        """Give back what is freed within; on any unload thread, whatever the others do."""
        self._count(1)
        try:
            yield
            trim_memory()
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        with self._lock:
            self._unloads += change
            _set(_M_TRIM_THRESHOLD, _USUAL_TRIM_THRESHOLD if self._unloads else self._most_bytes)


class GivingLoader(LoaderAround):
    """A loader whose unload gives its memory back to the system; it adds that to any loader."""

    def __init__(self, loader: Loader, memory: FreedMemory) -> None:
        super().__init__(loader)
        self._memory = memory

    def unload(self) -> None:
        """Unload; on an unload thread."""
        with self._memory.giving_back():
            self._loader.unload()


def _set(parameter: int, value: int) -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(parameter, value)
