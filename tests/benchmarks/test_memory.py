"""What the memory scenario makes of what it sees."""

import os

import pytest

from benchmarks.scenarios import memory
from benchmarks.scenarios.memory import MEBIBYTE, Memory


def test_growth_is_counted_from_the_second_unload() -> None:
    """The first load also grows what stays for good, so it is not compared with."""
    assert memory.growth([100, 200, 190, 210]) == pytest.approx(1.05)


def test_memory_counts_once_it_stands_still() -> None:
    """Looks go on while pages are still given back."""
    looks = iter([900 * MEBIBYTE, 700 * MEBIBYTE, 650 * MEBIBYTE, 650 * MEBIBYTE, 1])
    waits: list[float] = []

    assert memory.settled(lambda: next(looks), waits.append) == 650 * MEBIBYTE
    assert len(waits) == 3


def test_memory_that_never_stands_still_is_taken_as_it_is() -> None:
    """The scenario goes on after some seconds."""
    waits: list[float] = []

    found = memory.settled(lambda: len(waits) * 10 * MEBIBYTE, waits.append)

    assert found == len(waits) * 10 * MEBIBYTE
    assert sum(waits) == pytest.approx(memory.LONGEST_SECONDS)


def test_workers_are_summed_up_by_medians() -> None:
    """Of the loaded sizes the largest counts."""
    workers = []
    for base in (100, 300, 200):
        worker = Memory(base * MEBIBYTE)
        worker.loaded = [2 * base * MEBIBYTE, 3 * base * MEBIBYTE]
        worker.unloaded = [base * MEBIBYTE, base * MEBIBYTE, 2 * base * MEBIBYTE]
        workers.append(worker)

    assert memory.summary(workers) == {"before": 200, "loaded": 600, "second": 200, "last": 400, "growth": 2}


def test_resident_memory_is_the_kernels_count() -> None:
    """This process has some, and less than all addresses it could use."""
    assert MEBIBYTE < memory.resident_bytes(os.getpid()) < 1 << 40
