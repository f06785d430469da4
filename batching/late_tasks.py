"""Tasks that have waited for longer than their queue lets them: Triton's queue policy, its time-out and what follows.

They are the first of their queue, whose tasks stand in the order in which they came. So what is late is found from the
front, and no task needs a time of its own.
"""

from collections import deque

from batching.batch import Batch
from batching.task import T


def take_out(batches: deque[Batch[T]], waited_seconds: float, now: float) -> list[Batch[T]]:
    """Remove from the front what has waited for so long, and return it in open batches, in order.

    What is left of a batch of which only the first tasks are late is open, too; whoever calls closes it again.
    """
    late: list[Batch[T]] = []
    while batches and _is_late(batches[0].enqueued_at[0], waited_seconds, now):
        first = batches[0]
        first.reopen()
        place = sum(_is_late(at, waited_seconds, now) for at in first.enqueued_at)
        if place == len(first.tasks):
            batches.popleft()
        else:
            batches[0] = first.split_off(place)
        late.append(first)
    return late


def put_behind(late: deque[Batch[T]], batches: list[Batch[T]], max_batch_rows: int) -> None:
    """Append to the late ones of a queue, whole batches together where there is room in one."""
    for batch in batches:
        if late and late[-1].rows + batch.rows <= max_batch_rows:
            late[-1].absorb(batch)
        else:
            late.append(batch)


def without_empty(late: deque[Batch[T]]) -> deque[Batch[T]]:
    """What is left once tasks of it have expired."""
    return deque(batch for batch in late if batch.tasks)


def _is_late(enqueued_at: float, waited_seconds: float, now: float) -> bool:
    # Added as where the queue tells its deadline: rounded otherwise, a task might be late for one of the two only.
    return enqueued_at + waited_seconds <= now
