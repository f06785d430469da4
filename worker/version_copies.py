"""Copies of versions that lie in stores, in a bounded folder of this machine that several workers may share."""

import contextlib
import errno
import hashlib
import json
import logging
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from lifecycle.errors import LoadFailed
from worker import file_locks
from worker.copy_folder import FACTS, CopyFolder, bytes_of
from worker.file_locks import FileLock
from worker.stored_versions import StoredFile

log = logging.getLogger(__name__)

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be copied.

    Attributes:
        uri: the version.
        files: all that lies in it.
        name: of the copy: the same for the same files, and another as soon as one of them has changed.
    """

    uri: str
    files: Sequence[StoredFile]
    name: str

    @classmethod
    def of(cls, uri: str, files: Sequence[StoredFile]) -> Self:
        """A version by its listing; files that cannot be told apart by it are never taken for those before."""
        told = [(f.name, f.size_bytes, f.changed_ns, f.tag, f.md5) for f in files]
        chance = "" if all(f.told_apart for f in files) else secrets.token_hex(16)
        digest = hashlib.sha256(json.dumps([uri, told, chance]).encode()).hexdigest()
        return cls(uri, tuple(files), f"{digest[:32]}-{sum(f.size_bytes for f in files)}")

    @property
    def version(self) -> str:
        """The name of the version's directory, a number."""
        return self.uri.rpartition("/")[2]


class Copy:
    """A copy in use: nobody removes it before `release`."""

    def __init__(self, directory: Path, lock: FileLock, copies: "VersionCopies") -> None:
        self.directory = directory
        self._lock = lock
        self._copies = copies

    def release(self) -> None:
        """It is used no more; it stays until room is needed, or its time is over."""
        with contextlib.suppress(OSError):  # its file was removed by hand
            self._lock.touch()
        self._lock.close()
        self._copies.tidy()


class VersionCopies:
    """The copies in one folder; any thread may ask."""

    def __init__(self, folder: CopyFolder) -> None:
        self._folder = folder

    def begin(self) -> None:
        """A worker starts: each copy counts as used now, and what a killed worker has left unfinished is removed."""
        with self._logged():
            self._folder.touch_all()
        self.tidy()

    def obtain(self, wanted: Wanted, write: Callable[[Path], object], go_on: Callable[[], object]) -> Copy:
        """The copy, as it is there or newly made; on a load thread.

        Args:
            wanted: what it is a copy of.
            write: writes the files into an empty folder.
            go_on: called where this waits for others; raises when the copy is not wanted any more.

        Raises:
            PermanentLoadFailure: it could not even be kept if there were no other.
            LoadFailed: there is no room, or the folder cannot be written; also whatever *write* and *go_on* raise.
        """
        with self._told(wanted):
            self._folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            while (copy := self._find_or_make(wanted, write, go_on)) is None:
                go_on()
                file_locks.pause()
            return copy

    def tidy(self) -> None:
        """Remove what was left unfinished, and what nobody has used for long; raises nothing."""
        with self._logged():
            self._folder.tidy()

    def _find_or_make(
        self, wanted: Wanted, write: Callable[[Path], object], go_on: Callable[[], object]
    ) -> Copy | None:
        """The copy; None as long as another worker, or another load of this one, is about to make it."""
        lock_file = self._folder.lock(wanted.name)
        lock = FileLock.take(lock_file, alone=False)
        if lock is not None and not self._is_whole(wanted):
            lock.close()
            lock = FileLock.take(lock_file)
        if lock is None:
            return None
        try:
            if not self._is_whole(wanted):
                self._make(wanted, write, go_on)
            lock.share()
            lock.touch()
            if self._is_whole(wanted):  # for a moment nobody held the lock
                return Copy(self._directory(wanted), lock, self)
        except BaseException:
            lock.close()
            raise
        lock.close()
        return None

    def _make(self, wanted: Wanted, write: Callable[[Path], object], go_on: Callable[[], object]) -> None:
        facts = {"uri": wanted.uri, "files": {each.name: each.size_bytes for each in wanted.files}}
        unfinished = self._folder.reserve(wanted.name, wanted.uri, go_on)
        try:
            (unfinished / FACTS).write_text(json.dumps(facts, indent=2))
            (unfinished / wanted.version).mkdir()
            write(unfinished / wanted.version)
            # So that a machine that fails leaves no copy whose files are there by their names alone.
            for folder, _, names in os.walk(unfinished):
                for path in (*(Path(folder, name) for name in names), Path(folder)):
                    _to_disk(path)
            unfinished.rename(self._folder.copy(wanted.name))
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        _to_disk(self._folder.path)

    def _directory(self, wanted: Wanted) -> Path:
        return self._folder.copy(wanted.name) / wanted.version

    def _is_whole(self, wanted: Wanted) -> bool:
        directory = self._directory(wanted)
        try:
            return all((directory / each.name).stat().st_size == each.size_bytes for each in wanted.files)
        except (FileNotFoundError, NotADirectoryError):
            return False

    @contextlib.contextmanager
    def _logged(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            log.warning(
                "old copies of versions cannot be removed; they stay until they can",
                extra={"folder": str(self._folder.path), "problem": str(error)},
            )

    @contextlib.contextmanager
    def _told(self, wanted: Wanted) -> Iterator[None]:
        """Tell in our words what the system says about the folder."""
        try:
            yield
        except OSError as error:
            what = (
                f"the copy of '{wanted.uri}' ({bytes_of(wanted.name):,} bytes) cannot be written to "
                f"'{self._folder.path}'"
            )
            if error.errno not in _FULL:
                raise LoadFailed(f"{what}: {error.strerror}; let the worker's user write there") from error
            with contextlib.suppress(OSError):
                what += f", whose disk has {self._folder.free_bytes(self._folder.path):,} bytes free"
            raise LoadFailed(f"{what}: {error.strerror}; make room there, or set another folder") from error


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
