"""Room that the queues of a family share, and who goes for whom when there is too little.

TensorFlow's scheduler by priority has one depth for all tasks and evicts lower ones, even where the newcomer is refused
all the same. Here nothing is evicted unless that makes room enough.
"""

import logging
from typing import Any

from batching import errors
from batching.lane import Lane

logger = logging.getLogger(__name__)

Evicted = tuple[Lane[Any], Any]


def missing_rows(lane: Lane[Any], rows: int) -> int:
    """How many rows too few there is room for, for a task of so many."""
    taken = sum(each.queue.enqueued_rows for each in _sharing(lane))
    return max(0, taken + rows - _size(lane))


def refuse_if_too_little_may_go(lane: Lane[Any], missing: int) -> None:
    """Raise QueueFull where the tasks of lower priorities are too few to make room for so many rows."""
    lower_rows = sum(each.queue.enqueued_rows for each in _lower(lane))
    if lower_rows < missing:
        raise errors.QueueFull(
            f"queue {lane.queue.name!r} shares room for {_size(lane)} rows, of which {missing} too few are free; "
            f"{lower_rows} are of lower priorities"
        )


def evict(lane: Lane[Any], missing: int) -> list[Evicted]:
    """Remove tasks until there is room for so many rows: the newest of the lowest priority first.

    Whole tasks go, so that it may be a few rows more. Requires: `refuse_if_too_little_may_go` has not raised.
    """
    evicted: list[Evicted] = []
    for each in _lower(lane):
        while missing > 0 and each.queue.enqueued_tasks:
            task = each.queue.give_up_last()
            missing -= task.rows
            each.evicted_tasks += 1
            evicted.append((each, task))
    return evicted


def tell(evicted: list[Evicted]) -> None:
    """Hand tasks to those who finish them, on the thread of whoever took their room; no lock is held."""
    for lane, task in evicted:
        assert lane.evicted is not None, "without it a queue shares no room"
        try:
            lane.evicted(task)
        except Exception:
            logger.exception("`evicted` of queue %r raised; the scheduler goes on", lane.queue.name)


def capacity_rows(lane: Lane[Any]) -> int:
    """Rows of a freely divisible task that a lane would take now."""
    own = lane.queue.capacity_rows
    if not lane.shares_room or not own:
        return own
    free = _size(lane) - sum(each.queue.enqueued_rows for each in _sharing(lane))
    return max(0, min(own, free + sum(each.queue.enqueued_rows for each in _lower(lane))))


def _size(lane: Lane[Any]) -> int:
    options = lane.queue.options
    return options.max_enqueued_batches * options.max_batch_rows


def _sharing(lane: Lane[Any]) -> list[Lane[Any]]:
    return [each for each in lane.relatives if each.shares_room] or [lane]


def _lower(lane: Lane[Any]) -> list[Lane[Any]]:
    """Those whose tasks may go for a lane's, from the lowest priority up; closed ones are being emptied."""
    lower = [each for each in _sharing(lane) if each.priority < lane.priority and not each.queue.closed]
    return lower[::-1]
