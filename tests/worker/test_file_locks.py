"""Locks that processes hold on files."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.kit.waiting import PATIENCE_SECONDS, wait_until
from worker.file_locks import FileLock

HOLDER = """
import sys, time
from pathlib import Path
from worker.file_locks import FileLock
lock = FileLock.take(Path(sys.argv[1]), alone=sys.argv[2] == "alone")
print("held" if lock else "refused", flush=True)
sys.stdin.read()
"""


def held(lock: FileLock | None) -> FileLock:
    """A lock that could be had."""
    assert lock is not None
    return lock


def test_a_lock_is_held_alone_or_with_others(tmp_path: Path) -> None:
    """Also by two parts of one process."""
    path = tmp_path / "x.lock"
    alone = held(FileLock.take(path))
    assert FileLock.take(path) is None
    assert FileLock.take(path, alone=False) is None

    alone.share()
    other = held(FileLock.take(path, alone=False))
    assert FileLock.take(path) is None
    alone.close()
    assert FileLock.take(path) is None
    other.close()
    held(FileLock.take(path)).close()


def test_a_lock_that_is_waited_for_comes_when_it_is_let_go(tmp_path: Path) -> None:
    """And the wait ends when it is not wanted any more."""
    path = tmp_path / "x.lock"
    first, tries = held(FileLock.take(path)), threading.Event()
    got: list[FileLock] = []
    waiting = threading.Thread(target=lambda: got.append(FileLock.wait(path, tries.set)))
    waiting.start()
    assert tries.wait(PATIENCE_SECONDS)
    assert not got

    def give_up() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        FileLock.wait(path, give_up)
    first.close()
    waiting.join(PATIENCE_SECONDS)
    got[0].close()


def test_a_lock_whose_file_was_removed_is_no_lock_of_the_new_file(tmp_path: Path) -> None:
    """Who had it open before locks the new one, so that never two hold it alone."""
    path = tmp_path / "x.lock"
    first = held(FileLock.take(path))
    got: list[FileLock] = []
    tries = threading.Event()
    waiting = threading.Thread(target=lambda: got.append(FileLock.wait(path, tries.set)))
    waiting.start()
    assert tries.wait(PATIENCE_SECONDS)
    first.remove()
    waiting.join(PATIENCE_SECONDS)

    assert path.exists()
    assert FileLock.take(path) is None
    got[0].remove()
    assert not path.exists()


def test_a_process_that_is_killed_holds_nothing_any_more(tmp_path: Path) -> None:
    """The system takes its locks back."""
    path = tmp_path / "x.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), "alone"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert FileLock.take(path) is None
        other.kill()
        got = wait_until(lambda: FileLock.take(path), "a lock that is free")
        held(got).close()
