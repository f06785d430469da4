"""Whether a process keeps what it should forget: its memory, and the sizes of what it means to keep."""

import gc
import logging
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from lifecycle.saved_model_session import trim_memory
from worker.log import JsonFormatter

MOST_GROWTH_BYTES = 48 * 1024 * 1024
"""Between a tenth of a run and its end. What a worker keeps from poll to poll is bounded by number, and for the most
part full after a tenth; the rest of this is room for the allocator."""
LEAST_RECORDS = 200_000
"""A run of fewer says nothing: what is kept is not full after a tenth of it."""
LONGEST_LINE = 65_536
"""Of the log."""


def resident_bytes() -> int:
    """What the process has in memory now, garbage collected and what is free given back.

    What the C library keeps of a single large poll is no growth: it comes in steps, and is used again.
    """
    gc.collect()
    trim_memory()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Memory, and sizes with their bounds, at one moment of a run."""

    records: int
    resident_bytes: int
    sizes: Mapping[str, tuple[int, int]]

    @classmethod
    def take(cls, records: int, sizes: Mapping[str, tuple[int, int]]) -> Self:
        """Look now."""
        return cls(records, resident_bytes(), sizes)

    def __str__(self) -> str:
        sizes = ", ".join(f"{what} {size:,}" for what, (size, _) in self.sizes.items())
        mib = f"{self.resident_bytes / 1024**2:.1f} MiB resident"
        return f"after {self.records:,} records: {mib}{'; ' if sizes else ''}{sizes}"


def too_large(now: Snapshot, then: Snapshot | None = None) -> str | None:
    """What has outgrown its bound now, or has grown since; None when nothing has."""
    for what, (size, bound) in now.sizes.items():
        if size > bound:
            return f"the {what} are {size:,}, at most {bound:,}"
    if then is None or not now.sizes or now.records < LEAST_RECORDS:
        return None
    grown = now.resident_bytes - then.resident_bytes
    if grown <= MOST_GROWTH_BYTES:
        return None
    return f"memory has grown by {grown:,} bytes, at most {MOST_GROWTH_BYTES:,}: {then}; {now}"


class LogLines(logging.Handler):
    """Takes the place of whoever reads the log while it is in use, and measures its lines."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.lines = 0
        self.longest = 0

    def emit(self, record: logging.LogRecord) -> None:
        """One line. What is raised here is the formatter's fault, and is raised where the line was logged."""
        self.lines += 1
        self.longest = max(self.longest, len(self.format(record)))

    def problem(self) -> str | None:
        """What is wrong with the lines so far."""
        return None if self.longest <= LONGEST_LINE else f"a line of the log has {self.longest:,} characters"

    def __enter__(self) -> Self:
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *_exc_info: object) -> None:
        logging.getLogger().removeHandler(self)
