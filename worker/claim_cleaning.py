"""Removes what a group of workers has written for replies and nobody needs any more (`claims.keep_seconds`).

Every worker of a group does it, on a thread of its own; two at once do each other no harm. Only names that a worker
makes are ever removed, in the group's own folder.
"""

import logging
from collections.abc import Callable

from worker import claim_places, claim_store
from worker.log import Occasionally
from worker.store_uris import problem_of

log = logging.getLogger(__name__)


class ClaimCleaning:
    """Looks for what is too old; `step` runs on one thread.

    Args:
        folder: the group's folder.
        keep_seconds: what is written stays for so long, and at most ten minutes more.
        on_removed: told how many files were removed.
        wall: wall clock in seconds.
    """

    def __init__(
        self,
        folder: str,
        keep_seconds: float,
        *,
        on_removed: Callable[[int], None],
        wall: Callable[[], float],
    ) -> None:
        self._folder = folder
        self._keep_seconds = keep_seconds
        self._on_removed = on_removed
        self._wall = wall
        self._occasionally = Occasionally(log, seconds=600.0)
        self._closed = False

    def step(self) -> None:
        """Remove what is too old by now; what cannot be removed is tried again the next time."""
        try:
            for name in claim_store.names_in(self._folder):
                if self._closed:
                    return
                if claim_places.has_expired(name, self._keep_seconds, self._wall()):
                    self._empty(f"{self._folder}/{name}")
        except Exception as error:  # noqa: BLE001 - what a store's library raises is its own affair
            self._occasionally.warning(
                "old data of replies cannot be removed; it stays under claims.write_root until it can",
                problem=problem_of(error),
            )

    def close(self) -> None:
        """End at the next file."""
        self._closed = True

    def _empty(self, folder: str) -> None:
        for name in claim_store.names_in(folder):
            if self._closed:
                return
            if claim_places.is_file(name) and claim_store.remove(f"{folder}/{name}"):
                self._on_removed(1)
        claim_store.remove_folder(folder)
