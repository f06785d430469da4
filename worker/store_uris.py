"""Places in stores, as text: how they are written, and what is refused because it could mean another place.

Whoever writes a request or a control record may name any place. So a place is compared as text before anything is
asked of a store, and what could mean another place than it reads (`..`, escapes, links in links) is refused, whatever
the store makes of it.
"""

import re

from worker.settings_secrets import without_secrets

FILE = "file://"
_LONGEST_PROBLEM = 300
MEANS_MORE = frozenset("%?#\\*@")
"""Escapes, parameters, other separators, patterns and users: in one store or another they change what is named."""
_URI = re.compile(r"(?P<protocol>[a-z][a-z0-9+.-]*)://(?P<path>.*)", re.DOTALL)
_CLIMBS = frozenset({"", ".", ".."})


def is_uri(path: str) -> bool:
    """Whether a path is written as a URI, and not as a path of this machine."""
    return "://" in path and not path.startswith("/")


def is_remote(path: str) -> bool:
    """Whether a path lies in a store; `file://` is this machine."""
    return is_uri(path) and not path.startswith(FILE)


def opened_as(path: str) -> str:
    """A place as it is opened: a `file://` as the path that it is, one in a store without a slash at its end."""
    if path.startswith(FILE):
        return path.removeprefix(FILE)
    return path.rstrip("/") if is_uri(path) else path


def normal_place(uri: str, what: str = "root") -> str:
    """A place as it is compared, without a slash at its end; *what* it is called in errors.

    Raises:
        ValueError: it cannot be one; the message says why.
    """
    if has_more_meaning(uri) or not uri.isprintable():
        # Not repeated: it may be a password.
        raise ValueError(
            f"a {what} has '::', one of {' '.join(sorted(MEANS_MORE))} or what cannot be printed in it; users and "
            "passwords belong into fsspec's own configuration"
        )
    found = _URI.fullmatch(uri)
    if found is None:
        raise ValueError(
            f"{uri!r} is no {what}; give protocol and place, as in s3://bucket/folder or file:///folder"
        )
    segments = found["path"].rstrip("/").split("/")
    if found["protocol"] in {"file", "local"} and (not uri.startswith("file:///") or segments[1:] == []):
        raise ValueError(f"{uri!r} is no folder of this machine; give one as in file:///srv/folder")
    if segments[-1] == "" or _CLIMBS & set(segments[1:]):
        raise ValueError(
            f"{uri!r} names no place below its protocol, or has an empty segment, '.' or '..' in it"
        )
    return uri.rstrip("/")


def has_more_meaning(uri: str) -> bool:
    """Whether there is something in a place that could change what it names."""
    return "::" in uri or not MEANS_MORE.isdisjoint(uri)


def lies_below(uri: str, root: str) -> bool:
    """Whether a place lies below a normal root, by its text; the root itself does not."""
    below = uri.removeprefix(f"{root}/")
    return below != uri and _CLIMBS.isdisjoint(below.split("/"))


def problem_of(error: Exception) -> str:
    """What a store's library says, for the log: its kind, and its first line without secrets in URLs."""
    first = next(iter(str(error).splitlines()), "")
    return without_secrets(f"{type(error).__name__}: {first}")[:_LONGEST_PROBLEM]
