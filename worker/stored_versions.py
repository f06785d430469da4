"""What lies under base paths in stores: which versions there are, which files each has, and their bytes.

All of it blocks as long as the store does, so it runs on threads of its own: looks on one for each root, reads on load
threads. What a store's library raises becomes one of our errors, in words that an operator can act on.
"""

import contextlib
import errno
import re
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lifecycle.errors import InvalidModel, LoadFailed
from worker import arrivals, stores, version_paths
from worker.arrivals import Contents
from worker.store_uris import has_more_meaning, is_remote, problem_of

UNFINISHED = ".unfinished"
"""The file that says, as long as it lies in a version, that the version is still being written."""

MOST_FILES = 10_000
"""Of one version: what is more is no model, and the list is kept in memory."""

_TIMES = ("LastModified", "last_modified", "mtime", "updated", "modified", "created")
_TIME_MS = "modificationTime"
_TAGS = ("ETag", "etag")
"""What stores call the time of a file's last change (HDFS in milliseconds), and the mark that changes with it."""

_TIME_UNKNOWN_NS = 2**63 - 1  # as of a clock that is ahead: then two looks decide
_CHANGING = re.compile(r"0x[0-9a-f]+|\b(?=[a-z-]*\d)[0-9a-f-]{12,}\b", re.IGNORECASE)
"""Of what a store says: addresses and ids. The same trouble is to read the same each time, so that it is told once."""


class StoreRefuses(LoadFailed):
    """A store does not let this worker read."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of a version, as the store lists it.

    Attributes:
        name: below the version, with slashes.
        size_bytes: as many as reading it must give.
        changed_ns: when it was changed, in nanoseconds since the epoch; None where the store does not say.
        tag: changes with the file; empty where the store does not say.
        md5: of its bytes, base64; empty where the store does not say.
    """

    name: str
    size_bytes: int
    changed_ns: int | None = None
    tag: str = ""
    md5: str = ""

    @property
    def told_apart(self) -> bool:
        """Whether another file of the same name and size would be seen to be another."""
        return bool(self.tag or self.md5) or self.changed_ns is not None


def list_directories(path: str) -> tuple[str, ...]:
    """The names of the directories right under a path, of this machine or in a store; raises OSError."""
    if not is_remote(path):
        return version_paths.list_directories(path)
    try:
        store, place = stores.at(path)
        entries = _entries(store, place)
    except Exception as error:  # noqa: BLE001 - what a store's library raises is its own affair
        raise OSError(_errno(error), _words(error)) from None
    return tuple(
        _path(entry).rpartition("/")[2]
        for entry in entries
        if entry.get("type") == "directory" and not entry.get("islink")
    )


def scan(directory: str) -> Contents:
    """What lies in a version's directory, of this machine or in a store, for `Arrivals`.

    Raises:
        FileNotFoundError: nothing can be said of it yet: it is not there, still being written, or the store is away.
        OSError: it cannot be read, and waiting does not help.
    """
    if not is_remote(directory):
        return arrivals.scan(directory)
    try:
        files = files_of(directory)
    except InvalidModel as error:
        raise OSError(errno.EINVAL, str(error)) from None
    except StoreRefuses as error:
        raise PermissionError(errno.EACCES, str(error)) from None
    except LoadFailed as error:
        raise FileNotFoundError(errno.ENOENT, str(error)) from None
    times = [_TIME_UNKNOWN_NS if each.changed_ns is None else each.changed_ns for each in files]
    facts = tuple((f"{each.name} {each.tag}", each.size_bytes, each.changed_ns or 0) for each in files)
    return Contents(facts, max(times))


def files_of(uri: str) -> tuple[StoredFile, ...]:
    """Every file of a version in a store, whatever the depth, by name; at least one.

    Raises:
        InvalidModel: there is something in it that cannot be copied.
        StoreRefuses: the store does not let this worker read there.
        LoadFailed: it is not there, still being written, or the store does not answer.
    """
    try:
        store, top = stores.at(uri)
        files = tuple(sorted(_walk(store, top, uri), key=lambda each: each.name))
    except LoadFailed:
        raise
    except Exception as error:  # noqa: BLE001 - what a store's library raises is its own affair
        raise _failed(f"'{uri}' cannot be listed", error) from None
    if any(each.name == UNFINISHED for each in files):
        raise LoadFailed(
            f"'{uri}' is still being written: it holds {UNFINISHED}; who writes it removes that last"
        )
    if not files:
        raise LoadFailed(f"'{uri}' holds no file")
    return files


