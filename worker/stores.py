"""The one module that knows fsspec: which store a place is in.

Which stores there are, and with which rights, is fsspec's own configuration (its files and environment, and those of
the store's library): neither our settings nor a record says anything of it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fsspec.spec import AbstractFileSystem

CHUNK_BYTES = 4 << 20
"""Read and written at a time: between two of them a thread notices that nobody waits any more."""


def lacking(root: str) -> str | None:
    """Why nothing can be read or written under a root whatever its store says: a library that is missing; else None."""
    import fsspec  # noqa: PLC0415 - takes 80 ms, which only those pay who use stores

    try:
        fsspec.get_filesystem_class(root.partition("://")[0])
    except (ImportError, ValueError) as error:
        return str(error)
    return None


def at(uri: str) -> "tuple[AbstractFileSystem, str]":
    """The store that a place is in, and its path there.

    Raises:
        Exception: whatever the store's library raises, or ImportError where it is not installed.
    """
    from fsspec.core import url_to_fs  # noqa: PLC0415 - takes 80 ms, which only those pay who use stores

    store, path = url_to_fs(uri)
    return store, path
