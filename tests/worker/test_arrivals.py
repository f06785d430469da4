"""Whether a version's files are all there."""

import os
from pathlib import Path

import pytest

from tests.fakes.clock import FakeClock
from worker.arrivals import Arrivals, Contents, scan

QUIET_SECONDS = 8.0
NOW = 1_000_000.0


class Disk:
    """Directories with contents that a test changes, and the time."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.contents: dict[str, Contents] = {}
        self.looks = 0
        self.arrivals = Arrivals(QUIET_SECONDS, self._scan, self.clock, lambda: NOW + self.clock())

    def _scan(self, directory: str) -> Contents:
        self.looks += 1
        if directory not in self.contents:
            raise FileNotFoundError(2, "No such file or directory", directory)
        return self.contents[directory]

    def write(self, *sizes: int, age_seconds: float = 0.0, directory: str = "/m/1") -> None:
        """Files of these sizes, changed so long ago by their own times."""
        changed = int((NOW + self.clock() - age_seconds) * 1e9)
        files = tuple((f"{directory}/{n}", size, changed) for n, size in enumerate(sizes))
        self.contents[directory] = Contents(files, changed)

    def complete(self, directory: str = "/m/1") -> bool:
        """Whether it counts now."""
        return self.arrivals.complete(directory)


@pytest.fixture
def disk() -> Disk:
    """With a directory that has just been written."""
    made = Disk()
    made.write(10)
    return made


def test_files_that_are_old_are_taken_at_the_first_look(disk: Disk) -> None:
    """A worker that starts does not wait."""
    disk.write(10, age_seconds=QUIET_SECONDS)
    assert disk.complete()


def test_files_that_have_just_changed_are_waited_for(disk: Disk) -> None:
    """Until their own times are old enough, which is not later than since the first look."""
    disk.write(10, age_seconds=6.0)
    assert not disk.complete()
    disk.clock.advance(1.0)
    assert not disk.complete()
    disk.clock.advance(1.0)
    assert disk.complete()


def test_each_change_begins_the_wait_anew(disk: Disk) -> None:
    """A file that grows, and one that is added."""
    for sizes in ((10,), (20,), (20, 5)):
        disk.write(*sizes)
        assert not disk.complete()
        disk.clock.advance(QUIET_SECONDS - 1.0)
        assert not disk.complete()
    disk.clock.advance(1.0)
    assert disk.complete()


@pytest.mark.parametrize("age_seconds", [-3600.0, -QUIET_SECONDS])
def test_a_clock_that_is_ahead_is_not_waited_for(disk: Disk, age_seconds: float) -> None:
    """Times in the future say nothing; that nothing has changed between looks does."""
    disk.write(10, age_seconds=age_seconds)
    assert not disk.complete()
    disk.clock.advance(QUIET_SECONDS)
    assert disk.complete()


def test_what_is_complete_is_not_looked_into_again(disk: Disk) -> None:
    """Whatever is written there later: a version that serves is not loaded anew for that."""
    disk.write(10, age_seconds=QUIET_SECONDS)
    assert disk.complete()
    disk.write(11)
    assert disk.complete()
    assert disk.looks == 1


def test_what_has_gone_and_comes_again_is_looked_at_anew(disk: Disk) -> None:
    """It may be another one."""
    disk.write(10, age_seconds=QUIET_SECONDS)
    assert disk.complete()
    disk.arrivals.keep({"/m/2"})
    disk.write(12)
    assert not disk.complete()


def test_what_may_not_be_read_is_not_waited_for() -> None:
    """Its load says why it cannot be served."""

    def forbidden(directory: str) -> Contents:
        raise PermissionError(13, "Permission denied", directory)

    assert Arrivals(QUIET_SECONDS, forbidden).complete("/m/1")


def test_what_is_not_there_is_not_complete(disk: Disk) -> None:
    """It is being removed, or put in place; the wait begins anew."""
    assert not disk.complete()
    contents = disk.contents.pop("/m/1")
    disk.clock.advance(QUIET_SECONDS)
    assert not disk.complete()
    disk.contents["/m/1"] = Contents(contents.files, int((NOW + 3600) * 1e9))
    assert not disk.complete()


def test_without_a_wait_everything_is_complete() -> None:
    """Nothing is looked into."""

    def nothing(_directory: str) -> Contents:
        raise AssertionError("looked")

    assert Arrivals(0.0, nothing).complete("/m/1")


def test_a_directory_is_looked_at_in_all_its_depth(tmp_path: Path) -> None:
    """The newest time counts, wherever it is; a link is what it leads to."""
    (tmp_path / "variables").mkdir()
    (tmp_path / "variables" / "data").write_bytes(b"12345")
    (tmp_path / "saved_model.pb").write_bytes(b"1")
    (tmp_path / "link").symlink_to(tmp_path / "saved_model.pb")
    for path in (
        tmp_path / "variables" / "data",
        tmp_path / "saved_model.pb",
        tmp_path / "variables",
        tmp_path,
    ):
        os.utime(path, ns=(5, 5))
    os.utime(tmp_path / "variables" / "data", ns=(7, 7))

    found = scan(str(tmp_path))

    assert found.newest_ns == 7
    sizes = {Path(path).name: (size, changed) for path, size, changed in found.files}
    assert sizes["data"] == (5, 7)
    assert sizes["link"] == sizes["saved_model.pb"] == (1, 5)
    assert set(sizes) == {"data", "saved_model.pb", "link", "variables"}
    os.utime(tmp_path, ns=(9, 9))
    assert scan(str(tmp_path)).newest_ns == 9
    (tmp_path / "nowhere").symlink_to(tmp_path / "absent")
    assert {Path(path).name for path, _, _ in scan(str(tmp_path)).files} == {*sizes, "nowhere"}
    with pytest.raises(FileNotFoundError):
        scan(str(tmp_path / "absent"))
