"""NumPy models that wait for the test: what happens meanwhile then hangs on no length of time.

A model that is written with `load_seconds` waits when it is loaded, one with `sleep_seconds` in each call, until the
test opens it; and that time comes after the wait. Worker processes know the loader as they would know anybody's
(docs/loaders.md).
"""

import threading
from pathlib import Path

import pytest

from lifecycle.numpy_loader import NumpyLoader, hold_thread
from tests.kit import distributions

LOADER = "gated"
_GATE = "open"
_LOOK_SECONDS = 0.01


class GatedLoader(NumpyLoader):
    """A NumPy model that holds its thread until it is open."""

    def __init__(self, path: str, _version: int) -> None:
        directory = Path(path)

        def hold(seconds: float) -> None:
            while not (directory / _GATE).exists():
                threading.Event().wait(_LOOK_SECONDS)
            hold_thread(seconds)

        super().__init__(directory, hold)


def offer(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let worker processes of this test find the loader; *site* is a folder for that."""
    distributions.install(site, "headrace-test-gated", {LOADER: f"{__name__}:{GatedLoader.__name__}"})
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=":")


def open_gate(version_directory: Path) -> None:
    """Let go on whoever waits for this version, now and later."""
    (version_directory / _GATE).touch()
