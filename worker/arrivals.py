"""Whether a version's files are all there: a directory that is still being copied must not be loaded.

The rule: a directory counts once nothing in it has changed for a while, by the files' own times where these lie in
the past, and otherwise (a clock that is ahead) by looking twice. A copy that stands still for longer than that is
taken for complete: whoever copies that slowly writes under another name and renames.
"""

import os
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

Scan = Callable[[str], "Contents"]
"""What lies in a directory; raises OSError."""


@dataclass(frozen=True)
class Contents:
    """A directory at one moment.

    Attributes:
        files: path, size and time of change (nanoseconds since the epoch) of everything in it, in a fixed order.
        newest_ns: the latest of these times, that of the directory itself included.
    """

    files: tuple[tuple[str, int, int], ...]
    newest_ns: int


def scan(directory: str) -> Contents:
    """Everything in a directory, whatever the depth; raises OSError where a part of it cannot be read."""
    newest = os.stat(directory).st_mtime_ns  # noqa: PTH116 - a control record's path stays text
    files: list[tuple[str, int, int]] = []
    folders = [directory]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                facts = _facts(entry)
                newest = max(newest, facts.st_mtime_ns)
                files.append((entry.path, facts.st_size, facts.st_mtime_ns))
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
    return Contents(tuple(sorted(files)), newest)


def _facts(entry: os.DirEntry[str]) -> os.stat_result:
    try:
        return entry.stat()
    except FileNotFoundError:  # a link that leads nowhere is a fact like any other
        return entry.stat(follow_symlinks=False)


class Arrivals:
    """Remembers what was seen of the versions of one model; used by one thread at a time.

    Args:
        quiet_seconds: how long nothing may change; 0 takes every directory as it is.
        scan: looks into a directory.
        clock: monotonic seconds.
        wall: seconds since the epoch, by the clock that files' times are compared with.
    """

    def __init__(
        self,
        quiet_seconds: float,
        scan: Scan = scan,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.quiet_seconds = quiet_seconds
        self._scan = scan
        self._clock = clock
        self._wall = wall
        self._seen: dict[str, tuple[Contents, float]] = {}  # and since when
        self._complete: set[str] = set()

    def keep(self, directories: Collection[str]) -> None:
        """Forget all other directories: one that comes again is looked at anew."""
        self._complete.intersection_update(directories)
        self._seen = {path: seen for path, seen in self._seen.items() if path in directories}

    def complete(self, directory: str) -> bool:
        """Whether a directory's files are all there; once they are, it is not looked into any more."""
        if self.quiet_seconds <= 0 or directory in self._complete:
            return True
        try:
            found = self._scan(directory)
        except FileNotFoundError:  # it is changing under our eyes
            self._seen.pop(directory, None)
            return False
        except OSError:  # it cannot be read, and waiting does not help: its load tells why
            return True
        now = self._clock()
        before, since = self._seen.get(directory, (None, now))
        if found != before:
            self._seen[directory] = found, now
            since = now
        old = found.newest_ns / 1e9 <= self._wall() - self.quiet_seconds
        if old or now - since >= self.quiet_seconds:
            self._complete.add(directory)
            self._seen.pop(directory, None)
            return True
        return False
