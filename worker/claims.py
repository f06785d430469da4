"""Data that lies outside the records, put together: fetching for requests, writing for replies, cleaning up."""

import logging
from collections.abc import Callable

from lifecycle.threads import PeriodicStep, new_executor
from worker import stores, thread_slices
from worker.answering import Answering
from worker.budget import Budget
from worker.claim_cleaning import ClaimCleaning
from worker.claim_places import folder_of
from worker.claim_roots import Roots
from worker.claim_threads import ClaimThreads
from worker.claimed_replies import ClaimedReplies
from worker.claimed_requests import SETTING, ClaimedRequests
from worker.metrics import Metrics
from worker.settings import Settings
from worker.store_uris import normal_place

log = logging.getLogger(__name__)

WAITING_PART = 4
"""Replies that wait to be written may take a fourth of what the whole budget has in bytes, beside the budget."""
MOST_CLEANING_SECONDS = 600.0
END_SECONDS = 1.0
"""A cleaning that is on its way may take so long to see that it is to end; past that nobody waits for its store."""


class Claims:
    """What the settings make of it; made and closed by the poll thread. Without roots it has no thread.

    Attributes:
        replies: takes replies that are too large; None where they have no place to go to.
        cleaning: removes what is too old; likewise.
    """

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        own = self._settings = settings.claims
        self._metrics = metrics
        self._clock = clock
        self._roots = Roots(own.roots, SETTING)
        used = [root for root in (*own.roots, own.write_root) if root]
        for root in used:
            if (why := stores.lacking(root)) is not None:
                log.error(
                    "a store of claims cannot be used; requests and replies that need it are answered with errors",
                    extra={"root": root, "problem": why},
                )
        executor = new_executor(own.threads if used else 0, "claims", on_start=thread_slices.run_as_usual)
        self._threads = ClaimThreads(executor, seconds=own.seconds, clock=clock)
        self.replies: ClaimedReplies | None = None
        self.cleaning: ClaimCleaning | None = None
        self._cleaning_thread: PeriodicStep | None = None
        if not own.write_root:
            return
        folder = folder_of(normal_place(own.write_root), settings.kafka.group)
        self.replies = ClaimedReplies(
            self._threads,
            folder,
            most_bytes=settings.delivery.budget_bytes // WAITING_PART,
            observer=metrics,
            clock=clock,
            wall=wall,
        )
        self.cleaning = ClaimCleaning(folder, own.keep_seconds, on_removed=metrics.claims_removed, wall=wall)
        every = min(MOST_CLEANING_SECONDS, max(1.0, own.keep_seconds / 4))
        self._cleaning_thread = PeriodicStep(self.cleaning.step, every, "claims-cleaning")

    def requests(self, answering: Answering, budget: Budget) -> ClaimedRequests:
        """What waits for its data."""
        return ClaimedRequests(
            self._roots,
            self._threads,
            request_bytes=self._settings.request_bytes,
            seconds=self._settings.seconds,
            budget=budget,
            observer=self._metrics,
            answering=answering,
            clock=self._clock,
        )

    def close(self) -> None:
        """Begin nothing more; what hangs in a store is waited for by nobody."""
        self._threads.close()
        if self.cleaning is not None and self._cleaning_thread is not None:
            self.cleaning.close()
            self._cleaning_thread.close(END_SECONDS)
