"""One queue of tasks, formed into batches as they come.

TensorFlow's `internal::Queue` (`shared_batch_scheduler.h`) without its lock and its clock.
"""

import itertools
from collections import deque

from batching import errors, late_tasks, padding, padding_policy, room_rules, splitting
from batching.batch import Batch, CloseReason
from batching.options import Filling
from batching.queued_batches import QueuedBatches
from batching.task import T


class TaskQueue(QueuedBatches[T]):
    """Batches in order; at most the last one is open. Pure: every decision takes `now`, and nothing waits.

    Called by the dispatcher only, under its lock. Tasks leave in the order in which they came. An open batch that is
    due goes on filling until a thread takes it, so that waiting for a busy device is never lost time. Where late tasks
    are delayed they stand behind all others, in open batches of their own, from when a thread next takes a batch.
    """

    def add(self, task: T, now: float, deadline: float | None = None) -> None:
        """Take the whole task, or raise and take nothing of it. A split task's parts have its deadline, or their own.

        Raises:
            DeadlineExceeded: it is out of time already.
            QueueClosed: the queue takes nothing more.
            QueueFull: not now; the batches that it needs would be more than may wait.
            TaskTooLarge: never; see the error.
            InvalidTask: the task breaks its protocol.
        """
        if self.closed:
            raise errors.QueueClosed(f"queue {self.name!r} is closed")
        if deadline is not None:
            self._add_limited(task, now, deadline)
            return
        rows = task.rows
        room_rows = self.room_rows
        if 0 < rows < room_rows:
            self._batches[-1].add(task, now)
            self._count(1, rows)
            return
        room_rules.refuse_if_too_large(self.name, rows, self.options)
        filler, parts = splitting.plan(task, room_rows, self.options.max_batch_rows)
        batches = self.enqueued_batches
        if batches + len(parts) > self.options.max_enqueued_batches:
            room_rules.refuse(self.name, rows, len(parts), self.options, batches, self.capacity_rows)
        if filler is not None:
            self._batches[-1].add(filler, now)
        if room_rows and (parts or rows == room_rows):
            self._close(self._batches[-1], CloseReason.FULL)
        for part in parts:
            batch: Batch[T] = Batch()
            batch.add(part, now)
            self._batches.append(batch)
            if part is not parts[-1] or batch.rows == self.options.max_batch_rows:
                self._close(batch, CloseReason.FULL)
        self._count(len(parts) + (filler is not None), rows)

    def expire(self, now: float) -> list[T]:
        """Remove and return the tasks, and parts of tasks, that are out of time, in order; their room is free again."""
        expired: list[T] = []
        if self.rejects:
            for batch in late_tasks.take_out(self._batches, self.options.queue_timeout_seconds, now):
                expired += batch.tasks
                self._count(-len(batch.tasks), -batch.rows)
        for batch in itertools.chain(self._late, self._batches):
            if batch.deadline <= now:
                before = len(batch.tasks)
                late = batch.expire(now)
                expired += late
                self._count(len(batch.tasks) - before, -sum(task.rows for task in late))
        if expired:
            self._late = late_tasks.without_empty(self._late)
            self._close_up()
        return expired

    def take(self, now: float, lower_rows: int = 0) -> Batch[T] | None:
        """Remove and return the first batch, closed; None when it is not due or there is none.

        Of an open one tasks may stay, by the queue's padding policy; *lower_rows* wait that it may be filled with.
        Requires: tasks whose deadline has passed have been removed.
        """
        due_at = self.due_at
        return None if due_at is None or now < due_at else self.take_due(now, lower_rows, self.why_now(now))

    def take_due(self, now: float, lower_rows: int, reason: CloseReason) -> Batch[T]:
        """As `take`, where it is known to be due, and why. Requires: there is a batch."""
        self.delay(now)
        batches = self._late if self._late_go_first(now) else self._batches
        batch = batches.popleft()
        was_closed, all_leave = batch.close_reason is not None, True
        if not was_closed:
            if batch.rows == self.options.max_batch_rows:
                reason = CloseReason.FULL
            elif self.closed:
                reason = CloseReason.DRAIN
            if reason in (CloseReason.TIMEOUT, CloseReason.IDLE):
                all_leave = self._cut_down(batch, batches, now, lower_rows)
            self._close(batch, reason)
        batch.waited_seconds = now - batch.enqueued_at[0]
        self._count(-len(batch.tasks), -batch.rows)
        if (was_closed or self._delays) and all_leave and batch.rows < self.options.max_batch_rows:
            # It has given tasks away. Left so, one that fills itself from here would leave ever smaller pieces behind.
            # Or others are late: they do not wait for company.
            self._fill(batch, self, self.options.max_batch_rows)
        return batch

    def delay(self, now: float) -> None:
        """Let tasks that are late stand behind those that are not, where the options say so."""
        if not self._delays:
            return
        late = late_tasks.take_out(self._batches, self.options.queue_timeout_seconds, now)
        if late:
            late_tasks.put_behind(self._late, late, self.options.max_batch_rows)
            self._close_up()

    def fill(self, batch: Batch[T], lower: "TaskQueue[T]", now: float) -> None:
        """Let a batch that has just been taken from here have of a lower priority what its options say."""
        lower.delay(now)
        up_to_padded = self.options.filling is Filling.ALLOWED
        self._fill(batch, lower, batch.padded_rows if up_to_padded else self.options.max_batch_rows)

    def give(self, rows: int) -> tuple[list[T], list[float]]:
        """Remove and return the first tasks that have so many rows at most, and their times, in order.

        A batch that was closed leaves with what it has left, unless its tasks leave together with other queues': then
        those make it full. A task that cannot be cut stays with those behind it.
        """
        tasks, enqueued_at = list[T](), list[float]()
        while rows > 0 and (batches := self._batches or self._late):
            first = batches[0]
            at, waiting = first.enqueued_at[0], len(first.tasks)
            task = first.take_first(rows)
            if task is None:
                break
            tasks.append(task)
            enqueued_at.append(at)
            rows -= task.rows
            self._count(len(first.tasks) - waiting, -task.rows)
            if not first.tasks:
                batches.popleft()
            elif first.close_reason is not None:
                first.padded_rows = padding.next_allowed(first.rows, self.options.allowed_batch_rows)
        if self.options.filling is Filling.MERGE:
            self._close_up()
        return tasks, enqueued_at

    def give_up_last(self) -> T:
        """Remove and return the last task, which is the newest where none is late, or the last part of one.

        Requires: there is one.
        """
        batches = self._late or self._batches
        last = batches[-1]
        task = last.drop_last()
        self._count(-1, -task.rows)
        if not last.tasks:
            batches.pop()
        self._close_up()
        return task

    def close(self) -> None:
        """Refuse further tasks and make what is there due at once. Closing again does nothing."""
        self.closed = True
        if self.room_rows:
            self._close(self._batches[-1], CloseReason.DRAIN)

    def abandon(self) -> list[T]:
        """Remove and return every task that waits, in order. Requires: closed."""
        tasks = [task for batch in itertools.chain(self._late, self._batches) for task in batch.tasks]
        self._late.clear()
        self._batches.clear()
        self.enqueued_tasks = self.enqueued_rows = 0
        return tasks

    def _fill(self, batch: Batch[T], source: "TaskQueue[T]", most_rows: int) -> None:
        """Let a batch that has been taken have the first tasks of a queue, up to so many rows."""
        tasks, enqueued_at = source.give(most_rows - batch.rows)
        if tasks:
            rows = batch.rows + sum(task.rows for task in tasks)
            batch.fill_up(tasks, enqueued_at, padding.next_allowed(rows, self.options.allowed_batch_rows))

    def _late_go_first(self, now: float) -> bool:
        """Whether there are none but late tasks, or the first of them has let others go first for long enough."""
        if not self._late:
            return False
        return not self._batches or now >= self._late[0].enqueued_at[0] + self._ages_seconds

    def _cut_down(self, batch: Batch[T], batches: deque[Batch[T]], now: float, lower_rows: int) -> bool:
        """Let some of a batch that is about to leave stay, where the padding policy says so; whether all leave."""
        tasks = len(batch.tasks)
        if batches is not self._late:
            lower_rows += sum(each.rows for each in self._late)
        rest = padding_policy.cut_down(batch, self.options, self.costs, now, lower_rows)
        if rest is not None:
            batches.appendleft(rest)
            tasks -= len(rest.tasks)
        self._count(len(batch.tasks) - tasks, 0)  # a task may have been cut
        return rest is None

    def _add_limited(self, task: T, now: float, deadline: float) -> None:
        """Take a task with a deadline: the parts of it are what has come to the end of the queue."""
        if not deadline > now:
            raise errors.DeadlineExceeded(f"queue {self.name!r} takes no task that is out of time")
        before = max(0, len(self._batches) - 1)
        places = len(self._batches[-1].tasks) if self._batches else 0
        self.add(task, now)
        for batch in itertools.islice(self._batches, before, None):
            if places < len(batch.tasks):  # nothing of it may have gone into the batch that was there
                batch.limit(places, deadline)
            places = 0

    def _close_up(self) -> None:
        """Give the room of tasks that have gone to those behind, as far as whole batches fit, and to those to come."""
        waiting, self._batches = self._batches, deque()
        for batch in waiting:
            if self._batches and self._batches[-1].rows + batch.rows <= self.options.max_batch_rows:
                self._batches[-1].absorb(batch)
            elif batch.rows:
                self._batches.append(batch)
        for batch in self._batches:
            reason = batch.close_reason or CloseReason.FULL
            batch.reopen()
            if batch is not self._batches[-1] or batch.rows == self.options.max_batch_rows or self.closed:
                self._close(batch, reason)

    def _close(self, batch: Batch[T], reason: CloseReason) -> None:
        batch.close(reason, padding.next_allowed(batch.rows, self.options.allowed_batch_rows))

    def _count(self, tasks: int, rows: int) -> None:
        self.enqueued_tasks += tasks
        self.enqueued_rows += rows
