"""Whether a batch between two allowed sizes is padded to the larger one or cut down to the smaller one.

TensorFlow's `batch_padding_policy` (`batch_scheduler_utils.h`), with three differences: the task at the cut is cut
itself where it can be; what stays keeps the times of its own tasks, so that each still leaves after its time-out and
not later; and a batch that lower priorities fill up is not cut, as it has no padding then.
"""

from bisect import bisect_left

from batching import padding
from batching.batch import NEVER, Batch
from batching.options import Filling, PaddingPolicy, QueueOptions
from batching.run_costs import RunCosts
from batching.task import T


def cut_down(
    batch: Batch[T], options: QueueOptions, costs: RunCosts, now: float, lower_rows: int
) -> Batch[T] | None:
    """Take off a batch what should stay in its queue when the others leave, and return it; None: all leave.

    What stays is open: it takes more tasks, and is due when its own first task has waited for long enough. For batches
    whose time-out has come, or for which a thread is free. One that is full or whose queue was closed has been padded,
    and one that leaves early for a task's deadline is for running at once.

    Args:
        batch: open, with at least one row. A task of it may be two afterwards, even where all leave.
        options: of its queue.
        costs: of the batches of its queue.
        now: the time in which deadlines are meant.
        lower_rows: rows of lower priorities that wait to fill it.
    """
    rows = _smaller_size(batch.rows, options, lower_rows)
    if not rows or not _pays(batch, rows, options, costs, now):
        return None
    place = batch.part_at(rows)
    rows = sum(task.rows for task in batch.tasks[:place])
    return batch.split_off(place) if rows and _pays(batch, rows, options, costs, now) else None


def _smaller_size(rows: int, options: QueueOptions, lower_rows: int) -> int:
    """The allowed size to which so many rows may be cut down; 0 where they are not."""
    allowed = options.allowed_batch_rows
    place = bisect_left(allowed, rows)
    if options.padding_policy is PaddingPolicy.PAD_UP or not place or allowed[place] == rows:
        return 0
    # With `Filling.MAX` a batch that can grow is to grow, whether up to an allowed size or not.
    enough_rows = allowed[place] - rows if options.filling is Filling.ALLOWED else 1
    return 0 if lower_rows >= enough_rows else allowed[place - 1]


def _pays(batch: Batch[T], rows: int, options: QueueOptions, costs: RunCosts, now: float) -> bool:
    """Whether it is better that the first `rows` rows of a batch leave than that all do."""
    allowed = options.allowed_batch_rows
    smaller, larger = padding.next_allowed(rows, allowed), padding.next_allowed(batch.rows, allowed)
    if batch.deadline < NEVER:  # there has to be time for two runs, one after the other
        rest = padding.next_allowed(batch.rows - rows, allowed)
        if batch.deadline < now + costs.needed(smaller) + costs.needed(rest):
            return False
    if options.padding_policy is PaddingPolicy.BATCH_DOWN:
        # Always so for an allowed size; fewer rows, as a task has no cut there, may be padded by more.
        return smaller / rows < larger / batch.rows
    down, up = costs.measured(smaller), costs.measured(larger)
    return down is not None and up is not None and down / rows <= up / batch.rows
