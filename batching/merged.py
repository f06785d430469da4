"""Queues of one family that form their batches together: TensorFlow's `priority_merge`.

Each priority keeps its own tasks, limits and room. But they are due together, when all their rows make a full batch or
when the first of them is due, and what leaves then has tasks of each, those of the highest priority first. So the one
of them that *leads*, the highest that has tasks, stands in the order for all of them.

A closed queue is no part of it, because somebody may be waiting for the end of its last batch; nor is one that is held.
Of tasks that have aged the queue leads that they wait in: else a stream of urgent ones could fill every batch.
"""

from typing import Any

from batching import padding
from batching.batch import NEVER, CloseReason
from batching.lane import Lane
from batching.queued_batches import AT_ONCE


def share_costs(lane: Lane[Any]) -> None:
    """Let a new lane know how long batches of its relatives run, which are its own."""
    for each in lane.relatives:
        alike = each.queue.options.allowed_batch_rows == lane.queue.options.allowed_batch_rows
        if lane.merges and each.merges and alike:
            lane.runs, lane.queue.costs = each.runs, each.queue.costs
            return


def merges(lane: Lane[Any]) -> bool:
    """Whether its tasks leave together with those of its relatives."""
    return lane.merges and not lane.queue.closed and not lane.held


def members(lane: Lane[Any]) -> list[Lane[Any]]:
    """Those that have tasks to leave together with a lane's, itself among them, from the highest priority down."""
    return [each for each in lane.relatives if merges(each) and each.queue.enqueued_batches]


def due_at(lead: Lane[Any], others: list[Lane[Any]]) -> float:
    """When a batch may be taken of the members: `AT_ONCE` where it would be full."""
    options = lead.queue.options
    rows = sum(each.queue.enqueued_rows for each in others)
    if rows >= options.max_batch_rows:
        return AT_ONCE
    needed = lead.queue.costs.needed(padding.next_allowed(rows, options.allowed_batch_rows))
    times = []
    for each in others:
        due = each.queue.due_at
        times.append(NEVER if due is None else due)
        if each.queue.deadline < NEVER:
            times.append(each.queue.deadline - needed)
    return min(times)


def available_batches(lead: Lane[Any], others: list[Lane[Any]], now: float) -> int:
    """How many threads could each take a batch of the members now."""
    if now < due_at(lead, others):
        return 0
    rows, most = sum(each.queue.enqueued_rows for each in others), lead.queue.options.max_batch_rows
    rest_is_due = any(each.queue.available_batches(now) == each.queue.enqueued_batches for each in others)
    return max(1, -(-rows // most) if rest_is_due else rows // most)


def why_now(lead: Lane[Any], others: list[Lane[Any]], now: float) -> CloseReason:
    """Why a batch of the members leaves, which is due."""
    if sum(each.queue.enqueued_rows for each in others) >= lead.queue.options.max_batch_rows:
        return CloseReason.FULL
    reasons = [each.queue.why_now(now) for each in others]
    return next((reason for reason in reasons if reason is not CloseReason.DEADLINE), CloseReason.DEADLINE)
