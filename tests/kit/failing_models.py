"""NumPy models that load well and fail whenever they are run, once the test says so."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pytest

from lifecycle.numpy_loader import NumpyLoader, NumpyServable, hold_thread
from tests.kit import distributions

LOADER = "failing_runs"
_MARK = "fails"


class FailingServable(NumpyServable):
    """A servable that fails when it is run."""

    def run(
        self, signature: str, inputs: Mapping[str, npt.NDArray[Any]], outputs: Sequence[str]
    ) -> Mapping[str, npt.NDArray[Any]]:
        """Fail."""
        raise RuntimeError(f"signature {signature} was run with {sorted(inputs)} for {list(outputs)}")


class FailingLoader(NumpyLoader):
    """A NumPy model, or one that always fails."""

    def __init__(self, path: str, _version: int) -> None:
        super().__init__(Path(path))
        self._fails = (Path(path) / _MARK).exists()

    def load(self) -> None:
        """Load."""
        super().load()
        if self._fails:
            self._servable = FailingServable(self.servable._model, hold_thread)


def offer(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let worker processes of this test find the loader; *site* is a folder for that."""
    distributions.install(site, "headrace-test-failing", {LOADER: f"{__name__}:{FailingLoader.__name__}"})
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=":")


def fail(version_directory: Path) -> None:
    """Have every run of this version fail; before it is loaded."""
    (version_directory / _MARK).touch()
