"""Estimates corrected by what the process grew by."""

from collections.abc import Callable

import pytest

from lifecycle.measured_loader import MeasuredLoader, Undisturbed, resident_bytes
from lifecycle.resources import ResourceAllocation, gpu, host
from tests.fakes.servables import FailingLoader, FakeLoader


class Both(FakeLoader):
    """Needs both kinds of memory, and grows the process while it loads."""

    def __init__(self, grow: Callable[[], object]) -> None:
        super().__init__()
        self._grow = grow

    def estimate_resources(self) -> ResourceAllocation:
        """The same before and after."""
        return host(100) + gpu(30)

    def load(self) -> None:
        """Grow."""
        self._grow()
        super().load()


class Process:
    """As large as a test says."""

    def __init__(self) -> None:
        self.size: int | None = 1000
        self.undisturbed = Undisturbed()

    def loader(self, growth: int, during: Callable[[], object] = lambda: None) -> MeasuredLoader:
        """A loader whose load grows the process by that, and lets something happen."""

        def grow() -> None:
            if self.size is not None:
                self.size += growth
            during()

        return MeasuredLoader(Both(grow), self.undisturbed, lambda: self.size)


@pytest.mark.parametrize(("growth", "found"), [(70, 70), (130, 100), (20, 50), (-5, 50)])
def test_what_was_measured_counts_between_half_and_all_of_the_estimate(growth: int, found: int) -> None:
    """More than the estimate was promised to nobody; much less may be memory that lay free. A GPU's is not measured."""
    loader = Process().loader(growth)
    assert loader.estimate_resources() == host(100) + gpu(30)

    loader.load()

    assert loader.estimate_resources() == host(found) + gpu(30)


def test_a_load_beside_another_is_not_measured() -> None:
    """Neither one that began before nor one that begins meanwhile, loads and unloads alike."""
    process = Process()
    loaded = process.loader(70)
    loaded.load()
    inner = process.loader(70)
    for outer in (process.loader(70, inner.load), process.loader(70, loaded.unload)):
        outer.load()
        assert outer.estimate_resources() == host(100) + gpu(30)
    assert inner.estimate_resources() == host(100) + gpu(30)

    alone = process.loader(70)
    alone.load()

    assert alone.estimate_resources() == host(70) + gpu(30)


def test_a_load_that_fails_is_over() -> None:
    """The next one is alone again, and nothing is measured of the one that failed."""
    process = Process()
    failing = MeasuredLoader(FailingLoader(OSError("no")), process.undisturbed, lambda: process.size)
    with pytest.raises(OSError, match="no"):
        failing.load()
    loader = process.loader(70)

    loader.load()

    assert loader.estimate_resources() == host(70) + gpu(30)
    assert loader.servable is loader.servable


def test_without_a_measure_the_estimate_stays() -> None:
    """Where the system does not tell."""
    process = Process()
    process.size = None
    loader = process.loader(70)

    loader.load()

    assert loader.estimate_resources() == host(100) + gpu(30)


def test_this_process_has_a_size() -> None:
    """What it takes more is seen."""
    before = resident_bytes()
    if before is None:
        pytest.skip("this system does not tell")
    kept = bytearray(b"x" * (32 << 20))

    after = resident_bytes()

    assert after is not None
    assert len(kept) // 2 < after - before
