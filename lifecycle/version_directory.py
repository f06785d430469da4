"""A new version's directory, which is there with all its files or not at all."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from lifecycle import errors


@contextlib.contextmanager
def new_version_directory(directory: Path) -> Iterator[Path]:
    """A folder to write a version into, renamed to *directory* when the block ends well and removed when it fails.

    It lies beside *directory*, under a name that no worker takes for a version. Before it is renamed its files are on
    the disk, so that a machine that fails leaves no version that is half there.

    Raises:
        InvalidTable: *directory* is there already, before or by the end of the block.
        OSError: the files cannot be written.
    """
    _refuse_existing(directory)
    folder = directory.parent / f".{directory.name}.{secrets.token_hex(4)}.unfinished"
    folder.mkdir(parents=True)
    try:
        yield folder
        for path in (*folder.iterdir(), folder):
            _to_disk(path)
        _refuse_existing(directory)
        folder.rename(directory)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    _to_disk(directory.parent)


def _refuse_existing(directory: Path) -> None:
    if os.path.lexists(directory):
        raise errors.InvalidTable(
            f"{directory} is there already; a version is never changed, so give the new one another number"
        )


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
