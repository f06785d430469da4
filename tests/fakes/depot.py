"""A store for models: what is in memory, with every trouble that a store can make."""

import io
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import fsspec
from fsspec.implementations.memory import MemoryFileSystem


class Depot(MemoryFileSystem):  # type: ignore[misc]  # fsspec ships no types
    """`depot://`: files in memory.

    Attributes:
        away: raised by every call; None: the store is there.
        opened: the paths that were opened for reading.
        on_look: called whenever a folder is listed.
        on_block: called with a path before each block that is read of it.
        listed: changes what is said of a file.
        cut_bytes: reading a file ends there; None: at its end.
    """

    protocol = "depot"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    away: ClassVar[Exception | None] = None
    opened: ClassVar[list[str]] = []
    on_look: ClassVar[Callable[[], object]]
    on_block: ClassVar[Callable[[str], object]]
    listed: ClassVar[Callable[[Mapping[str, Any]], Mapping[str, Any]]]
    cut_bytes: ClassVar[int | None] = None

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + str(path).removeprefix("depot://").strip("/")

    def ls(self, path: str, detail: bool = True, **keywords: Any) -> Any:
        """List, unless there is trouble."""
        Depot.on_look()
        self._fail_if_away()
        found = super().ls(path, detail=True, **keywords)
        told = [dict(Depot.listed(each)) for each in found]
        return told if detail else sorted(each["name"] for each in told)

    def _open(self, path: str, mode: str = "rb", **keywords: Any) -> Any:
        if mode != "rb":
            return super()._open(path, mode, **keywords)
        self._fail_if_away()
        self.opened.append(path)
        return _Blocks(path, super()._open(path, mode, **keywords).getvalue()[: Depot.cut_bytes])

    def _fail_if_away(self) -> None:
        if Depot.away is not None:
            raise Depot.away

    @classmethod
    def reset(cls) -> None:
        """No trouble, nothing stored."""
        cls.store.clear()
        cls.pseudo_dirs[:] = [""]
        cls.opened.clear()
        cls.away = cls.cut_bytes = None
        cls.on_look = lambda: None
        cls.on_block = lambda _path: None
        cls.listed = lambda entry: entry


class _Blocks(io.BytesIO):
    def __init__(self, path: str, data: bytes) -> None:
        super().__init__(data)
        self._path = path

    def read(self, size: int | None = -1, /) -> bytes:
        """The next block."""
        Depot.on_block(self._path)
        return super().read(size)


Depot.reset()
fsspec.register_implementation("depot", Depot, clobber=True)


def new_root(protocol: str = "depot") -> str:
    """A root that no other test has."""
    return f"{protocol}://models-{uuid.uuid4().hex}"


def put(uri: str, files: Mapping[str, bytes]) -> None:
    """Write files below a place, one after the other."""
    store, path = fsspec.core.url_to_fs(uri)
    for name, data in files.items():
        store.makedirs(f"{path}/{name}".rpartition("/")[0], exist_ok=True)
        store.pipe_file(f"{path}/{name}", data)


def put_version(directory: Path, uri: str) -> None:
    """Write what lies in a version's directory below a place."""
    put(
        uri,
        {
            str(each.relative_to(directory)): each.read_bytes()
            for each in directory.rglob("*")
            if each.is_file()
        },
    )
