"""SavedModels on a storage that takes its time, as one across a network does, offered as a loader of one's own.

What it waits for is not the processor: so many loads at once take hardly longer than one.
"""

import threading
from pathlib import Path

from lifecycle.saved_model_loader import SavedModelLoader
from tests.kit import distributions

NAME = "stored"
STORAGE_SECONDS = 0.25
"""Until the files of a small model are there: some ten requests to an object store, one after the other."""


class StoredLoader(SavedModelLoader):
    """Brings one version once its files would have come."""

    def __init__(self, path: str, _version: int) -> None:
        super().__init__(Path(path))

    def load(self) -> None:
        """Wait, then load; on a load thread. Raises as the loader of SavedModels."""
        threading.Event().wait(STORAGE_SECONDS)
        super().load()


def offer(site: Path) -> None:
    """Put the distribution that brings the loader into a folder of a worker's modules."""
    distributions.install(site, "headrace-bench-stored", {NAME: f"{__name__}:{StoredLoader.__name__}"})
