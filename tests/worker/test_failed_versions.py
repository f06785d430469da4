"""When the files of failed versions have changed."""

import pytest

from lifecycle.servable_id import ServableId
from lifecycle.threads import InlineExecutor
from tests.fakes.servables import ManualExecutor
from worker.arrivals import Contents
from worker.failed_versions import FailedVersions

SECONDS = 5.0
M1, N1 = ServableId("m", 1), ServableId("n", 1)
PATHS = {M1: "/m/1", N1: "/n/1"}


class Disk:
    """Directories with as many files as a test says; None: it is not there."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self.sizes: dict[str, int | None] = {"/m/1": 1, "/n/1": 1}
        self.now = 0.0
        self.versions = FailedVersions(seconds, InlineExecutor(), self._scan)

    def _scan(self, directory: str) -> Contents:
        size = self.sizes[directory]
        if size is None:
            raise FileNotFoundError(2, "No such file or directory", directory)
        return Contents(((directory, size, 0),), 0)

    def look(self, *failed: ServableId) -> set[str]:
        """Look in time; what has been mended."""
        self.now += SECONDS
        assert self.versions.due(self.now)
        self.versions.look({each: PATHS[each] for each in failed}, self.now)
        return self.versions.mended()


@pytest.fixture
def disk() -> Disk:
    """Both have failed, and have been looked at."""
    made = Disk()
    assert made.look(M1, N1) == set()
    return made


def test_files_that_stay_as_they_are_are_not_mended(disk: Disk) -> None:
    """However often one looks."""
    assert [disk.look(M1, N1) for _ in range(5)] == [set()] * 5


@pytest.mark.parametrize("size", [2, None], ids=["changed", "removed"])
def test_a_change_counts_once_it_has_come_to_rest(disk: Disk, size: int | None) -> None:
    """And once; a removal is one, too: the load then says what is missing."""
    disk.sizes["/m/1"] = 3
    assert disk.look(M1, N1) == set()
    disk.sizes["/m/1"] = size
    assert disk.look(M1, N1) == set()
    assert disk.look(M1, N1) == {"m"}
    assert disk.look(M1, N1) == set()


def test_a_version_that_has_failed_anew_is_seen_anew(disk: Disk) -> None:
    """What it was when it failed before says nothing."""
    assert disk.look(N1) == set()
    disk.sizes["/m/1"] = 2
    assert disk.look(M1, N1) == set()
    assert disk.look(M1, N1) == set()


def test_looks_come_in_their_time_or_never(disk: Disk) -> None:
    """As the setting says."""
    assert not disk.versions.due(disk.now + SECONDS - 0.1)
    assert disk.versions.due(disk.now + SECONDS)
    assert not Disk(0.0).versions.due(1e9)


def test_a_look_that_hangs_brings_its_result_late_and_is_not_joined_by_others() -> None:
    """Nobody waits for it, and they do not pile up behind it."""
    executor = ManualExecutor()
    versions = FailedVersions(SECONDS, executor, lambda directory: Contents(((directory, 1, 0),), 0))
    versions.look(PATHS, 0.0)
    assert versions.mended() == set()
    assert not versions.due(10 * SECONDS)
    assert len(executor.jobs) == 1
    executor.run()
    assert versions.mended() == set()
    assert versions.due(10 * SECONDS)
