"""Loads a version that lies in a store: its files are copied to this machine first, and checked."""

import base64
import contextlib
import functools
import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lifecycle import resources
from lifecycle.errors import LoadCancelled, LoadFailed, LoadTimedOut
from lifecycle.loader import Loader
from lifecycle.resources import ResourceAllocation
from lifecycle.servable import Servable
from worker import stored_versions
from worker.stored_versions import StoredFile
from worker.version_copies import Copy, VersionCopies, Wanted

log = logging.getLogger(__name__)


class Fetching:
    """Copies versions out of stores; any load thread may ask.

    Args:
        copies: where they go.
        limit_seconds: that a load may take; a copy is given up then, if its store has not hung up before.
        clock: monotonic seconds.
    """

    def __init__(
        self, copies: VersionCopies, limit_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._copies = copies
        self._limit_seconds = limit_seconds
        self._clock = clock

    def fetch(self, uri: str, wanted: Callable[[], bool] = lambda: True) -> Copy:
        """A copy of a version as it lies in its store now, which is one made earlier if the listing is the same.

        Args:
            uri: the version, normal and allowed.
            wanted: whether anybody wants it; asked between blocks.

        Raises:
            LoadCancelled: nobody wants it any more.
            PermanentLoadFailure: something in it cannot be copied, or it is larger than all copies may be.
            LoadFailed: the store does not give all of it, it changes meanwhile, or there is no room for it.
        """
        give_up_at = self._clock() + self._limit_seconds

        def go_on() -> None:
            if not wanted():
                raise LoadCancelled(f"copying '{uri}' was given up: nobody wants that version any more")
            if self._clock() > give_up_at:
                raise LoadTimedOut(
                    f"copying '{uri}' was given up after {self._limit_seconds:g} s (lifecycle.load_timeout_seconds)"
                )

        files = stored_versions.files_of(uri)
        write = functools.partial(self._write, uri, files, go_on)
        return self._copies.obtain(Wanted.of(uri, files), write, go_on)

    def _write(
        self, uri: str, files: Sequence[StoredFile], go_on: Callable[[], None], directory: Path
    ) -> None:
        began = self._clock()
        for file in files:
            _copy(uri, file, directory / file.name, go_on)
        if stored_versions.files_of(uri) != files:
            raise LoadFailed(f"'{uri}' has changed while it was copied; it is copied anew")
        log.info(
            "a version has been copied from its store",
            extra={
                "version": uri,
                "files": len(files),
                "bytes": sum(each.size_bytes for each in files),
                "seconds": round(self._clock() - began, 3),
            },
        )


class FetchedLoader:
    """A loader of a version in a store; it adds that to any loader.

    Args:
        make: makes the loader of what lies in a directory of this machine.
        fetching: copies the version there.
        uri: the version.
        wanted: as `Fetching.fetch`.
    """

    def __init__(
        self, make: Callable[[str], Loader], fetching: Fetching, uri: str, wanted: Callable[[], bool]
    ) -> None:
        self._make = make
        self._fetching = fetching
        self._uri = uri
        self._wanted = wanted
        self._copy: Copy | None = None
        self._loader: Loader | None = None

    @property
    def servable(self) -> Servable:
        """The inner loader's servable. Requires: loaded and not yet unloaded."""
        if self._loader is None:
            raise RuntimeError(f"'{self._uri}' is not loaded")
        return self._loader.servable

    def estimate_resources(self) -> ResourceAllocation:
        """What the inner loader says of the copy, which is made for that; another load may have it go again."""
        if self._loader is not None:
            return resources.estimate(self._loader)
        copy = self._fetching.fetch(self._uri, self._wanted)
        try:
            return resources.estimate(self._make(str(copy.directory)))
        finally:
            copy.release()

    def load(self) -> None:
        """Copy the version, if that has not been done, and load the copy; on a load thread.

        Raises:
            LoadFailed: as `Fetching.fetch`; also whatever the inner loader raises.
        """
        copy = self._fetching.fetch(self._uri, self._wanted)
        try:
            loader = self._make(str(copy.directory))
            loader.load()
        except BaseException:
            copy.release()
            raise
        self._copy, self._loader = copy, loader

    def unload(self) -> None:
        """Unload, then let go of the copy; on an unload thread."""
        loader, copy = self._loader, self._copy
        self._loader = self._copy = None
        assert loader is not None, "only what is loaded is unloaded"
        assert copy is not None, "what is loaded has a copy"
        try:
            loader.unload()
        finally:
            copy.release()


def _copy(uri: str, file: StoredFile, target: Path, go_on: Callable[[], None]) -> None:
    """Copy one file, block by block, and check it."""
    digest, got = hashlib.md5(usedforsecurity=False), 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(stored_versions.blocks(uri, file.name)) as blocks, target.open("xb") as copied:
        go_on()
        for block in blocks:
            go_on()
            got += len(block)
            if got > file.size_bytes:
                break
            copied.write(block)
            if file.md5:  # it takes longer than all else
                digest.update(block)
    if got != file.size_bytes:
        more = "more than" if got > file.size_bytes else f"{got:,} of"
        raise LoadFailed(f"the store gave {more} the {file.size_bytes:,} bytes of '{uri}/{file.name}'")
    if file.md5 and base64.b64encode(digest.digest()).decode() != file.md5:
        raise LoadFailed(
            f"'{uri}/{file.name}' has another MD5 sum here than in its store; it was damaged on its way"
        )
