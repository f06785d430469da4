"""Copies of versions, in a bounded folder that several workers may share."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lifecycle.errors import LoadCancelled, LoadFailed, PermanentLoadFailure
from tests.kit.waiting import PATIENCE_SECONDS, wait_until
from worker.copy_folder import CopyFolder
from worker.stored_versions import StoredFile
from worker.version_copies import Copy, VersionCopies, Wanted


def wanted(number: int = 1, size_bytes: int = 100, changed_ns: int | None = 1) -> Wanted:
    """A version of one file."""
    return Wanted.of(f"s3://b/m/{number}", [StoredFile("x", size_bytes, changed_ns)])


def nothing() -> None:
    """Goes on."""


def never(_directory: Path) -> None:
    """Must not happen."""
    pytest.fail("it is copied")


class Cache:
    """Copies in a folder, at a time that the test sets, on a disk of that many bytes."""

    def __init__(self, folder: Path, most_bytes: int = 300, keep_seconds: float = 1e6) -> None:
        self.path = folder / "cache"
        self.free_bytes = 10**9
        self.later_seconds = 0.0
        self.copies = VersionCopies(
            CopyFolder(
                self.path,
                most_bytes,
                keep_seconds,
                wall=lambda: time.time() + self.later_seconds,
                free_bytes=lambda _path: self.free_bytes,
            )
        )

    def obtain(
        self,
        version: Wanted,
        write: Callable[[Path], object] | None = None,
        go_on: Callable[[], None] = nothing,
    ) -> Copy:
        """A copy of zeros, or as it is written."""

        def zeros(directory: Path) -> None:
            for file in version.files:
                (directory / file.name).write_bytes(bytes(file.size_bytes))

        return self.copies.obtain(version, write or zeros, go_on)

    def keep(self, *versions: Wanted) -> None:
        """Copies that nobody uses, used in this order."""
        for number, version in enumerate(versions):
            self.obtain(version).release()
            used_at = time.time() - 1000 + number
            os.utime(self.path / f"{version.name}.lock", (used_at, used_at))

    def kept(self) -> set[str]:
        """The versions of which there is a whole copy."""
        facts = [each for each in self.path.glob("*/copy.json") if not each.parent.suffix]
        found = (json.loads(each.read_text()) for each in facts)
        return {str(each["uri"]).rpartition("/")[2] for each in found}

    def leftovers(self) -> list[str]:
        """What lies there beside whole copies, their locks and that of the room."""
        names = {each.name for each in self.path.iterdir()} - {"room.lock"}
        copies = {name for name in names if (self.path / name / "copy.json").exists() and "." not in name}
        return sorted(names - copies - {f"{name}.lock" for name in copies})


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """Room for three versions of 100 bytes."""
    return Cache(tmp_path)


def test_a_copy_is_made_once_and_found_again(cache: Cache, tmp_path: Path) -> None:
    """By another worker, or after a start, too; its directory has the version's number."""
    copy = cache.obtain(wanted())
    assert copy.directory.name == "1"
    assert (copy.directory / "x").read_bytes() == bytes(100)
    copy.release()

    again = Cache(tmp_path)
    again.copies.begin()
    other = again.obtain(wanted(), never)
    assert other.directory == copy.directory
    assert cache.obtain(wanted(), never).directory == copy.directory


@pytest.mark.parametrize(
    "changed", [wanted(changed_ns=2), wanted(size_bytes=99), wanted(2)], ids=["time", "size", "version"]
)
def test_what_has_changed_is_copied_anew_and_the_old_copy_goes_on(cache: Cache, changed: Wanted) -> None:
    """It may be in use."""
    old = cache.obtain(wanted())
    new = cache.obtain(changed)

    assert old.directory != new.directory
    assert (old.directory / "x").exists()


def test_files_that_cannot_be_told_apart_are_never_found_again(cache: Cache) -> None:
    """Name and size alone are no proof."""
    first, second = (wanted(changed_ns=None) for _ in range(2))

    assert first.name != second.name


def test_a_copy_that_lacks_a_file_is_made_anew(cache: Cache) -> None:
    """Somebody has tidied up."""
    copy = cache.obtain(wanted())
    copy.release()
    (copy.directory / "x").unlink()

    assert (cache.obtain(wanted()).directory / "x").exists()
    assert cache.leftovers() == []


def test_room_is_made_by_removing_what_was_used_longest_ago(cache: Cache) -> None:
    """As few as needed."""
    cache.keep(wanted(1), wanted(2), wanted(3))
    cache.obtain(wanted(1)).release()

    cache.obtain(wanted(4))

    assert cache.kept() == {"1", "3", "4"}
    assert cache.leftovers() == []


