"""Reads, writes, lists and removes what claims name.

Files of this machine are opened here, not by fsspec: no link below a root is followed, and nothing but a regular file
is read, whatever happens to the folders meanwhile.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from schemas.claim import Buffer
from worker import stores
from worker.store_uris import FILE

CHUNK_BYTES = stores.CHUNK_BYTES
"""Read and written at a time."""


class NoPlainFileError(OSError):
    """What a place of this machine names is a folder, a link, a pipe or the like, or lies behind a link."""


@contextlib.contextmanager
def reading(uri: str, root: str) -> Iterator[BinaryIO]:
    """What lies at a place under a root (both checked by `worker.claim_roots`), opened for reading.

    Raises:
        OSError: there is no such file, it may not be read, or the store does not answer.
        Exception: whatever else the store's library raises.
    """
    if uri.startswith(FILE):
        with _open_below(root.removeprefix(FILE), uri.removeprefix(root).strip("/").split("/")) as file:
            yield file
        return
    store, path = stores.at(uri)
    with store.open(path, "rb", block_size=CHUNK_BYTES) as file:
        yield file


def write(uri: str, pieces: Sequence[Buffer]) -> None:
    """Put data at a place, whole before this returns; folders are made as needed. Raises as `reading`."""
    store, path = stores.at(uri)
    store.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
    with store.open(path, "wb") as file:
        for piece in pieces:
            view = memoryview(piece)
            for start in range(0, len(view), CHUNK_BYTES):
                file.write(view[start : start + CHUNK_BYTES])


def names_in(uri: str) -> list[str]:
    """The names in a folder, as the store has them now; none where there is no such folder. Raises as `reading`."""
    store, path = stores.at(uri)
    store.invalidate_cache(path)
    try:
        found = store.ls(path, detail=False)
    except FileNotFoundError:
        return []
    return sorted(each.rstrip("/").rsplit("/", 1)[-1] for each in found)


def remove(uri: str) -> bool:
    """Remove a file; whether there was one, because another may be faster. Raises as `reading`."""
    store, path = stores.at(uri)
    try:
        store.rm_file(path)
    except FileNotFoundError:
        return False
    return True


def remove_folder(uri: str) -> None:
    """Remove a folder that is empty, where the store has such a thing."""
    store, path = stores.at(uri)
    with contextlib.suppress(Exception):  # most stores know files only, and some folders are not empty
        store.rmdir(path)


def _open_below(root: str, segments: Sequence[str]) -> BinaryIO:
    """A regular file of this machine, found step by step from the root without following a link.

    Raises:
        FileNotFoundError: there is none.
        NoPlainFileError: it is something else, or one of the steps is a link.
        OSError: it may not be read, or the root is not there.
    """
    try:
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise ConnectionError("the root is not there; is it mounted?") from error
    plain = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        for segment in segments[:-1]:
            below = os.open(segment, plain | os.O_DIRECTORY, dir_fd=folder)
            os.close(folder)
            folder = below
        # Without O_NONBLOCK, opening a pipe would wait for somebody to write to it.
        number = os.open(segments[-1], plain | os.O_NONBLOCK, dir_fd=folder)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR, errno.ENXIO}:
            raise NoPlainFileError(error.errno, "a link, or no regular file") from error
        raise
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise NoPlainFileError(errno.EISDIR, "no regular file")
    return os.fdopen(number, "rb", buffering=0)
