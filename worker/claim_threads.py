"""The threads that fetch and write what claims name, and what becomes of those that hang in a store.

A store that never answers holds the thread that asked it. Its job is given up when its time is over; another thread
stands in for the one that hangs, up to a number of them, and goes when that one comes back.
"""

from collections.abc import Callable
from typing import Protocol

from lifecycle.threads import Executor

MOST_HANGING = 16
HANGS = "the store has not answered in the time of claims.seconds"
"""For the log."""


class Job(Protocol):
    """What a thread does: `worker.claim_fetch.Fetch` and `worker.claim_writing.Write`."""

    @property
    def started(self) -> float | None:
        """When it began; None before."""

    @property
    def ended(self) -> bool:
        """Whether it is over."""

    def run(self) -> None:
        """Do it."""

    def give_up(self) -> None:
        """Nobody waits any more."""


class ClaimObserver(Protocol):
    """Hears of data that was fetched or written; implemented by the metrics. Called on the poll thread."""

    def claim_done(self, action: str, seconds: float, size_bytes: int) -> None:
        """Data was fetched or written."""
        ...

    def claim_failed(self, action: str, code: str) -> None:
        """It was not."""
        ...


class ClaimThreads:
    """Runs jobs within their time; every method is called by one thread, the poll thread in a worker.

    Args:
        executor: its threads.
        seconds: the time of one job, from its beginning.
    """

    def __init__(self, executor: Executor, *, seconds: float, clock: Callable[[], float]) -> None:
        self._executor = executor
        self._seconds = seconds
        self._clock = clock
        self._hanging: list[Job] = []

    def begin(self, job: Job) -> None:
        """Have a job done, after those that were begun before."""
        self._executor.submit(job.run)

    def is_late(self, job: Job) -> bool:
        """Whether a job has had its time, or would have to wait for threads that all hang."""
        if job.started is None:
            return len(self._hanging) >= MOST_HANGING
        return not job.ended and self._clock() - job.started >= self._seconds

    def give_up(self, job: Job) -> None:
        """Nobody waits for a job any more; where its thread hangs, another stands in."""
        job.give_up()
        if job.started is not None and not job.ended and len(self._hanging) < MOST_HANGING:
            self._hanging.append(job)
            self._executor.lend_thread()

    def step(self) -> None:
        """Let the stand-ins go whose threads have come back."""
        if not self._hanging:
            return
        back = [job for job in self._hanging if job.ended]
        for job in back:
            self._hanging.remove(job)
            self._executor.return_thread()

    def close(self) -> None:
        """Take no more jobs; nobody waits for those that run."""
        self._executor.close(0.0)
