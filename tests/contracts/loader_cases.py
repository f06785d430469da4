"""The loaders that must keep the contract of `lifecycle.loader.Loader`; a new kind adds its case here."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from lifecycle.loader import Loader
from tests.fakes import servables


@dataclasses.dataclass(frozen=True)
class LoaderCase:
    """One kind of loader.

    Attributes:
        good: makes a loader that can load; called several times with one folder, each time for a new loader.
        broken: makes a loader that cannot, for a reason that may pass (a missing folder).
    """

    good: Callable[[Path], Loader]
    broken: Callable[[Path], Loader]


CASES = [
    pytest.param(
        LoaderCase(
            good=lambda folder: servables.FakeLoader(1.0),
            broken=lambda folder: servables.BrokenLoader(),
        ),
        id="fake",
    ),
]
