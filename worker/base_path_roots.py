"""Which places control records may name: those under a root that the operator allows.

Whoever writes a control record may name any place, and workers open it with their own rights. So a base path is
compared as text when its record is read, and by where its links lead before it is listed, before one of its versions
is looked into, and once more, with every link inside the version, right before a load. What lies on a file system
may change between that look and the load; but whoever can change it can also change the model.

A base path in a store (`s3://…`) is compared as text alone, and needs a root: nobody is to have a worker reach out to
a place that its operator has not named.
"""

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from lifecycle.errors import PermanentLoadFailure
from worker.store_uris import is_remote, is_uri, lies_below, normal_place, opened_as

SETTING = "lifecycle.base_path_roots"

_LONGEST_SHOWN = 120
_SHOWN_ROOTS = 3

Found = TypeVar("Found")


def normal_root(root: str) -> str:
    """A root as it is compared, without a slash at its end.

    Raises:
        ValueError: it cannot be one; the message says why.
    """
    if is_uri(root):
        root = opened_as(normal_place(root))
        if is_remote(root):
            return root
    parts = root.split("/")
    if not root.startswith("/") or "\0" in root or ".." in parts:
        raise ValueError(
            f"{root!r} is no root; expected an absolute path without '..', as in /srv/models, "
            "or a place in a store, as in s3://bucket/models"
        )
    return "/" + "/".join(_parts(root))


class BasePathRoots:
    """The roots that are allowed; immutable, so any thread may ask. Without one every local path is allowed.

    The sentences name paths between quotation marks, so that `told_reasons` takes them out for requesters.

    Args:
        roots: as `normal_root` takes them.
        copies: where copies of what lies in stores are put: loads may read there, and records may not name it.

    Raises:
        ValueError: one of *roots* cannot be one, as `normal_root`.
    """

    def __init__(self, roots: Iterable[str] = (), copies: str = "") -> None:
        self._roots = tuple(map(normal_root, roots))
        self._local_roots = tuple(root for root in self._roots if not is_remote(root))
        self._copies = copies

    def __bool__(self) -> bool:
        return bool(self._roots)

    def problem_of_text(self, base_path: str) -> str | None:
        """Why a record may not say this base path, by its text alone; None when it may, as far as that tells."""
        base_path = opened_as(base_path)
        if is_remote(base_path):
            return self._problem_of_store(base_path)
        if not self._roots:
            return None
        if ".." in base_path.split("/"):
            return f"base_path {_shown(base_path)} has '..' in it, which {SETTING} does not allow; name it without"
        if any(_under(root, base_path) for root in self._local_roots):
            return None
        return f"base_path {_shown(base_path)} {self._what_to_do()}"

    def problem_of(self, path: str) -> str | None:
        """Why a path may not be opened, by where its links lead; None when it may. Reads the file system."""
        if is_remote(path):
            return self._problem_of_store(path)
        if not self._roots:
            return None
        try:
            real = os.path.realpath(path)
            if any(_under(os.path.realpath(root), real) for root in self._local_roots):
                return None
        except (OSError, ValueError) as error:  # ValueError: a name that this system has no bytes for
            return f"where {_shown(path)} leads cannot be told: {type(error).__name__}"
        leads = "" if real == path else f" leads to {_shown(real)}, which"
        return f"{_shown(path)}{leads} {self._what_to_do()}"

    def guarded(self, look: Callable[[str], Found]) -> Callable[[str], Found]:
        """The same look at a path, which raises PermissionError instead where the path may not be opened."""
        if not self._roots:
            return look

        def look_if_allowed(path: str) -> Found:
            problem = self.problem_of(path)
            if problem is not None:
                raise PermissionError(errno.EACCES, problem, path)
            return look(path)

        return look_if_allowed

    def check_version(self, directory: str) -> None:
        """Look at a version's directory and at every link in it; on a load thread.

        Raises:
            PermanentLoadFailure: one of them leads out of the roots.
            OSError: the directory cannot be looked through.
        """
        if not self._roots or (self._copies and _under(self._copies, directory)):
            return  # a copy has no links
        for path in _with_links_inside(directory):
            problem = self.problem_of(path)
            if problem is not None:
                raise PermanentLoadFailure(problem)

    def store_root_of(self, path: str) -> str | None:
        """The root under which a place in a store lies; None for one of this machine, or that is not allowed."""
        path = opened_as(path)
        return next(
            (root for root in self._roots if is_remote(root) and (path == root or lies_below(path, root))),
            None,
        )

    def _problem_of_store(self, path: str) -> str | None:
        if self.store_root_of(path) is not None:
            return None
        try:
            normal_place(path, "base_path")
        except ValueError as error:
            return str(error)  # without the path, which may hold a password
        if self._roots:
            return f"base_path {_shown(path)} {self._what_to_do()}"
        return (
            f"base_path {_shown(path)} lies in a store, and {SETTING} names no place in one; add its folder there, and "
            "those of models on this machine, and start the workers again"
        )

    def _what_to_do(self) -> str:
        roots = ", ".join(map(_shown, self._roots[:_SHOWN_ROOTS]))
        more = len(self._roots) - _SHOWN_ROOTS
        return (
            f"lies under none of {SETTING} ({roots}{f' and {more:,} more' if more > 0 else ''}); put the model there, "
            "or add its folder to that setting and start the workers again"
        )


def _with_links_inside(directory: str) -> Iterator[str]:
    """The directory, and each link in it, whatever the depth; a folder is yielded before it is opened."""
    yield directory
    if not os.path.isdir(directory):  # noqa: PTH112 - a control record's path stays text
        return  # its loader says what is wrong
    folders, opened = [directory], {os.path.realpath(directory)}
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                linked = entry.is_symlink()
                if linked:
                    yield entry.path
                if entry.is_dir() and (real := os.path.realpath(entry.path)) not in opened:
                    opened.add(real)
                    folders.append(entry.path)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in {"", "."}]


def _under(root: str, path: str) -> bool:
    parts = _parts(root)
    return path.startswith("/") and _parts(path)[: len(parts)] == parts


def _shown(path: str) -> str:
    return repr(path if len(path) <= _LONGEST_SHOWN else f"{path[:_LONGEST_SHOWN]}…")
