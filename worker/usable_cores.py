"""How many cores this process may use: what its affinity leaves, and what its container or service is limited to.

TensorFlow sizes its pool by the affinity alone. In a container that may use 2 of 64 cores it would start 64 threads,
whose turns use up the limit at once, and then everything stands still until the next tenth of a second.
Source: the kernel's `admin-guide/cgroup-v2.rst` (cpu.max) and `scheduler/sched-bwc.rst` (version 1).
"""

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path

from worker import control_groups


def usable_cores(root: Path = Path("/")) -> int:
    """At least 1; a limit of 1.5 cores counts as 2. *root* is where the system's files are."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([affinity, *(math.ceil(limit) for limit in limits(root))]))


def limits(root: Path = Path("/")) -> Iterator[float]:
    """Each limit on the way from this process's control group up to the topmost one, in cores."""
    for version, folder in control_groups.folders("cpu", root):
        if version == control_groups.UNIFIED:
            yield from _limit(_words(folder / "cpu.max"))
        else:
            yield from _limit([*_words(folder / "cpu.cfs_quota_us"), *_words(folder / "cpu.cfs_period_us")])


def _words(path: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return path.read_text().split()
    return []


def _limit(words: list[str]) -> Iterator[float]:
    """Of microseconds of CPU in each period of so many; "max" and -1 are no limit."""
    with contextlib.suppress(ValueError):
        quota, period = map(int, words)
        if quota > 0 and period > 0:
            yield quota / period
