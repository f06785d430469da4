"""How much of the host's memory models may take: what its container or service, or the machine, has, less a reserve.

Source: the kernel's `admin-guide/cgroup-v2.rst` (memory.max) and `cgroup-v1/memory.rst` (memory.limit_in_bytes).
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from worker import control_groups

PROCESS_BYTES = 768 << 20
"""The interpreter and TensorFlow once it is imported, with its thread pools and what warm-ups leave."""
BUDGET_FACTOR = 1.5
"""Memory by `delivery.budget_bytes`: a quarter of it for what is fetched ahead, a quarter for replies."""
LEAST_SHARE = 0.5
"""Of all memory, what models may take at least: a small container may serve small models without TensorFlow."""

_UNLIMITED = 1 << 60  # version 1 tells no limit as a number near 2**63


def for_models(budget_bytes: int, root: Path = Path("/")) -> int | None:
    """Bytes for models; None where the system does not tell how much memory there is. *root* is where its files are."""
    total = min((*limits(root), *physical(root)), default=None)
    if total is None:
        return None
    reserve = PROCESS_BYTES + round(BUDGET_FACTOR * budget_bytes)
    return max(round(LEAST_SHARE * total), total - reserve)


def physical(root: Path = Path("/")) -> Iterator[int]:
    """The machine's memory in bytes."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in (root / "proc/meminfo").read_text().splitlines():
            if line.startswith("MemTotal:"):
                yield int(line.split()[1]) << 10
                return
    if root == Path("/"):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            yield os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def limits(root: Path = Path("/")) -> Iterator[int]:
    """Each limit on the way from this process's control group up to the topmost one, in bytes."""
    for version, folder in control_groups.folders("memory", root):
        place = folder / ("memory.max" if version == control_groups.UNIFIED else "memory.limit_in_bytes")
        with contextlib.suppress(OSError, ValueError):  # "max" is no number, and no limit
            found = int(place.read_text())
            if 0 < found < _UNLIMITED:
                yield found