def test_what_is_in_use_is_never_removed_and_the_reason_names_it(cache: Cache) -> None:
    """The load fails alone, may be tried again, and removes nothing in vain."""
    used = [cache.obtain(wanted(1)), cache.obtain(wanted(2))]
    cache.keep(wanted(3))

    with pytest.raises(LoadFailed) as caught:
        cache.obtain(wanted(4, size_bytes=150), never)

    assert caught.value.retriable
    said = str(caught.value)
    assert "no room for a copy of 's3://b/m/4': 50 of its 150 bytes are too many" in said
    assert "of 300 (model_cache.most_bytes) 200 are in use by 's3://b/m/" in said
    assert cache.kept() == {"1", "2", "3"}
    used[0].release()
    cache.obtain(wanted(4, size_bytes=150))
    assert cache.leftovers() == []


def test_what_could_never_fit_fails_for_good(cache: Cache) -> None:
    """And takes nothing away from others."""
    cache.keep(wanted(1))

    with pytest.raises(PermanentLoadFailure, match="has 301 bytes, and all copies together may have 300"):
        cache.obtain(wanted(2, size_bytes=301), never)

    assert cache.kept() == {"1"}


def test_room_is_made_on_a_disk_that_is_nearly_full(cache: Cache) -> None:
    """Others use it too; where that is not enough, nothing is written."""
    cache.keep(wanted(1), wanted(2))
    cache.free_bytes = 10
    cache.obtain(wanted(3)).release()
    assert cache.kept() == {"2", "3"}

    for number in (2, 3):
        cache.obtain(wanted(number), never)
    with pytest.raises(LoadFailed, match=r"90 of its 100 bytes are too many .* whose disk has 10 free"):
        cache.obtain(wanted(4), never)


def test_a_full_disk_fails_that_load_alone_and_leaves_nothing(cache: Cache) -> None:
    """The system says so in the middle of a file; the reason has the folder and what is free."""
    cache.keep(wanted(1))
    cache.free_bytes = 1234

    def fill(directory: Path) -> None:
        (directory / "x").write_bytes(b"a part")
        with open("/dev/full", "wb", buffering=0) as full:  # noqa: PTH123 - a device
            full.write(b"the rest")

    with pytest.raises(LoadFailed) as caught:
        cache.obtain(wanted(2), fill)

    assert caught.value.retriable
    said = str(caught.value)
    assert f"the copy of 's3://b/m/2' (100 bytes) cannot be written to '{cache.path}'" in said
    assert "whose disk has 1,234 bytes free: No space left on device; make room there" in said
    assert cache.kept() == {"1"}
    cache.obtain(wanted(2)).release()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A file stands in its place."""
    cache = Cache(tmp_path)
    cache.path.write_text("no folder")

    with pytest.raises(LoadFailed, match=f"cannot be written to '{cache.path}': "):
        cache.obtain(wanted())
    cache.copies.tidy()


def test_a_copy_that_fails_leaves_nothing(cache: Cache) -> None:
    """Whatever it fails of, and the next try makes it."""

    def fail(directory: Path) -> None:
        (directory / "x").write_bytes(b"a part")
        raise LoadFailed("the store does not answer")

    for _ in range(2):
        with pytest.raises(LoadFailed, match="does not answer"):
            cache.obtain(wanted(), fail)
        assert cache.kept() == set()
        assert not list(cache.path.glob("*.unfinished"))
    cache.obtain(wanted())


@pytest.mark.parametrize(("keep_seconds", "kept"), [(0.0, set()), (3600.0, {"1"})])
def test_a_copy_that_nobody_uses_stays_as_long_as_is_set(
    tmp_path: Path, keep_seconds: float, kept: set[str]
) -> None:
    """And goes when another is let go of after that."""
    cache = Cache(tmp_path, keep_seconds=keep_seconds)
    copy = cache.obtain(wanted(1))
    assert cache.kept() == {"1"}
    copy.release()
    assert cache.kept() == kept

    other = cache.obtain(wanted(2))
    cache.later_seconds = 4000.0
    cache.copies.tidy()
    assert cache.kept() == {"2"}
    other.release()
    assert cache.kept() == set()
    assert cache.leftovers() == []


def test_a_start_keeps_old_copies_for_what_is_loaded_then(cache: Cache) -> None:
    """Each counts as used now: a worker that was killed did not say how long it used them."""
    cache.keep(wanted(1))
    cache.copies.begin()
    cache.later_seconds = 1e6 - 500
    cache.copies.tidy()

    assert cache.kept() == {"1"}


def test_what_lies_there_besides_is_left_alone(cache: Cache) -> None:
    """It is somebody's."""
    cache.path.mkdir()
    (cache.path / "notes.txt").write_text("mine")
    (cache.path / "lost+found").mkdir()
    cache.keep(wanted(1), wanted(2), wanted(3))
    cache.later_seconds = 1e7
    cache.copies.tidy()

    assert cache.leftovers() == ["lost+found", "notes.txt"]


