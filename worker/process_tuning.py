"""Settings of the process that a worker's tail latency, and its cost of large records, depend on.

Measured (docs/design.md): with the default switch interval of 5 ms a model that loads in a thread stalls requests for
up to 129 ms, with 0.5 ms for 7; a full garbage collection takes 132 ms after TensorFlow has been imported, and nothing
once what is there has been frozen.
"""

import contextlib
import ctypes
import gc
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_LARGEST_ON_THE_HEAP_BYTES = 32 << 20  # the most that the C library takes
SWITCH_INTERVAL_SECONDS = 0.0005
YOUNG, MIDDLE, OLD = 500_000, 20, 1000
"""The requests of a whole budget are some hundred thousand objects. None of them is part of a cycle, so a collection
among them finds nothing; with a threshold above their number there is none while their number does not grow."""
YOUNG_WHEN_IDLE = 5_000


def share_the_interpreter() -> None:
    """Let threads take turns ten times as often as by default; called before any is started."""
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)


def keep_freed_memory(most_bytes: int) -> None:
    """Let the C library keep so much of what is freed, to use it again; called before serving, where it is glibc.

    By default it gives back what is free at the end of a heap at once, and maps large blocks anew each time: with
    records of 150 KB the kernel then clears 37 pages for each, which costs more than to copy it (a record cost 169 µs
    of CPU instead of 132 the whole way). What a model's unload frees is given back all the same, by `malloc_trim`.
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGEST_ON_THE_HEAP_BYTES)
        library.mallopt(_M_TRIM_THRESHOLD, min(most_bytes, 2**31 - 1))


def keep_collections_small() -> None:
    """Leave what has been loaded out of every collection to come, and collect rarely; called before serving."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)


def collect_while_idle() -> None:
    """Collect what is young while no request waits; called by the poll thread when it has nothing to do."""
    young, middle, _ = gc.get_count()
    if young >= YOUNG_WHEN_IDLE:
        gc.collect(1 if middle >= MIDDLE else 0)
