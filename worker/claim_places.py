"""The names of what we write ourselves: unguessable, with the date in their folder, and told from all others' names."""

import hashlib
import re
import secrets
from datetime import UTC, datetime

FOLDER_SECONDS = 600
"""What is written in ten minutes lies in one folder, so that cleaning lists folders, not files: 144 for a day."""
_STAMP = "%Y%m%dT%H%MZ"
_FOLDER = re.compile(r"\d{8}T\d{4}Z")
_FILE = re.compile(r"[0-9a-f]{32}")


def folder_of(root: str, owner: str) -> str:
    """Where all that one owner (a group of workers, the clients of a topic) writes lies, below a normal root."""
    readable = re.sub(r"[^A-Za-z0-9_-]", "-", owner)[:64]
    return f"{root}/headrace-{readable}-{hashlib.sha256(owner.encode()).hexdigest()[:8]}"


def new_place(folder: str, now: float) -> str:
    """A place below an owner's folder that nobody has used or can guess; *now* is the wall clock."""
    begin = now // FOLDER_SECONDS * FOLDER_SECONDS
    return f"{folder}/{datetime.fromtimestamp(begin, UTC).strftime(_STAMP)}/{secrets.token_hex(16)}"


def has_expired(name: str, keep_seconds: float, now: float) -> bool:
    """Whether all of a folder with that name is older than *keep_seconds*; False for any name that is not ours."""
    if not _FOLDER.fullmatch(name):
        return False
    try:
        begin = datetime.strptime(name, _STAMP).replace(tzinfo=UTC).timestamp()
    except ValueError:  # the 99th of a month
        return False
    return begin + FOLDER_SECONDS + keep_seconds <= now


def is_file(name: str) -> bool:
    """Whether we may have written a file of that name."""
    return _FILE.fullmatch(name) is not None
