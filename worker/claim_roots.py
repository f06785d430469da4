"""Which places claims may name: those under a root that an operator, or the user of a client, has set.

Whoever writes a request may name any place. So a place is compared as text before anything is asked of a store, and
what could mean another place than it reads (`..`, escapes, links in links) is refused, whatever the store makes of it.
"""

import re
from collections.abc import Iterable

from schemas.errors import Code
from worker.settings_secrets import without_secrets

LONGEST_PROBLEM = 300
_ROOT = re.compile(r"(?P<protocol>[a-z][a-z0-9+.-]*)://(?P<path>.*)")
_MEANS_MORE = frozenset("%?#\\*@")
"""Escapes, parameters, other separators, patterns and users: in one store or another they change what is named."""


class ClaimError(Exception):
    """The data of a claim cannot be had, or cannot be stored.

    The message is for the requester: it names the tensor and the reason, and neither places nor the store's own words.

    Attributes:
        code: what the requester is told.
        problem: what an operator is to see to, for the log; empty where the requester is.
    """

    def __init__(self, code: Code, message: str, problem: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.problem = problem


def problem_of(error: Exception) -> str:
    """What a store's library says, for the log: its kind, and its first line without secrets in URLs."""
    first = next(iter(str(error).splitlines()), "")
    return without_secrets(f"{type(error).__name__}: {first}")[:LONGEST_PROBLEM]


def normal_root(root: str) -> str:
    """A root as it is compared, without a slash at its end.

    Raises:
        ValueError: it cannot be one; the message says why.
    """
    if "::" in root or _MEANS_MORE & set(root) or not root.isprintable():
        # Not repeated: it may be a password.
        raise ValueError(
            f"a root has '::', one of {' '.join(sorted(_MEANS_MORE))} or what cannot be printed in it; users and "
            "passwords belong into fsspec's own configuration"
        )
    found = _ROOT.fullmatch(root)
    if found is None:
        raise ValueError(
            f"{root!r} is no root; give protocol and place, as in s3://bucket/folder or file:///folder"
        )
    segments = found["path"].rstrip("/").split("/")
    if found["protocol"] in {"file", "local"} and (not root.startswith("file:///") or segments[1:] == []):
        raise ValueError(f"{root!r} is no folder of this machine; give one as in file:///srv/claims")
    if segments[-1] == "" or {".", "..", ""} & set(segments[1:]):
        raise ValueError(
            f"{root!r} names no place below its protocol, or has an empty segment, '.' or '..' in it"
        )
    return root.rstrip("/")


class Roots:
    """The roots that are allowed; may be used by any thread.

    Args:
        roots: as `normal_root` takes them.
        setting: what to call the setting in which they stand, and the place where it stands.
    """

    def __init__(self, roots: Iterable[str], setting: str) -> None:
        self._roots = tuple(map(normal_root, roots))
        self._setting = setting

    def __bool__(self) -> bool:
        return bool(self._roots)

    def of(self, tensor: str, uri: str) -> str:
        """The root that a place lies under.

        Raises:
            ClaimError: none, or nothing is allowed at all.
        """
        if not self._roots:
            raise ClaimError(
                Code.FAILED_PRECONDITION,
                f"tensor '{tensor}': its data lies elsewhere, and no place is allowed here; {self._setting} says "
                "which are",
            )
        if "::" in uri or _MEANS_MORE & set(uri):
            raise ClaimError(
                Code.INVALID_ARGUMENT,
                f"tensor '{tensor}': the uri of its claim has '::' or one of {' '.join(sorted(_MEANS_MORE))} in it; "
                "only plain places are taken",
            )
        for root in self._roots:
            below = uri.removeprefix(root + "/")
            if below != uri and not {"", ".", ".."} & set(below.split("/")):
                return root
        raise ClaimError(
            Code.INVALID_ARGUMENT,
            f"tensor '{tensor}': the uri of its claim lies under none of the places that are allowed here "
            f"({self._setting})",
        )
