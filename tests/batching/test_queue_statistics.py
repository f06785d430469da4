"""Promises of `batching.queue_statistics`."""

import dataclasses

import pytest

from tests.batching.bench import Bench, Rows

TIMEOUT_SECONDS = 0.25


def test_snapshots_say_how_full_each_queue_is(bench: Bench) -> None:
    """The statistics of a scheduler are those of its queues at one moment, and do not change afterwards."""
    queue = bench.queue("q", max_batch_rows=4, batch_timeout_seconds=TIMEOUT_SECONDS, max_enqueued_batches=2)
    queue.schedule(Rows("a", 3))
    bench.settle()
    bench.advance(0.125)

    snapshot = bench.scheduler.statistics()
    bench.advance(0.125)

    assert snapshot.threads == bench.threads
    (seen,) = snapshot.queues
    assert (seen.name, seen.enqueued_tasks, seen.enqueued_rows, seen.enqueued_batches) == ("q", 1, 3, 1)
    assert (seen.capacity_rows, seen.oldest_seconds, seen.closed) == (5, 0.125, False)
    assert (seen.running_batches, seen.dispatched_batches) == (0, 0)
    assert queue.statistics().dispatched_batches == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        seen.name = "r"  # type: ignore[misc]
