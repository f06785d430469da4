"""Locks that processes hold on files, and that the system takes back when one of them is killed.

A lock lies in a file of its own, which whoever holds it alone may remove. Linux alone; a folder that several machines
mount needs a file system that keeps `flock` among them.
"""

import contextlib
import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

PAUSE_SECONDS = 0.1
"""Between two tries: a lock that is waited for is held for as long as a copy takes."""


class FileLock:
    """A lock that is held, alone or with others; belongs to one thread at a time."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path, *, alone: bool = True) -> Self | None:
        """The lock, if it can be had now; None while another process, or another part of this one, holds it.

        Raises:
            OSError: its file cannot be made.
        """
        kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
                if _is_still(path, descriptor):
                    return cls(path, descriptor)
            except BlockingIOError:
                os.close(descriptor)
                return None
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # its file was removed meanwhile, so that others lock another one

    @classmethod
    def wait(cls, path: Path, go_on: Callable[[], object], *, alone: bool = True) -> Self:
        """The lock, once it can be had; *go_on* is called before each try, and ends the wait by raising."""
        while True:
            go_on()
            lock = cls.take(path, alone=alone)
            if lock is not None:
                return lock
            pause()

    def share(self) -> None:
        """Hold it with others from now on; for a moment nobody may hold it."""
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def touch(self) -> None:
        """Note that what it guards is in use now, in the time of its file."""
        os.utime(self._descriptor)

    def close(self) -> None:
        """Hold it no more; the file stays."""
        os.close(self._descriptor)

    def remove(self) -> None:
        """Hold it no more, and remove its file. Requires: held alone."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        self.close()


def pause() -> None:
    """Wait until it is worth another try."""
    threading.Event().wait(PAUSE_SECONDS)


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
