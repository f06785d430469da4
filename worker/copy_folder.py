"""The folder in which copies of versions lie: what is in it, how much that is, and what may be removed.

For each copy, named by what it is a copy of and by its bytes, there are `NAME`, the copy, whole or not there at all;
`NAME.unfinished`, one that is being made or removed; and `NAME.lock`, which is held alone by who makes or removes it,
with others by who uses it, and by nobody once a worker was killed. The lock's time says when the copy was used last.
Whatever else lies there is left alone, and not counted.
"""

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from lifecycle.errors import LoadFailed, PermanentLoadFailure
from worker.file_locks import FileLock

SETTING = "model_cache.most_bytes"
_NAME = re.compile(r"[0-9a-f]{32}-(\d{1,18})")
_UNFINISHED, _LOCK = ".unfinished", ".lock"
FACTS = "copy.json"
"""In each copy, beside the version: what it is a copy of."""
_SHOWN = 3


@dataclass(frozen=True)
class CopyFolder:
    """Any thread may use it, and other processes use the same folder.

    Attributes:
        path: where it is; whoever makes the first copy makes it.
        most_bytes: of all copies, those in use and those being made included.
        keep_seconds: a copy that nobody has used for so long is removed.
        wall: seconds since the epoch, as files' times.
        free_bytes: what the disk of a folder has left.
    """

    path: Path
    most_bytes: int
    keep_seconds: float = 86_400.0
    wall: Callable[[], float] = time.time
    free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free

    def copy(self, name: str) -> Path:
        """Where a copy lies that is whole."""
        return self.path / name

    def unfinished(self, name: str) -> Path:
        """Where it lies while it is made or removed."""
        return self.path / f"{name}{_UNFINISHED}"

    def lock(self, name: str) -> Path:
        """The file of its lock."""
        return self.path / f"{name}{_LOCK}"

    def touch_all(self) -> None:
        """Have each copy count as used now."""
        for name in self._names():
            with contextlib.suppress(OSError):
                os.utime(self.lock(name))

    def tidy(self) -> None:
        """Remove what was left unfinished, and what nobody has used for long; raises OSError."""
        for name in self._names():
            if self.copy(name).exists() and self.wall() - self._used_at(name) < self.keep_seconds:
                continue
            lock = FileLock.take(self.lock(name))
            if lock is not None:
                self._remove(name, lock)

    def reserve(self, name: str, uri: str, go_on: Callable[[], object]) -> Path:
        """The empty folder of a copy that is to be made, whose bytes count from now on. Requires: its lock, alone.

        What stands in its way is removed: first what was left of an earlier copy, then copies that nobody uses, those
        first that were used longest ago; or none of these, if that is not enough.

        Args:
            name: of the copy.
            uri: what it is a copy of, for errors.
            go_on: called while another makes room; raises when the copy is not wanted any more.

        Raises:
            PermanentLoadFailure: it could not even be kept if there were no other.
            LoadFailed: there is no room.
            OSError: the folder cannot be written.
        """
        self._clear(name)
        with contextlib.closing(FileLock.wait(self.path / f"room{_LOCK}", go_on)):
            self._make_room(bytes_of(name), uri)
            self.unfinished(name).mkdir(mode=0o700)
        return self.unfinished(name)

    def _make_room(self, needed: int, uri: str) -> None:
        if needed > self.most_bytes:
            raise PermanentLoadFailure(
                f"'{uri}' has {needed:,} bytes, and all copies together may have {self.most_bytes:,} ({SETTING}); "
                "raise that setting and start the workers again"
            )
        kept = [name for name in self._names() if self._is_kept(name)]
        free = self.free_bytes(self.path)
        lacking = max(sum(map(bytes_of, kept)) + needed - self.most_bytes, needed - free)
        removable: list[tuple[str, FileLock]] = []
        try:
            for name in sorted(kept, key=self._used_at):
                if lacking <= 0:
                    break
                lock = FileLock.take(self.lock(name))
                if lock is not None:
                    removable.append((name, lock))
                    lacking -= bytes_of(name)
            if lacking > 0:
                in_use = set(kept) - {name for name, _ in removable}
                raise LoadFailed(
                    f"there is no room for a copy of '{uri}': {lacking:,} of its {needed:,} bytes are too many for "
                    f"'{self.path}', whose disk has {free:,} free; of {self.most_bytes:,} ({SETTING}) "
                    f"{sum(map(bytes_of, in_use)):,} are in use{self._shown(in_use)}; unload versions, or give it more"
                )
            while removable:
                self._remove(*removable.pop())
        finally:
            for _, lock in removable:
                lock.close()

    def _remove(self, name: str, lock: FileLock) -> None:
        """Remove a copy, whole or not, and its lock."""
        try:
            self._clear(name)
        except BaseException:
            lock.close()
            raise
        lock.remove()

    def _clear(self, name: str) -> None:
        copy, unfinished = self.copy(name), self.unfinished(name)
        if unfinished.exists():
            shutil.rmtree(unfinished)
        if copy.exists():
            copy.rename(unfinished)  # so that a half of it is never taken for the whole
            shutil.rmtree(unfinished)

    def _names(self) -> list[str]:
        """Of all copies, those being made, and those of which nothing but the lock is left."""
        try:
            found = [each.name for each in self.path.iterdir()]
        except FileNotFoundError:
            return []
        names = {each.removesuffix(_UNFINISHED).removesuffix(_LOCK) for each in found}
        return sorted(name for name in names if _NAME.fullmatch(name))

    def _is_kept(self, name: str) -> bool:
        return self.copy(name).exists() or self.unfinished(name).exists()

    def _used_at(self, name: str) -> float:
        for path in (self.lock(name), self.copy(name)):
            with contextlib.suppress(FileNotFoundError):
                return path.stat().st_mtime
        return 0.0

    def _shown(self, names: Collection[str]) -> str:
        """What copies are of, as far as their facts tell."""
        uris = []
        for name in sorted(names):
            for folder in (self.copy(name), self.unfinished(name)):
                with contextlib.suppress(OSError, ValueError, KeyError):
                    uris.append(f"'{json.loads((folder / FACTS).read_text())['uri']}'")
        more = len(uris) - _SHOWN
        return f" by {', '.join(uris[:_SHOWN])}{f' and {more:,} more' if more > 0 else ''}" if uris else ""


def bytes_of(name: str) -> int:
    """How many bytes a copy of that name has."""
    return int(name.partition("-")[2])
