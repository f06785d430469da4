"""Rates and CPU time, seen from outside: how many replies the broker has, and what the process has used by then.

Start-up is left out by the same rule for everybody: a run counts from the moment a tenth of the replies is there to
the moment all are.
"""

import os
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Started

SAMPLE_SECONDS = 0.02
STARTED_SHARE = 0.1
TIMEOUT_SECONDS = 300.0
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Sample:
    """One look: monotonic time, replies on the topic, CPU seconds of the process so far."""

    time: float
    replies: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Result:
    """One run of one contender."""

    records: int
    records_per_second: float
    cpu_us_per_record: float


@dataclass(frozen=True, slots=True)
class Summary:
    """All runs of one contender: medians, and the spread of the cost."""

    name: str
    records_per_second: float
    cpu_us_per_record: float
    spread: float
    runs: Sequence[Result]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process with all its threads, by the kernel's count."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def result(samples: Sequence[Sample], target: int) -> Result:
    """Rate and cost between the first sample with a tenth of the target and the first with all of it."""
    first = next(s for s in samples if s.replies >= target * STARTED_SHARE)
    last = next(s for s in samples if s.replies >= target)
    records = last.replies - first.replies
    return Result(
        records,
        records / (last.time - first.time),
        (last.cpu_seconds - first.cpu_seconds) / records * 1e6,
    )


def watch(
    process: Started, replies: Callable[[], int], target: int, timeout_seconds: float = TIMEOUT_SECONDS
) -> list[Sample]:
    """Look until the target is there; *replies* says how many there are since the process was started.

    Raises:
        TimeoutError: it is not, in time.
        ChildProcessError: the process has ended.
    """
    samples: list[Sample] = []
    end = time.monotonic() + timeout_seconds
    pause = _Pause()
    while not samples or samples[-1].replies < target:
        process.check()
        count = replies()
        samples.append(Sample(time.monotonic(), count, cpu_seconds(process.pid)))
        if samples[-1].time > end:
            raise TimeoutError(f"{count} of {target} replies after {timeout_seconds:g} s")
        pause()
    return samples


class _Pause:
    """Waits between two looks."""

    def __init__(self) -> None:
        self._never = threading.Event()

    def __call__(self) -> None:
        self._never.wait(SAMPLE_SECONDS)


def spread(values: Sequence[float]) -> float:
    """The largest less the smallest, by the median."""
    return (max(values) - min(values)) / statistics.median(values)


def summary(name: str, runs: Sequence[Result]) -> Summary:
    """Medians over the runs."""
    costs = [run.cpu_us_per_record for run in runs]
    return Summary(
        name,
        statistics.median(run.records_per_second for run in runs),
        statistics.median(costs),
        spread(costs),
        tuple(runs),
    )