def blocks(uri: str, name: str) -> Generator[bytes, None, None]:
    """The bytes of one file of a version in a store, block by block.

    Raises:
        LoadFailed: it is not there, or the store does not answer.
    """
    try:
        store, top = stores.at(uri)
        with store.open(f"{top}/{name}", "rb", block_size=stores.CHUNK_BYTES) as file:
            while block := file.read(stores.CHUNK_BYTES):
                yield block
    except Exception as error:  # noqa: BLE001 - likewise
        raise _failed(f"'{uri}/{name}' cannot be read", error) from None


def _walk(store: Any, top: str, uri: str) -> Iterator[StoredFile]:
    """The library's own walk passes over a folder that cannot be listed, and would find a part of a version whole."""
    prefix = f"{top.strip('/')}/"
    folders, seen = [top], set[str]()
    while folders:
        for entry in _entries(store, folders.pop()):
            name = _path(entry).removeprefix(prefix)
            _check_name(name, entry, uri)
            if name in seen:
                raise InvalidModel(f"'{uri}' holds {name!r} as a file and as a folder; rename one of them")
            seen.add(name)
            if len(seen) > MOST_FILES:
                raise InvalidModel(
                    f"'{uri}' holds more than {MOST_FILES:,} files and folders; is it a version?"
                )
            if entry["type"] == "directory":
                folders.append(entry["name"].rstrip("/"))
            else:
                yield _file(name, entry, uri)


def _entries(store: Any, folder: str) -> list[Mapping[str, Any]]:
    store.invalidate_cache(folder)
    listed = store.ls(folder, detail=True)
    # Some stores list what stands for the folder itself.
    return [entry for entry in listed if _path(entry) != folder.strip("/")]


def _path(entry: Mapping[str, Any]) -> str:
    return str(entry["name"]).strip("/")


def _check_name(name: str, entry: Mapping[str, Any], uri: str) -> None:
    """Raise `InvalidModel` for what would lie elsewhere once copied, or is no plain file."""
    parts = name.split("/")
    if not {"", ".", ".."}.isdisjoint(parts) or not name.isprintable() or has_more_meaning(name):
        raise InvalidModel(f"'{uri}' holds {name!r}, which is no plain name of a file; rename it")
    if entry.get("type") not in {"file", "directory"} or entry.get("islink"):
        raise InvalidModel(
            f"'{uri}' holds {name!r}, which is neither a file nor a folder; links are not followed"
        )


def _file(name: str, entry: Mapping[str, Any], uri: str) -> StoredFile:
    size = entry.get("size")
    if not isinstance(size, int) or size < 0:
        raise InvalidModel(
            f"the store does not say how large {name!r} in '{uri}' is, so no copy can be checked"
        )
    tag = next((str(entry[key]) for key in _TAGS if entry.get(key)), "")
    return StoredFile(name, size, _changed_ns(entry), tag, str(entry.get("md5Hash") or ""))


def _changed_ns(entry: Mapping[str, Any]) -> int | None:
    if isinstance(entry.get(_TIME_MS), int):
        return int(entry[_TIME_MS]) * 1_000_000
    for key in _TIMES:
        value = entry.get(key)
        if isinstance(value, str):
            with contextlib.suppress(ValueError):
                value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            value = value.timestamp()
        if isinstance(value, int | float):
            return int(value * 1e9)
    return None


def _errno(error: Exception) -> int:
    if isinstance(error, FileNotFoundError):
        return errno.ENOENT
    return errno.EACCES if isinstance(error, PermissionError) else errno.EIO


def _failed(what: str, error: Exception) -> LoadFailed:
    kind = StoreRefuses if isinstance(error, PermissionError) else LoadFailed
    return kind(f"{what}: {_words(error)}")


def _words(error: Exception) -> str:
    """What has happened, and what can be done."""
    said = _CHANGING.sub("…", problem_of(error))
    if isinstance(error, FileNotFoundError):
        return "the store has nothing there"
    if isinstance(error, PermissionError):
        return (
            "the store does not let this worker read there; its credentials are in fsspec's own configuration "
            f"({said})"
        )
    if isinstance(error, ImportError):
        return f"the library for its store is not installed beside headrace ({said})"
    return f"the store does not answer as it should ({said})"
