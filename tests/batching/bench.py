"""What the tests of this folder work with: a task that shows its rows, and a scheduler on a fake clock."""

import contextlib
import threading
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from batching import padding
from batching.batch import Batch
from batching.batch_queue import BatchQueue
from batching.options import QueueOptions
from batching.shared_scheduler import SharedScheduler
from tests.fakes.clock import FakeClock
from tests.kit.waiting import PATIENCE_SECONDS

THREAD_COUNTS = (0, 1, 3)


@dataclass(frozen=True)
class Rows:
    """A task that is `rows` rows of something called `name`, from row `start` on.

    It can be cut at multiples of `cut` rows, like a block of requests of `cut` rows each; 0: nowhere.
    """

    name: str
    rows: int
    cut: int = 0
    start: int = 0

    def split(self, rows: int) -> tuple[Self, Self] | None:
        """Cut as late as allowed."""
        head = rows // self.cut * self.cut if self.cut else 0
        if not head:
            return None
        make = type(self)
        return (
            make(self.name, head, self.cut, self.start),
            make(self.name, self.rows - head, self.cut, self.start + head),
        )


@dataclass
class RecordingObserver:
    """Keeps what it is told."""

    formed: list[tuple[str, Batch[Any]]] = field(default_factory=list)
    failed: list[tuple[str, Batch[Any], BaseException]] = field(default_factory=list)

    def batch_formed(self, queue_name: str, batch: Batch[Any]) -> None:
        """Keep it."""
        self.formed.append((queue_name, batch))

    def process_failed(self, queue_name: str, batch: Batch[Any], error: BaseException) -> None:
        """Keep it."""
        self.failed.append((queue_name, batch, error))


class Bench:
    """A scheduler with 0 or more threads on a fake clock; `settle` brings each of them to rest."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.clock = FakeClock()
        self.observer = RecordingObserver()
        self.batches: list[Batch[Rows]] = []
        self.expired: list[tuple[float, Rows]] = []
        """When, and which task."""
        self.keeper = 0
        """1 as soon as a task has had a deadline and a thread keeps it."""
        self.scheduler = SharedScheduler(
            threads, clock=self.clock, observer=self.observer, make_condition=self.clock.condition
        )
        self.settle()

    def queue(self, name: str = "q", /, family: Hashable = None, **options: Any) -> BatchQueue[Rows]:
        """Add a queue whose batches are kept."""
        return self.scheduler.add_queue(
            name, QueueOptions(**options), self.batches.append, family=family, expired=self.expire
        )

    def expire(self, task: Rows) -> None:
        """Keep a task that is out of time."""
        self.expired.append((self.clock(), task))

    def learn(self, queue: BatchQueue[Rows]) -> None:
        """Let one batch of a queue run, by which it knows that they take no time on this clock."""
        queue.schedule(Rows(queue.name, queue.options.max_batch_rows))
        self.settle()
        self.batches.clear()

    def schedule(self, queue: BatchQueue[Rows], task: Rows, seconds: float | None = None) -> None:
        """Schedule a task with so many seconds of time."""
        if seconds is not None or queue.options.rejects:
            self.keeper = 1 if self.threads else 0
        queue.schedule(task, deadline=None if seconds is None else self.clock() + seconds)

    def settle(self) -> None:
        """Let every batch that is due be processed; afterwards each thread sleeps."""
        if self.threads:
            self.clock.wait_for_sleepers(self.threads + self.keeper)
        else:
            while self.scheduler.step():
                pass

    def advance(self, seconds: float) -> None:
        """Let time pass, and what is due then be processed."""
        self.clock.advance(seconds)
        self.settle()

    @contextlib.contextmanager
    def all_threads_busy(self) -> Iterator[None]:
        """Inside, no batch is processed; afterwards all that are due have been."""
        entered, release = threading.Semaphore(0), threading.Event()

        def hold(batch: Batch[Rows]) -> None:
            entered.release()
            assert release.wait(PATIENCE_SECONDS)

        blocker = self.scheduler.add_queue("blocker", QueueOptions(max_batch_rows=1), hold)
        for _ in range(self.threads):
            blocker.schedule(Rows("blocker", 1))
            assert entered.acquire(timeout=PATIENCE_SECONDS)
        try:
            yield
        finally:
            release.set()
        self.settle()

    def contents(self) -> list[list[tuple[str, int]]]:
        """Each batch as (name, rows) of its tasks, in the order of their tasks."""
        return [[(task.name, task.rows) for task in batch.tasks] for batch in self.batches]

    def row_counts(self) -> list[list[int]]:
        """Each batch as its tasks' rows, sorted, because several threads finish in any order."""
        return sorted([task.rows for task in batch.tasks] for batch in self.batches)


def rows_taken(batches: Sequence[Batch[Rows]], options: QueueOptions, queues: int) -> list[list[int]]:
    """The rows of the queues named "0", "1", … as they left, each batch within these options."""
    taken: list[list[int]] = [[] for _ in range(queues)]
    for batch in batches:
        assert 1 <= batch.rows == sum(task.rows for task in batch.tasks) <= options.max_batch_rows
        assert batch.padded_rows == padding.next_allowed(batch.rows, options.allowed_batch_rows)
        assert len(batch.tasks) == len(batch.enqueued_at)
        assert batch.waited_seconds >= 0
        for task in batch.tasks:
            taken[int(task.name)] += range(task.start, task.start + task.rows)
    return taken
