"""Sees when the files of a version that could not be loaded have been mended, so that it is tried again at once."""

import functools
from collections import deque
from collections.abc import Mapping

from lifecycle.managed_servable import VersionStatus
from lifecycle.servable_id import ServableId
from lifecycle.servable_state import ServableState
from lifecycle.threads import Executor
from worker.arrivals import Contents, Scan, scan


def failed(status: VersionStatus) -> bool:
    """Whether a version is wanted and has ended badly."""
    return status.aspired and status.state is ServableState.END and status.error is not None


class FailedVersions:
    """Looks at the files of failed versions again and again; belongs to the control thread.

    A version is told once its files are other ones than when it was first seen to have failed, and have stayed the same
    from one look to the next.

    Args:
        seconds: between two looks; 0: never.
        executor: runs the looks.
        scan: looks into a directory.
    """

    def __init__(self, seconds: float, executor: Executor, scan: Scan = scan) -> None:
        self._seconds = seconds
        self._executor = executor
        self._scan = scan
        self._look_at = 0.0
        self._looking = False  # a look that hangs is not joined by others
        self._seen: dict[ServableId, Contents] = {}
        self._changed: set[ServableId] = set()
        self._looked: deque[Mapping[ServableId, Contents]] = deque()  # filled by the executor's threads

    def due(self, now: float) -> bool:
        """Whether it is time for a look, and none is under way."""
        return self._seconds > 0 and now >= self._look_at and not self._looking

    def look(self, failed: Mapping[ServableId, str], now: float) -> None:
        """Look at the directories of the versions that have failed; what is found comes with `mended`."""
        self._look_at = now + self._seconds
        self._seen = {each: contents for each, contents in self._seen.items() if each in failed}
        self._changed.intersection_update(failed)
        if failed:
            self._looking = True
            self._executor.submit(functools.partial(self._look, dict(failed)))

    def mended(self) -> set[str]:
        """The names of which a version's files have changed and come to rest, each once."""
        names = set()
        while self._looked:
            self._looking = False
            for each, contents in self._looked.popleft().items():
                before = self._seen.get(each)
                self._seen[each] = contents
                if before is not None and before != contents:
                    self._changed.add(each)
                elif each in self._changed:
                    self._changed.discard(each)
                    names.add(each.name)
        return names

    def _look(self, failed: Mapping[ServableId, str]) -> None:
        found = {}
        for each, directory in failed.items():
            try:
                found[each] = self._scan(directory)
            except OSError:  # what is not there has no files
                found[each] = Contents((), 0)
        self._looked.append(found)
