"""Loaders of NumPy models, each with one fault, as code of others may have them; and one that waits for its test.

Worker processes know them as they would know anybody's (docs/loaders.md).
"""

import sys
import threading
from pathlib import Path

import pytest

from lifecycle.numpy_loader import NumpyLoader
from tests.kit import distributions

_GO = "go"
_LOOK_SECONDS = 0.01


class _Faulty(NumpyLoader):
    def __init__(self, path: str, _version: int) -> None:
        super().__init__(Path(path))
        self._base_path = Path(path).parent


class Hanging(_Faulty):
    """Never comes back."""

    def load(self) -> None:
        """Hang."""
        threading.Event().wait()


class Exiting(_Faulty):
    """Takes the process for its own."""

    def load(self) -> None:
        """End it."""
        sys.exit("no licence was found")


class PanicError(BaseException):
    """What a panic in Rust comes as: no `Exception`."""


class Panicking(_Faulty):
    """Breaks below Python, where that is told."""

    def load(self) -> None:
        """Panic."""
        raise PanicError("index out of bounds")


class OutOfMemory(_Faulty):
    """Loads a model that would answer, and has no memory for the last piece of it."""

    def load(self) -> None:
        """Run out of memory."""
        super().load()
        raise MemoryError


class Late(_Faulty):
    """Begins to read when the test says so."""

    def load(self) -> None:
        """Wait, then load."""
        while not (self._base_path / _GO).exists():
            threading.Event().wait(_LOOK_SECONDS)
        super().load()


LOADERS = {each.__name__.lower(): each for each in (Hanging, Exiting, Panicking, OutOfMemory, Late)}


def offer(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let worker processes of this test find them; *site* is a folder for that."""
    offers = {name: f"{__name__}:{loader.__name__}" for name, loader in LOADERS.items()}
    distributions.install(site, "headrace-test-faulty", offers)
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=":")


def let_go(base_path: Path) -> None:
    """Let the late versions under this base path begin to read, now and later."""
    (base_path / _GO).touch()