def test_two_loads_of_one_version_make_one_copy(cache: Cache) -> None:
    """The second waits for the first, or is given up when nobody wants it any more."""
    begun, end, waiting = threading.Event(), threading.Event(), threading.Event()
    made: list[Copy] = []

    def write(directory: Path) -> None:
        begun.set()
        assert end.wait(PATIENCE_SECONDS)
        (directory / "x").write_bytes(bytes(100))

    def give_up() -> None:
        raise LoadCancelled("nobody wants it")

    first = threading.Thread(target=lambda: made.append(cache.obtain(wanted(), write)))
    first.start()
    assert begun.wait(PATIENCE_SECONDS)
    second = threading.Thread(target=lambda: made.append(cache.obtain(wanted(), never, waiting.set)))
    second.start()
    assert waiting.wait(PATIENCE_SECONDS)
    with pytest.raises(LoadCancelled):
        cache.obtain(wanted(), never, give_up)
    assert cache.kept() == set()
    end.set()
    for thread in (first, second):
        thread.join(PATIENCE_SECONDS)

    assert len({copy.directory for copy in made}) == 1
    assert len(made) == 2
    made[0].release()
    cache.later_seconds = 1e7
    cache.copies.tidy()
    assert cache.kept() == {"1"}, "the other still uses it"


def test_what_is_being_copied_counts(cache: Cache) -> None:
    """Its whole size, from its beginning; it is not removed to make room."""

    def meanwhile(directory: Path) -> None:
        with pytest.raises(LoadFailed, match="200 are in use by 's3://b/m/1'"):
            cache.obtain(wanted(2, size_bytes=150), never)
        cache.copies.tidy()
        (directory / "x").write_bytes(bytes(200))

    cache.obtain(wanted(1, size_bytes=200), meanwhile)


def other_process(folder: Path, number: int, *, hold: str) -> subprocess.Popen[str]:
    """Another worker: it copies that version, and stops in the middle of that, or with the copy in use."""
    program = f"""
import sys, time
from pathlib import Path
from worker.copy_folder import CopyFolder
from worker.stored_versions import StoredFile
from worker.version_copies import VersionCopies, Wanted
copies = VersionCopies(CopyFolder(Path({str(folder / "cache")!r}), 300))
wanted = Wanted.of("s3://b/m/{number}", [StoredFile("x", 100, 1)])

def write(directory):
    (directory / "x").write_bytes(bytes(50))
    if {hold!r} == "middle":
        print("here", flush=True)
        sys.stdin.read()
    (directory / "x").write_bytes(bytes(100))

copy = copies.obtain(wanted, write, lambda: None)
print("here", flush=True)
sys.stdin.read()
"""
    other = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "here\n"
    return other


def test_what_another_worker_uses_is_not_removed_and_what_it_has_copied_is_found(
    cache: Cache, tmp_path: Path
) -> None:
    """Until it ends, however that comes."""
    with other_process(tmp_path, 1, hold="copy") as other:
        cache.obtain(wanted(1), never).release()
        with pytest.raises(LoadFailed, match="100 are in use by 's3://b/m/1'"):
            cache.obtain(wanted(2, size_bytes=250), never)
        other.send_signal(signal.SIGKILL)

    cache.obtain(wanted(2, size_bytes=250))
    assert cache.kept() == {"2"}


def test_what_a_killed_worker_was_copying_is_removed_at_the_next_start(cache: Cache, tmp_path: Path) -> None:
    """Not while it lives."""
    with other_process(tmp_path, 1, hold="middle") as other:
        cache.copies.begin()
        assert list(cache.path.glob("*.unfinished"))
        other.send_signal(signal.SIGKILL)

    cache.copies.begin()
    assert not list(cache.path.glob("*.unfinished"))
    assert cache.leftovers() == []
    cache.obtain(wanted(1))


def test_another_worker_takes_over_what_a_killed_one_was_copying(cache: Cache, tmp_path: Path) -> None:
    """It waits as long as that one lives."""
    with other_process(tmp_path, 1, hold="middle") as other:
        waiting, made = threading.Event(), list[Copy]()
        thread = threading.Thread(target=lambda: made.append(cache.obtain(wanted(1), None, waiting.set)))
        thread.start()
        assert waiting.wait(PATIENCE_SECONDS)
        assert not made
        other.send_signal(signal.SIGKILL)
    thread.join(PATIENCE_SECONDS)

    wait_until(lambda: made, "the copy")
    assert (made[0].directory / "x").read_bytes() == bytes(100)
