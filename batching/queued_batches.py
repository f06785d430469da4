"""What waits in a queue, and when it is due: the questions that are asked about it, which change nothing."""

import itertools
from collections import deque
from typing import Generic

from batching import padding
from batching.batch import NEVER, Batch, CloseReason
from batching.options import QueueOptions
from batching.run_costs import RunCosts
from batching.task import T

AT_ONCE = float("-inf")


class QueuedBatches(Generic[T]):
    """The batches of a queue, of which at most the last one is open, and behind them those that are late.

    Late tasks are in open batches; a queue has such where its options delay them. Changed by `TaskQueue` only.
    """

    def __init__(self, name: str, options: QueueOptions) -> None:
        self.name = name
        self.options = options
        self.rejects = options.rejects
        self.enqueued_tasks = 0
        """Tasks waiting; a split task counts once for each of its parts."""
        self.enqueued_rows = 0
        self.closed = False
        self.costs = RunCosts(exact=bool(options.allowed_batch_rows))
        """How long its batches run; noted where tasks may have deadlines or its padding policy asks."""
        self.not_before = AT_ONCE
        """No batch that is open is due before, but for the deadline of a task."""
        self._batches: deque[Batch[T]] = deque()
        self._delays = options.delays
        self._late: deque[Batch[T]] = deque()  # older than all that are not
        waits_seconds = options.queue_timeout_seconds if self._delays else options.batch_timeout_seconds
        self._ages_seconds = waits_seconds + options.ageing_seconds

    @property
    def enqueued_batches(self) -> int:
        """Batches waiting, the open one included."""
        return len(self._batches) + len(self._late)

    @property
    def room_rows(self) -> int:
        """Rows that the open batch can still take; 0 when there is none."""
        if not self._batches or self._batches[-1].close_reason is not None:
            return 0
        return self.options.max_batch_rows - self._batches[-1].rows

    @property
    def capacity_rows(self) -> int:
        """Rows of a freely divisible task that would be accepted now."""
        if self.closed:
            return 0
        free_batches = max(0, self.options.max_enqueued_batches - self.enqueued_batches)
        return free_batches * self.options.max_batch_rows + self.room_rows

    @property
    def due_at(self) -> float | None:
        """When the first batch may be taken: `AT_ONCE` when it is closed, None when the queue is empty."""
        if not self._late:
            return self._due_at(self._batches[0]) if self._batches else None
        late_at = self._due_at(self._late[0])
        return min(late_at, self._due_at(self._batches[0])) if self._batches else late_at

    @property
    def ages_at(self) -> float | None:
        """When the first batch has let others go first for long enough; None when the queue is empty."""
        oldest = self._oldest
        return None if oldest is None else oldest.enqueued_at[0] + self._ages_seconds

    def available_batches(self, now: float) -> int:
        """How many threads could each take a batch now."""
        late = len(self._late) if self._late and now >= self._due_at(self._late[0]) else 0
        if not self._batches:
            return late
        return late + len(self._batches) - (now < self._due_at(self._batches[-1]))

    def why_now(self, now: float) -> CloseReason:
        """Why the first batch leaves, which is due. Requires: there is a batch."""
        if not self.options.batch_timeout_seconds:
            return CloseReason.IDLE
        oldest = self._oldest
        assert oldest is not None, "there is a batch"
        timed_out = now >= oldest.enqueued_at[0] + self.options.batch_timeout_seconds
        return CloseReason.TIMEOUT if timed_out else CloseReason.DEADLINE

    @property
    def holds_closed_batch(self) -> bool:
        """Whether a batch waits that takes no more tasks: waiting longer adds nothing to it."""
        return bool(self._batches) and self._batches[0].close_reason is not None

    def oldest_seconds(self, now: float) -> float:
        """How long the oldest task has waited; 0 when the queue is empty."""
        oldest = self._oldest
        return 0.0 if oldest is None else now - oldest.enqueued_at[0]

    @property
    def deadline(self) -> float:
        """The earliest deadline of a task that waits; `NEVER` where none has one."""
        return min((batch.deadline for batch in itertools.chain(self._late, self._batches)), default=NEVER)

    @property
    def expires_at(self) -> float:
        """When the first task that waits is out of time, by its deadline or the options; `NEVER` where none will be."""
        own = self.deadline
        return self.times_out_at(self._batches[0].enqueued_at[0], own) if self._batches else own

    def times_out_at(self, enqueued_at: float, deadline: float | None) -> float:
        """When a task that came then is out of time, with a deadline of its own or without."""
        own = NEVER if deadline is None else deadline
        return min(own, enqueued_at + self.options.queue_timeout_seconds) if self.rejects else own

    @property
    def _oldest(self) -> Batch[T] | None:
        """The batch whose first task has waited for the longest."""
        return self._late[0] if self._late else self._batches[0] if self._batches else None

    def _due_at(self, batch: Batch[T]) -> float:
        """When a batch may be taken; only one that is late is open in a queue that is closed."""
        return AT_ONCE if batch.close_reason is not None or self.closed else self._open_until(batch)

    def _open_until(self, batch: Batch[T]) -> float:
        """When an open batch may be taken: at its time-out, or earlier where a task of it would be late otherwise."""
        timed_out_at = batch.enqueued_at[0] + self.options.batch_timeout_seconds
        if self.not_before > timed_out_at:  # it waits for an even start, but not when it has aged
            timed_out_at = min(self.not_before, timed_out_at + self.options.ageing_seconds)
        if batch.deadline == NEVER:
            return timed_out_at
        padded_rows = padding.next_allowed(batch.rows, self.options.allowed_batch_rows)
        return min(timed_out_at, batch.deadline - self.costs.needed(padded_rows))
